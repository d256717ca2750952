"""How fast does Vowpal Wabbit learn, and how well? online.py FOLDER linear|pairs

FOLDER holds examples.vw (39 namespaces of one feature each) and rows.txt (how many). It is first turned into Vowpal
Wabbit's cache, which is not timed; then one pass over the cache is. Answers one JSON line: seconds, and the mean log loss of
progressive validation.
"""

import json
import pathlib
import sys
import time

import vowpalwabbit

folder, way = pathlib.Path(sys.argv[1]), sys.argv[2]
examples, cache = folder / "examples.vw", folder / "examples.cache"
extra = "--lrqfa abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM8" if way == "pairs" else ""
common = f"--loss_function logistic -b 22 --quiet {extra}"
if not cache.exists():
    writer = vowpalwabbit.Workspace(f"-d {examples} --cache_file {cache} -b 22 --loss_function logistic --quiet")
    writer.run_parser()
    writer.finish()
workspace = vowpalwabbit.Workspace(f"--cache_file {cache} {common}")
begun = time.perf_counter()
workspace.run_parser()
seconds = time.perf_counter() - begun
loss = workspace.get_sum_loss() / int((folder / "rows.txt").read_text())
workspace.finish()
print(json.dumps({"seconds": seconds, "loss": loss}))
