"""How many auctions a second does AuctionNet's auction module hold? Prints one number.

Times BiddingEnv.simulate_ad_bidding of a checkout of alimama-tech/AuctionNet (Apache-2.0) on its own shape: 48
advertisers, 3 slots, 10,000 opportunities a tick (a period has 48 ticks and about 500,000). Bids are exponential around
0.01 as its auction logs', predicted values and their deviations of the size of its data; drawing them is not timed.

Usage: python auction_net.py CHECKOUT SECONDS
"""

import pathlib
import sys
import time

import numpy

checkout, seconds = pathlib.Path(sys.argv[1]).resolve(), float(sys.argv[2])
sys.path.insert(0, str(checkout))
# The package itself imports its value model; the auction module stands alone.
sys.path.insert(0, str(checkout / "simul_bidding_env" / "Environment"))
from BiddingEnv import BiddingEnv  # noqa: E402

OPPORTUNITIES, ADVERTISERS = 10_000, 48
rng = numpy.random.default_rng(1)
values = rng.gamma(1.0, 1e-3, size=(OPPORTUNITIES, ADVERTISERS))
sigmas = 0.1 * values + 1e-6
bids = rng.exponential(0.02, size=(OPPORTUNITIES, ADVERTISERS))
env = BiddingEnv()
env.reset(0)
env.simulate_ad_bidding(values, sigmas, bids)
best, begun = 0.0, time.perf_counter()
while time.perf_counter() - begun < seconds:
    tick = time.perf_counter()
    env.simulate_ad_bidding(values, sigmas, bids)
    best = max(best, OPPORTUNITIES / (time.perf_counter() - tick))
print(best)
