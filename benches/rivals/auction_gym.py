"""How many auctions a second does AuctionGym hold? Prints one number.

Runs rounds of a configuration of a checkout of amzn/auction-gym (Apache-2.0), as its own simulation_run() does between
two updates: context, bids, allocation, click, logs. Learning and plots are not timed. What it imports only for plots
and for learning (matplotlib, scikit-learn, tqdm) is left out where it is not installed; numba and PyTorch are needed.

Usage: python auction_gym.py CHECKOUT SECONDS [CONFIG]      CONFIG: config/SP_Oracle.json
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import pathlib
import sys
import time
import types

checkout, seconds = pathlib.Path(sys.argv[1]).resolve(), float(sys.argv[2])
config = checkout / (sys.argv[3] if len(sys.argv) > 3 else "config/SP_Oracle.json")
sys.path.insert(0, str(checkout / "src"))

# Imported for plots, tables and learning alone.
NOT_TIMED = ["matplotlib", "pandas", "seaborn", "sklearn", "tqdm"]
missing = {name for name in NOT_TIMED if importlib.util.find_spec(name) is None}


class StandIn(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return None


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.split(".")[0] in missing else None

    def create_module(self, spec):
        return StandIn(spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, Finder())
os.chdir(checkout)
import main as gym  # noqa: E402  (the path is set above)

rng, settings, agent_configs, items, values, _, *technical = gym.parse_config(config)
agents = gym.instantiate_agents(rng, agent_configs, values, items)
auction, *_ = gym.instantiate_auction(rng, settings, items, values, agents, *technical)
for _ in range(200):
    auction.simulate_opportunity()
best = 0.0
for _ in range(3):
    held, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds / 3:
        for _ in range(200):
            auction.simulate_opportunity()
        held += 200
    best = max(best, held / passed)
    for agent in agents:
        agent.clear_utility()
        agent.clear_logs()
print(best)
