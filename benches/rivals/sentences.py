"""Sentences a second of PyTorch and ONNX Runtime with the same weights: sentences.py MODEL_FOLDER, sentences on standard input.

Both read token ids that are cut and padded once, before the clock; the mean over the tokens that count and the division by
the length belong to the work, as they do in ours. Writes lines of name and sentences a second, best of some rounds; a line
without a figure says why there is none."""

import os
import sys
import tempfile
import time

import torch
from transformers import AutoModel, AutoTokenizer

ROUNDS = 7
folder = sys.argv[1]
sentences = [line.rstrip("\n") for line in sys.stdin if line.strip()]
threads = os.cpu_count() or 1
torch.set_num_threads(threads)
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()


class Encoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        states = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(mean, dim=1)


def best(work):
    work()
    least = float("inf")
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        # Cutting into tokens is part of ours, so it is part of theirs.
        work()
        least = min(least, time.perf_counter() - begun)
    return len(sentences) / least


def tokens():
    read = tokenizer(sentences, padding=True, return_tensors="pt")
    return read["input_ids"], read["attention_mask"]


encoder = Encoder(model)
with torch.inference_mode():
    print("PyTorch", best(lambda: encoder(*tokens())), flush=True)
try:
    import onnxruntime

    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "encoder.onnx")
        axes = {name: {0: "sentences", 1: "tokens"} for name in ("input_ids", "attention_mask")}
        with torch.no_grad():
            torch.onnx.export(
                encoder, tokens(), path, input_names=list(axes), output_names=["vectors"], dynamic_axes=axes,
                opset_version=17, dynamo=False,
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        def run():
            ids, mask = tokens()
            return session.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})

        print("ONNX", best(run), flush=True)
except Exception as error:
    print("ONNX", "-", type(error).__name__, str(error).split("\n")[0])
