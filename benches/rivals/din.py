"""How long does PyTorch take for a training step of DIN? Answers "steps N" on standard input with seconds a step.

Work: 8 fields of 16 numbers, history 50, all real, attention of 64 units, MLP 200-80, batch 4096; ids and labels from
the folder that `adloupe bench din` wrote, so both train on the same batches. What is timed is forward, backward and
optimiser.

fuxictr         the step of FuxiCTR 2.3: an nn.Embedding per field, attention over [t, h, t - h, t h], gradients of whole
                tables, clipped to norm 10, Adam. (Its default Dice is replaced by relu, which is faster.)
dense_fused     one table, the attention's first layer without what is linear in the others, fused Adam.
sparse_adagrad  as dense_fused, with sparse gradients and Adagrad on the table.

Usage: python din.py FOLDER WAY
"""

import json
import pathlib
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional

WIDTH, UNITS, ITEM = 16, 64, 1


def mlp(inputs):
    return nn.Sequential(nn.Linear(inputs, 200), nn.ReLU(), nn.Linear(200, 80), nn.ReLU(), nn.Linear(80, 1))


class PerField(nn.Module):
    """Tables and attention as FuxiCTR's DIN writes them."""

    def __init__(self, sizes):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(n, WIDTH) for n in sizes)
        self.attention = nn.Sequential(nn.Linear(4 * WIDTH, UNITS), nn.ReLU(), nn.Linear(UNITS, 1))
        self.deep = mlp((len(sizes) + 1) * WIDTH)

    def forward(self, ids, history, mask):
        embedded = [table(ids[:, at]) for at, table in enumerate(self.tables)]
        past = self.tables[ITEM](history)
        target = embedded[ITEM].unsqueeze(1).expand_as(past)
        pairs = torch.cat([target, past, target - past, target * past], dim=-1)
        weights = self.attention(pairs.view(-1, 4 * WIDTH)).view(mask.shape) * mask
        pooled = (weights.unsqueeze(-1) * past).sum(dim=1)
        return self.deep(torch.cat([*embedded, pooled], dim=-1)).squeeze(1)


class OneTable(nn.Module):
    """The same function with less work."""

    def __init__(self, sizes, sparse):
        super().__init__()
        self.register_buffer("starts", torch.tensor([0, *sizes]).cumsum(0)[:-1])
        self.table = nn.Embedding(sum(sizes), WIDTH, sparse=sparse)
        self.of_target = nn.Linear(WIDTH, UNITS)
        self.of_past = nn.Linear(2 * WIDTH, UNITS, bias=False)
        self.score = nn.Linear(UNITS, 1)
        self.deep = mlp((len(sizes) + 1) * WIDTH)

    def forward(self, ids, history, mask):
        rows = torch.cat([ids + self.starts, history + self.starts[ITEM]], dim=1)
        embedded, past = self.table(rows).split([ids.shape[1], history.shape[1]], dim=1)
        target = embedded[:, ITEM : ITEM + 1]
        hidden = self.of_past(torch.cat([past, past * target], dim=-1)) + self.of_target(target)
        weights = self.score(functional.relu(hidden, inplace=True)).squeeze(-1) * mask
        pooled = torch.bmm(weights.unsqueeze(1), past).squeeze(1)
        return self.deep(torch.cat([embedded.flatten(1), pooled], dim=-1)).squeeze(1)


def build(way, sizes, rate):
    if way == "fuxictr":
        model = PerField(sizes)
        return model, [torch.optim.Adam(model.parameters(), lr=rate)]
    model = OneTable(sizes, sparse=way == "sparse_adagrad")
    dense = [parameter for name, parameter in model.named_parameters() if name != "table.weight"]
    if way == "dense_fused":
        return model, [torch.optim.Adam(model.parameters(), lr=rate, fused=True)]
    if way == "sparse_adagrad":
        table = torch.optim.Adagrad([model.table.weight], lr=0.01)
        return model, [torch.optim.Adam(dense, lr=rate, fused=True), table]
    raise SystemExit(f"no way {way}")


def main(folder, way):
    torch.manual_seed(1)
    shape = json.loads((folder / "shape.json").read_text())
    sizes, batch, batches, length = (shape[key] for key in ("sizes", "batch", "batches", "history"))

    def read(name, *dims):
        numbers = numpy.fromfile(folder / name, dtype=numpy.uint32).astype(numpy.int64)
        return torch.from_numpy(numbers).view(batches, batch, *dims)

    ids, histories = read("ids.u32", len(sizes)), read("history.u32", length)
    labels = torch.from_numpy(numpy.fromfile(folder / "labels.f32", dtype=numpy.float32)).view(batches, batch)
    mask = torch.ones(batch, length)
    model, optimisers = build(way, sizes, shape["rate"])
    done = 0
    for line in sys.stdin:
        count = int(line.split()[1])
        begun = time.perf_counter()
        for _ in range(count):
            at = done % batches
            for optimiser in optimisers:
                optimiser.zero_grad(set_to_none=True)
            scores = model(ids[at], histories[at], mask)
            functional.binary_cross_entropy_with_logits(scores, labels[at]).backward()
            if way == "fuxictr":
                nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            for optimiser in optimisers:
                optimiser.step()
            done += 1
        print((time.perf_counter() - begun) / count, flush=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
