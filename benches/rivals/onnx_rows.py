"""Scores rows with ONNX Runtime: onnx_rows.py FOLDER

FOLDER holds model.onnx, inputs.json (name: file, numpy type, columns) and the files. Writes log_odds.bin (f32) and prints
rows a second of the fastest of five passes, on one thread.
"""

import json
import pathlib
import sys
import time

import numpy as np
import onnxruntime

folder = pathlib.Path(sys.argv[1])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
known = json.loads((folder / "inputs.json").read_text())
inputs = {}
for wanted in session.get_inputs():
    file, kind, columns = known[wanted.name]
    numbers = np.fromfile(folder / file, dtype="<" + kind)
    inputs[wanted.name] = numbers if columns is None else numbers.reshape(-1, columns)
fastest = float("inf")
for _ in range(5):
    begun = time.perf_counter()
    log_odds, probability = session.run(["log_odds", "probability"], inputs)
    fastest = min(fastest, time.perf_counter() - begun)
assert np.allclose(probability, 1 / (1 + np.exp(-log_odds)), atol=1e-6)
log_odds.astype("<f4").tofile(folder / "log_odds.bin")
print(len(log_odds) / fastest)
