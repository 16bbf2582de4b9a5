"""The science of BlockQNN: blocks, their search space, and the agent that learns it.

Pure: the standard library and pydantic. No cluster, no tensor, no clock, no I/O.

The names below are the public interface for your own trainers and for notebooks, and those of
:mod:`blockqnn.strategies` for your own strategies; everything else may move between versions.
"""

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome
from blockqnn.contract.trial import TrialResult, TrialSpec
from blockqnn.contract.trial_group import read_trials, write_results
from blockqnn.errors import BlockQNNError
from blockqnn.learning.calibration import calibrate
from blockqnn.network.spec import NetworkSpec

__all__ = [
    "Block",
    "BlockQNNError",
    "NetworkSpec",
    "Outcome",
    "TrialResult",
    "TrialSpec",
    "calibrate",
    "canonical_hash",
    "read_trials",
    "write_results",
]
