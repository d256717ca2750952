"""How fast does the Open Bandit Pipeline estimate on its own sample? open_bandit.py FOLDER

Takes the random log of the campaign `all` that comes with the package (10,000 decisions among 80 items at 3 positions) and asks
what its Bernoulli Thompson sampling with the production prior would have earned: IPS, SNIPS, DM, DR and Switch-DR, the click
rate as the reward model, 1,000 bootstrap draws each (`OffPolicyEvaluation.estimate_intervals`). Writes what it asked into
FOLDER (rewards, logged and target probabilities, rewards by the model, f64), so that both sides answer the same question, and
one JSON line: seconds, and IPS and SNIPS. The estimators take NumPy arrays alone; where PyTorch is not installed an empty
module stands in for it, which is asked for types only.
"""

import json
import pathlib
import sys
import time
import types

try:
    import torch  # noqa: F401
except ModuleNotFoundError:
    class Nothing(types.ModuleType):
        """A module in which every name that is asked for is there, and empty."""

        def __getattr__(self, name):
            return sys.modules.get(f"{self.__name__}.{name}") or type(name, (), {})

    for name in ["torch", "torch.nn", "torch.nn.functional", "torch.optim", "torch.utils", "torch.utils.data"]:
        sys.modules[name] = Nothing(name)

import numpy as np
from obp.dataset import OpenBanditDataset
from obp.ope import (
    DirectMethod,
    DoublyRobust,
    InverseProbabilityWeighting,
    OffPolicyEvaluation,
    SelfNormalizedInverseProbabilityWeighting,
    SwitchDoublyRobust,
)
from obp.policy import BernoulliTS

folder = pathlib.Path(sys.argv[1])
dataset = OpenBanditDataset(behavior_policy="random", campaign="all")
feedback = dataset.obtain_batch_bandit_feedback()
policy = BernoulliTS(
    n_actions=dataset.n_actions,
    len_list=dataset.len_list,
    is_zozotown_prior=True,
    campaign="all",
    random_state=12345,
)
chances = policy.compute_batch_action_dist(n_sim=10_000, n_rounds=feedback["n_rounds"])
rewards, rounds = feedback["reward"].astype(np.float64), np.arange(feedback["n_rounds"])
predicted = np.full(chances.shape, rewards.mean())
chosen = chances[rounds, feedback["action"], feedback["position"]]
for name, values in [
    ("rewards", rewards),
    ("logged", feedback["pscore"]),
    ("target", chosen),
    ("predicted", np.full(rewards.size, rewards.mean())),
]:
    np.ascontiguousarray(values, dtype=np.float64).tofile(folder / f"{name}.bin")
estimators = [
    InverseProbabilityWeighting(),
    SelfNormalizedInverseProbabilityWeighting(),
    DirectMethod(),
    DoublyRobust(),
    SwitchDoublyRobust(),
]
pipeline = OffPolicyEvaluation(bandit_feedback=feedback, ope_estimators=estimators)
begun = time.perf_counter()
values = pipeline.estimate_policy_values(action_dist=chances, estimated_rewards_by_reg_model=predicted)
pipeline.estimate_intervals(
    action_dist=chances, estimated_rewards_by_reg_model=predicted, n_bootstrap_samples=1_000, random_state=1
)
seconds = time.perf_counter() - begun
print(json.dumps({"seconds": seconds, "ips": float(values["ipw"]), "snips": float(values["snipw"])}))
