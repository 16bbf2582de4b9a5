"""The science of BlockQNN: blocks, the space they come from, and the agent that learns it.

Pure: the standard library and pydantic. No cluster, no tensor, no clock, no I/O.

What stands below is the public interface for trainers of your own and for notebooks; everything
else may move between versions.
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
