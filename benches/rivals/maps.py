"""How long do umap-learn and openTSNE take for a map, and how good is it? maps.py FOLDER umap|tsne

FOLDER holds points.f32 (row-major floats) and shape.txt (rows and columns). The map is timed with the neighbours' search and
all that belongs to it, after a small one that compiles what is compiled; it is written to map.f32. Answers one JSON line:
seconds. umap-learn without a seed, so that it may use all cores; openTSNE with its defaults, all cores.
"""

import json
import os
import pathlib
import sys
import time

import numpy

folder, way = pathlib.Path(sys.argv[1]), sys.argv[2]
rows, columns = map(int, (folder / "shape.txt").read_text().split())
points = numpy.fromfile(folder / "points.f32", dtype=numpy.float32).reshape(rows, columns)


def draw(some):
    if way == "umap":
        import umap

        return umap.UMAP(n_jobs=-1, low_memory=False).fit_transform(some)
    import openTSNE

    return numpy.asarray(openTSNE.TSNE(n_jobs=os.cpu_count(), random_state=1).fit(some))


draw(points[:5000])
begun = time.perf_counter()
places = draw(points)
seconds = time.perf_counter() - begun
places.astype(numpy.float32).tofile(folder / "map.f32")
print(json.dumps({"seconds": seconds}))
