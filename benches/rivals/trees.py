"""How fast does a rival boost trees, and how well? trees.py FOLDER lightgbm|lightgbm_rates|catboost TREES LEAVES

FOLDER holds ids.bin (u32, rows by columns), labels.bin (f32) and shape.txt (rows, columns, rows that are trained on).
All columns are categories; lightgbm_rates is handed ordered click rates in their place, as our own kind makes them (prior
10, of a training row only the rows before it in a random order), and its time is that of trees on 39 numbers alone. Two
threads; the time of reading the files is left out, that of making the rival's own data set is not. Answers one JSON line:
seconds, and the AUC of the rows after those that are trained on.
"""

import json
import pathlib
import sys
import time

import numpy as np

folder, way, trees, leaves = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rows, columns, trained = map(int, (folder / "shape.txt").read_text().split())
ids = np.fromfile(folder / "ids.bin", dtype=np.uint32).reshape(rows, columns).astype(np.int32)
labels = np.fromfile(folder / "labels.bin", dtype=np.float32)
names = [f"c{column}" for column in range(columns)]


def rates():
    """Ordered click rates of all columns."""
    prior, average = 10.0, labels[:trained].mean()
    order = np.random.default_rng(1).permutation(trained)
    clicks = labels[:trained][order].astype(np.float64)
    made = np.empty(ids.shape, dtype=np.float32)
    for column in range(columns):
        values = ids[:trained, column]
        by_value = np.argsort(values[order], kind="stable")
        firsts = np.r_[True, np.diff(values[order][by_value]) != 0]
        first = np.maximum.accumulate(np.where(firsts, np.arange(trained), 0))
        before = np.cumsum(clicks[by_value]) - clicks[by_value]
        rate = (before - before[first] + prior * average) / (np.arange(trained) - first + prior)
        made[order[by_value], column] = rate
        size = ids[:, column].max() + 1
        shown = np.bincount(values, minlength=size)
        clicked = np.bincount(values, labels[:trained], size)
        made[trained:, column] = ((clicked + prior * average) / (shown + prior))[ids[trained:, column]]
    return made


if way.startswith("lightgbm"):
    import lightgbm

    numbers = way == "lightgbm_rates"
    inputs = rates() if numbers else ids

    settings = {
        "objective": "binary",
        "num_leaves": leaves,
        "learning_rate": 0.1,
        "min_data_in_leaf": 20,
        "max_bin": 255,
        "lambda_l2": 1.0,
        "num_threads": 2,
        "verbose": -1,
        "deterministic": True,
    }
    begun = time.perf_counter()
    categories = [] if numbers else names
    data = lightgbm.Dataset(
        inputs[:trained],
        labels[:trained],
        feature_name=names,
        categorical_feature=categories,
        params=settings,
    )
    model = lightgbm.train(settings, data, trees)
    seconds = time.perf_counter() - begun
    scores = model.predict(inputs[trained:])
else:
    import catboost

    begun = time.perf_counter()
    pool = catboost.Pool(ids[:trained], labels[:trained], cat_features=list(range(columns)))
    model = catboost.CatBoostClassifier(
        iterations=trees,
        learning_rate=0.1,
        grow_policy="Lossguide",
        max_leaves=leaves,
        thread_count=2,
        verbose=False,
        allow_writing_files=False,
    )
    model.fit(pool)
    seconds = time.perf_counter() - begun
    scores = model.predict_proba(catboost.Pool(ids[trained:], cat_features=list(range(columns))))[:, 1]
order = np.argsort(scores, kind="mergesort")
ranks = np.empty(len(scores))
ranks[order] = np.arange(1, len(scores) + 1)
# Ties share their mean rank.
_, first, counts = np.unique(scores[order], return_index=True, return_counts=True)
ranks[order] = np.repeat(first + (counts + 1) / 2, counts)
clicked = labels[trained:] > 0
n = clicked.sum()
auc = (ranks[clicked].sum() - n * (n + 1) / 2) / (n * (len(scores) - n))
print(json.dumps({"seconds": seconds, "auc": float(auc)}))
