"""How fast does a rival boost trees, and how well? trees.py FOLDER lightgbm|catboost TREES LEAVES

FOLDER holds ids.bin (u32, rows by columns), labels.bin (f32) and shape.txt (rows, columns, rows that are trained on).
All columns are categories. Two threads; the time of reading the files is left out, that of making the rival's own data
set is not. Answers one JSON line: seconds, and the AUC of the rows after those that are trained on.
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
if way == "lightgbm":
    import lightgbm

    settings = {
        "objective": "binary",
        "num_leaves": leaves,
        "learning_rate": 0.1,
        "min_data_in_leaf": 20,
        "max_bin": 255,
        "num_threads": 2,
        "verbose": -1,
        "deterministic": True,
    }
    begun = time.perf_counter()
    data = lightgbm.Dataset(
        ids[:trained], labels[:trained], feature_name=names, categorical_feature=names, params=settings
    )
    model = lightgbm.train(settings, data, trees)
    seconds = time.perf_counter() - begun
    scores = model.predict(ids[trained:])
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
