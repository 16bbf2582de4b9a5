"""The redefined reward: accuracy after few epochs, corrected by cost and density.

CVPR 2018, section 3.3: the FLOPs and the density of a block correlate negatively with its accuracy
after full training, beyond what its accuracy after 12 epochs shows. So the paper subtracts
mu ln(FLOPs) + rho ln(density), with mu 1 and rho 8; these weights make sense for accuracies in
percent only. Both are signed here: on the whole of NAS-Bench-201, a negative mu predicts the final
accuracy better.

The paper counts the FLOPs of the block without naming a unit. A unit adds the same constant to
every reward and so changes nothing but the values' zero; it is one 1x1 convolution here, so that
rewards stay near the accuracy.
"""

from functools import lru_cache
from math import log

from blockqnn.block.graph import density
from blockqnn.block.nsc import Block
from blockqnn.contract.metrics import Metrics
from blockqnn.network.cost import block_macs
from blockqnn.network.spec import NetworkSpec
from blockqnn.settings.search import RewardSettings


def reward(block: Block, metrics: Metrics, settings: RewardSettings, network: NetworkSpec) -> float:
    """Value a trained block by what its training measured.

    The MACs are those of one block for one position of the image in the first stage, with the
    projection of its output where the network has one, divided by those of one 1x1 convolution.
    A block without any convolution counts as one: else ln 0 would make it the best of all.

    Args:
        block: the block.
        metrics: what was measured; without an accuracy it counts as 0.
        settings: the weights of cost and density.
        network: the stacking of the block; only its first width and its output projection matter.

    Returns:
        The reward in percent; with weights of zero, 100 times the accuracy.
    """
    accuracy = metrics.get("accuracy", 0.0)
    cost, crowding = _logarithms(block, network.filters[0], network.output_projection)
    return 100 * accuracy - settings.macs_weight * cost - settings.density_weight * crowding


@lru_cache(maxsize=4096)
def _logarithms(block: Block, width: int, projection: bool) -> tuple[float, float]:
    """Return ln(MACs) and ln(density); cached, as a block in flight is valued many times."""
    unit = width * width
    macs = max(block_macs(block, width, projection), unit)
    return log(macs / unit), log(density(block))


def floor_reward(block: Block, settings: RewardSettings, network: NetworkSpec) -> float:
    """Value an infeasible block: the reward of the same block with an accuracy of 0."""
    return reward(block, {}, settings, network)


def redefined_reward(
    block: Block, accuracy: float, settings: RewardSettings, network: NetworkSpec
) -> float:
    """Value a block of which only the accuracy, from 0 to 1, was measured."""
    return reward(block, {"accuracy": accuracy}, settings, network)
