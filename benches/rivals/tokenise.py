"""How long does FuxiCTR take to turn a click log into ids? Prints seconds and peak memory in GB.

Work: a file in Criteo's layout with a header, tabs between cells (its name must end in csv, as FuxiCTR wants it): 13
numbers that are standardised, 26 categories of text that get an id where they occur twice. FuxiCTR's own
FeatureProcessor and build_dataset do it, as its model zoo sets Criteo up: fitted on the file, then the file transformed
and written as Parquet. What is timed is build_dataset, without the start of Python.

Usage: python tokenise.py FILE FOLDER
"""

import logging
import resource
import sys
import time

from fuxictr.preprocess import FeatureProcessor, build_dataset

NUMBERS = [f"I{n}" for n in range(1, 14)]
CATEGORIES = [f"C{n}" for n in range(1, 27)]


def main(path, folder):
    logging.disable(logging.CRITICAL)
    columns = [
        {"name": NUMBERS, "active": True, "dtype": "float", "type": "numeric", "normalizer": "StandardScaler"},
        {"name": CATEGORIES, "active": True, "dtype": "str", "type": "categorical"},
    ]
    label = {"name": "label", "dtype": "float"}
    begun = time.perf_counter()
    processor = FeatureProcessor(feature_cols=columns, label_col=label, dataset_id="log", data_root=folder)
    build_dataset(processor, train_data=path, min_categr_count=2, data_format="csv", sep="\t")
    seconds = time.perf_counter() - begun
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(seconds, max(peaks) * 1024 / 1e9)


if __name__ == "__main__":
    main(*sys.argv[1:])
