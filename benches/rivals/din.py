"""How long does PyTorch take for a training step of DIN? One JSON line per way of writing it.

Work: batch 4096, history 50 (all real), 8 fields of 16 numbers, attention of 64 units, MLP 200-80; item and user
of 100,000 ids each. Ids are drawn beforehand: what is timed is forward, backward and optimiser.

fuxictr  the step of FuxiCTR 2.3: an nn.Embedding per field, attention over [t, h, t - h, t h], gradients of whole tables,
         clipped to norm 10, Adam. (Its default Dice activation is replaced by relu, which is faster.)
tuned    one table, the attention's first layer split so that the product over [t, h, t - h, t h] shrinks, fused Adam.
sparse   as tuned, with sparse gradients and Adagrad on the table.

Usage: python din.py [fuxictr|tuned|sparse ...] [--threads N] [--steps N]
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional

BATCH, HISTORY, WIDTH, UNITS = 4096, 50, 16, 64
CARDINALITIES = [100_002, 100_002, 1_002, 102, 26, 9, 52, 502]
ITEM = 1


def mlp(inputs):
    return nn.Sequential(
        nn.Linear(inputs, 200), nn.ReLU(), nn.Linear(200, 80), nn.ReLU(), nn.Linear(80, 1)
    )


class FuxiCtr(nn.Module):
    """Tables and attention as FuxiCTR's DIN writes them."""

    def __init__(self):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(n, WIDTH) for n in CARDINALITIES)
        self.attention = nn.Sequential(nn.Linear(4 * WIDTH, UNITS), nn.ReLU(), nn.Linear(UNITS, 1))
        self.deep = mlp((len(CARDINALITIES) + 1) * WIDTH)

    def forward(self, fields, history, mask):
        embedded = [table(ids) for table, ids in zip(self.tables, fields)]
        past = self.tables[ITEM](history)
        target = embedded[ITEM].unsqueeze(1).expand(-1, HISTORY, -1)
        pairs = torch.cat([target, past, target - past, target * past], dim=-1)
        weights = self.attention(pairs.view(-1, 4 * WIDTH)).view(-1, HISTORY) * mask
        pooled = (weights.unsqueeze(-1) * past).sum(dim=1)
        return self.deep(torch.cat([*embedded, pooled], dim=-1)).squeeze(1)


class Tuned(nn.Module):
    """The same function with less work."""

    def __init__(self, sparse):
        super().__init__()
        starts = torch.tensor([0, *CARDINALITIES]).cumsum(0)
        self.register_buffer("starts", starts[:-1].unsqueeze(1))
        self.table = nn.Embedding(int(starts[-1]), WIDTH, sparse=sparse)
        self.of_target = nn.Linear(WIDTH, UNITS)
        self.of_past = nn.Linear(2 * WIDTH, UNITS, bias=False)
        self.score = nn.Linear(UNITS, 1)
        self.deep = mlp((len(CARDINALITIES) + 1) * WIDTH)

    def forward(self, fields, history, mask):
        rows = torch.cat([(fields + self.starts).t(), history + self.starts[ITEM]], dim=1)
        embedded, past = self.table(rows).split([len(CARDINALITIES), HISTORY], dim=1)
        target = embedded[:, ITEM : ITEM + 1]
        hidden = self.of_past(torch.cat([past, past * target], dim=-1)) + self.of_target(target)
        weights = self.score(functional.relu(hidden, inplace=True)).squeeze(-1) * mask
        pooled = torch.bmm(weights.unsqueeze(1), past).squeeze(1)
        return self.deep(torch.cat([embedded.flatten(1), pooled], dim=-1)).squeeze(1)


def build(way):
    if way == "fuxictr":
        model = FuxiCtr()
        return model, [torch.optim.Adam(model.parameters())], 10.0
    model = Tuned(way == "sparse")
    dense = [parameter for name, parameter in model.named_parameters() if name != "table.weight"]
    if way == "sparse":
        return model, [torch.optim.Adam(dense, fused=True), torch.optim.Adagrad([model.table.weight])], None
    return model, [torch.optim.Adam(model.parameters(), fused=True)], None


def seconds_per_step(way, steps):
    torch.manual_seed(1)
    model, optimisers, clip = build(way)
    skewed = lambda n, *shape: (torch.rand(shape) ** 3 * (n - 2)).long() + 2
    mask = torch.ones(BATCH, HISTORY)
    batches = [
        (
            torch.stack([skewed(n, BATCH) for n in CARDINALITIES]),
            skewed(CARDINALITIES[ITEM], BATCH, HISTORY),
            (torch.rand(BATCH) < 0.25).float(),
        )
        for _ in range(4)
    ]
    taken = []
    for step in range(steps + 3):
        fields, history, label = batches[step % len(batches)]
        begun = time.perf_counter()
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        functional.binary_cross_entropy_with_logits(model(fields, history, mask), label).backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        for optimiser in optimisers:
            optimiser.step()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[3:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ways", nargs="*", default=["fuxictr", "tuned", "sparse"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--steps", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for way in arguments.ways:
        seconds = seconds_per_step(way, arguments.steps)
        print(
            json.dumps({"model": "din", "way": way, "examples_per_second": BATCH / seconds, "torch": torch.__version__})
        )


if __name__ == "__main__":
    main()
