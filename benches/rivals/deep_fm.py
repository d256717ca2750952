"""How long does PyTorch take for a training step of DeepFM? Answers "steps N" on standard input with seconds a step.

Work: 39 fields of 16 numbers with linear weights, MLP 3 x 400, batch 4096; ids and labels from the folder that
`adloupe bench train` wrote, so both train on the same batches. What is timed is forward, backward and optimiser.

fuxictr         the step of FuxiCTR 2.3: an nn.Embedding per field, gradients of whole tables, clipped to norm 10, Adam.
dense_fused     one table, gradients of whole tables, fused Adam.
sparse_adagrad  one table, sparse gradients, Adagrad on it, fused Adam elsewhere.
sparse_adam     one table, sparse gradients, SparseAdam on it, fused Adam elsewhere.

With "compare" instead of a number of steps it starts from the weights in the folder, trains once over the training
batches, and writes the loss of each step and the log odds of the test batches.

Usage: python deep_fm.py FOLDER WAY
"""

import json
import pathlib
import sys
import time

import numpy
import torch
from torch import nn

FIELDS, WIDTH, UNITS, LAYERS = 39, 16, 400, 3


class DeepFm(nn.Module):
    def __init__(self, sizes, per_field, sparse):
        super().__init__()
        self.per_field = per_field
        if per_field:
            self.tables = nn.ModuleList(nn.Embedding(n, WIDTH) for n in sizes)
            self.linears = nn.ModuleList(nn.Embedding(n, 1) for n in sizes)
        else:
            self.tables = nn.ModuleList([nn.Embedding(sum(sizes), WIDTH, sparse=sparse)])
            self.linears = nn.ModuleList([nn.Embedding(sum(sizes), 1, sparse=sparse)])
        for table in self.tables:
            nn.init.normal_(table.weight, std=0.02)
        for table in self.linears:
            nn.init.zeros_(table.weight)
        layers, inputs = [], FIELDS * WIDTH
        for _ in range(LAYERS):
            layers += [nn.Linear(inputs, UNITS), nn.ReLU()]
            inputs = UNITS
        self.mlp = nn.Sequential(*layers, nn.Linear(inputs, 1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, ids):
        if self.per_field:
            e = torch.stack([table(ids[:, at]) for at, table in enumerate(self.tables)], 1)
            linear = torch.cat([table(ids[:, at]) for at, table in enumerate(self.linears)], 1)
        else:
            e = self.tables[0](ids)
            linear = self.linears[0](ids).squeeze(2)
        total = e.sum(1)
        pairs = 0.5 * (total * total - (e * e).sum(1)).sum(1)
        return self.bias + linear.sum(1) + pairs + self.mlp(e.flatten(1)).squeeze(1)


def main(folder, way):
    torch.manual_seed(1)
    shape = json.loads((folder / "shape.json").read_text())
    sizes, batch, batches, tests = (shape[key] for key in ("sizes", "batch", "batches", "tests"))
    ids = numpy.fromfile(folder / "ids.u32", dtype=numpy.uint32).astype(numpy.int64)
    ids = torch.from_numpy(ids).view(batches + tests, batch, FIELDS)
    labels = torch.from_numpy(numpy.fromfile(folder / "labels.f32", dtype=numpy.float32)).view(-1, batch)
    starts = torch.tensor([0, *sizes]).cumsum(0)[:-1]
    per_field, sparse = way == "fuxictr", way.startswith("sparse")
    model = DeepFm(sizes, per_field, sparse)
    if not per_field:
        ids += starts
    rows = [table.weight for table in [*model.tables, *model.linears]]
    dense = [*model.mlp.parameters(), model.bias]
    rate = shape["rate"]
    if way == "fuxictr":
        optimisers = [torch.optim.Adam(model.parameters(), lr=rate)]
    elif way == "dense_fused":
        optimisers = [torch.optim.Adam(model.parameters(), lr=rate, fused=True)]
    elif way == "sparse_adagrad":
        optimisers = [torch.optim.Adam(dense, lr=rate, fused=True), torch.optim.Adagrad(rows, lr=0.01)]
    elif way == "sparse_adam":
        optimisers = [torch.optim.Adam(dense, lr=rate, fused=True), torch.optim.SparseAdam(rows, lr=rate)]
    else:
        raise SystemExit(f"no way {way}")
    criterion = nn.BCEWithLogitsLoss()

    def step(at):
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss = criterion(model(ids[at]), labels[at])
        loss.backward()
        if way == "fuxictr":
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        for optimiser in optimisers:
            optimiser.step()
        return loss.item()

    done = 0
    for line in sys.stdin:
        word, count = line.split()
        if word == "compare":
            with torch.no_grad():
                load(model, folder)
            losses = [step(at) for at in range(batches)]
            with torch.no_grad():
                scores = torch.cat([model(ids[at]) for at in range(batches, batches + tests)])
            scores.numpy().tofile(folder / "scores.f32")
            print(json.dumps(losses), flush=True)
            continue
        begun = time.perf_counter()
        for _ in range(int(count)):
            step(done % batches)
            done += 1
        print((time.perf_counter() - begun) / int(count), flush=True)


def load(model, folder):
    """Weights as adloupe named and wrote them, in the order of its tensors: bias, MLP, tables."""
    weights = numpy.fromfile(folder / "weights.f32", dtype=numpy.float32)
    taken = 0
    targets = [model.bias, *model.mlp.parameters(), model.linears[0].weight, model.tables[0].weight]
    for target in targets:
        count = target.numel()
        target.copy_(torch.from_numpy(weights[taken : taken + count].copy()).view(target.shape))
        taken += count
    assert taken == len(weights), (taken, len(weights))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
