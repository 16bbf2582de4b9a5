"""Settings of a search: the space, the agent and the reward.

Presets fill in the fields that a user omits (:mod:`blockqnn.settings.presets`).
The docstrings are the descriptions of the BlockSearch resource.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, StringConstraints, field_validator

from blockqnn.block.layer_types import Convolution, LayerName, in_order
from blockqnn.model import Model
from blockqnn.network.spec import Constraints, NetworkSpec
from blockqnn.settings.epsilon_schedule import EpsilonStage


class SpaceSettings(Model):
    """Blocks that a search may propose."""

    max_layers: Annotated[int, Field(ge=2, le=64)]
    """Largest index of a layer, terminal included; only the terminal can have this index.

    CVPR 2018, section 4.2: 23.
    """

    start_with_identity: bool
    """True if the first layer is always an identity, so that later layers can refer to the block's
    input, as in AAAI 2017; CVPR 2018, Fig. 4 shows other first layers.
    """

    layers: Annotated[
        tuple[LayerName, ...],
        Field(min_length=1, max_length=9, json_schema_extra={"x-kubernetes-list-type": "set"}),
        AfterValidator(in_order),
    ]
    """Types of layers in the blocks besides the terminal, in any order. The papers' types
    (CVPR 2018, table 1) are `Convolution`, `MaxPooling`, `AveragePooling`, `Identity`, `Add` and
    `Concat`; without the two poolings the space is free of pooling.

    Types that the papers' table does not have: `SeparableConvolution`, a depthwise convolution with
    kernel 3 or 5 and a 1x1 convolution; `Bottleneck`, a 1x1 convolution to a quarter of the stage's
    width; `PreviousInput`, the input of the previous block, so that a layer that takes it skips
    that block. One of `Convolution` and `SeparableConvolution` is needed.
    """

    convolution: Convolution
    """Layers that a convolution is searched as. `PCC`: together, as the pre-activation cell of
    CVPR 2018, section 3.1. `Separate`: as three types of layers, which the papers compare with
    `PCC` (CVPR 2018, Fig. 9; AAAI 2017, Fig. 3) and find worse."""

    constraints: Constraints

    adaptive_repeats: bool
    """True if each block is stacked as often as the constraints allow, at most `network.repeats`
    times, and may be proposed if it keeps them when stacked once (CVPR 2018, section 5.2: adaptive
    block numbers). Otherwise every block is stacked `network.repeats` times."""


class ReplaySettings(Model):
    """Replay of past trials after each iteration (CVPR 2018, section 4.2)."""

    sample_size: Annotated[int, Field(ge=1, le=65_536)]
    """Number of past trials that are drawn, with replacement."""

    updates: Annotated[int, Field(ge=0, le=1_000_000)]
    """Number of updates of the values by the drawn trials, in turn: the first, the second, and so
    on, then the first again. 64 updates of 64 trials each, as in the papers, are 4096 of both."""

    weighting: Literal["Uniform", "Rank"]
    """Probability of each trial in the draw: `Uniform`, the same for all, as in the papers; `Rank`,
    higher for better trials, in proportion to 1 / (k + 0.05 m + 1) for the trial with k better
    ones, of m."""


class PredictorSettings(Model):
    """Predictor that selects the best blocks for training (TPAMI 2020, the faster version).

    It learns from all trained blocks, again for each iteration.
    """

    enabled: Annotated[bool, Field(exclude=True)] = True
    """True if the predictor is used; `false` switches off that of a preset."""

    candidates: Annotated[int, Field(ge=1, le=100)] = 10
    """Number of blocks that are drawn for each block that is trained."""

    mutated: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the drawn blocks that are small changes of the best blocks so far (White et al.
    2021); Q-learning draws the others."""

    optimism: Annotated[float, Field(ge=0, le=100)] = 3.0
    """Bonus for uncertain blocks in the choice, in standard deviations of the prediction: 0 trusts
    the predictor, higher values try blocks that it is unsure of."""

    keep_random: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of each iteration that is chosen at random, whatever the prediction."""

    warmup: Annotated[int, Field(ge=0, le=100_000)] = 128
    """Number of blocks that are trained before the predictor is used; it is never used while
    epsilon is 1. If omitted, a search takes 15 % of its trials, at most 128."""


class EarlyTermination(Model):
    """Early end of trainings that will not be among the best.

    Lines fitted to the complete trainings so far extrapolate the accuracy. If it stays `deviations`
    below the accuracy needed for the best `share` by reward, the training ends, and the
    extrapolated accuracy counts. Only in iterations that depend on learned values.
    """

    enabled: Annotated[bool, Field(exclude=True)] = True
    """True if trainings may stop early; `false` switches off the setting of a preset."""

    share: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of the best complete trainings, by reward, that a block must have a chance to join."""

    deviations: Annotated[float, Field(ge=0, le=100)] = 2.5
    """Certainty needed to stop a training, in standard deviations of the extrapolation."""

    epochs: Annotated[
        tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(min_length=1, max_length=32)
    ] = (4, 5, 6, 7, 8)
    """Epochs after which a training may stop. If omitted, a search takes 4/12 to 8/12 of
    `training.epochs`, rounded: of 12, the first three predict little (measured)."""

    warmup: Annotated[int, Field(ge=10, le=100_000)] = 50
    """Number of complete trainings before any may stop."""


Switched = TypeVar("Switched", PredictorSettings | None, EarlyTermination | None)


class EvolutionSettings(Model):
    """Regularized evolution (Real et al. 2019)."""

    population_size: Annotated[int, Field(ge=2, le=10_000)]
    """Number of the latest trials that may have offspring; as many are first drawn at random."""

    sample_size: Annotated[int, Field(ge=1, le=10_000)]
    """Number of these that are drawn for each offspring; the best of them is its parent."""


class AgentSettings(Model):
    """Agent that proposes blocks and learns from them.

    A field that has no effect with the chosen algorithm is refused.
    """

    algorithm: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]*$", max_length=63)]
    """`QLearning` is the papers'; `RandomSearch` is their baseline (CVPR 2018, appendix A);
    `Evolution` is regularized evolution, the baseline of the field (Real et al. 2019). Other names
    are strategies that packages installed with the operator register
    (docs/tasks/write-a-strategy.md)."""

    batch_size: Annotated[int, Field(ge=1, le=4096)]
    """Number of blocks that are proposed at a time, from the same values. The papers: 64."""

    pipelining: Annotated[int, Field(ge=0, le=16)]
    """Number of further iterations that may run beside the one that is learned next: iteration t is
    proposed from the values as of iteration t - 1 - pipelining. With 0, as in the papers, an
    iteration waits for the slowest block of the previous one; 1 keeps all slots busy, at the price
    of values that are one iteration older. Proposals never depend on timing."""

    random_step: Literal["TypeFirst", "Flat"]
    """Random draw of a layer: `TypeFirst` draws its type, then one of the layers of that type;
    `Flat` draws one of all layers, most of which are adds and concats. The papers do not say;
    `TypeFirst` gives simple blocks early, as CVPR 2018, appendix B shows: with maxLayers 23 they
    have 6 layers on average, with `Flat` 16. Ties between layers of equal value are broken in the
    same way.
    """

    learning_rate: Annotated[float, Field(gt=0, le=1)]
    """Step of an update from a value towards the newly observed one: alpha in the papers, 0.01."""

    discount: Annotated[float, Field(ge=0, le=1)]
    """Weight of later rewards: gamma in the papers, 1."""

    duplicates: Literal["Keep", "Redraw"]
    """Handling of a block that means the same network as an earlier one: `Keep` proposes it, as in
    the papers, and it shares the earlier result; `Redraw` draws again, up to 200 times."""

    state: Literal["LastLayer", "BackOff"]
    """Decisions that have a value of their own. `LastLayer`: each next layer after each last layer,
    indices and predecessors included, as in the papers. `BackOff`: kinds of next layers in kinds of
    states, from coarse to fine, so that a few hundred trials suffice."""

    shaping: Literal["AAAI2017", "CVPR2018", "CVPR2018MaxIndex", "MetaQNN", "Uniform", "Learned"]
    """Reward of each layer of a block with T layers and the reward r.

    `CVPR2018`: r/T, and r for the terminal; `CVPR2018MaxIndex`: r/maxLayers, and r for the
    terminal; `AAAI2017`: r; `MetaQNN`: 0, and r for the terminal;
    `Uniform`: r/T, which does not add up to more for longer blocks and yet rewards every layer;
    `Learned`: the share that a regression over all trials assigns to each layer, adding up to r.
    """

    reward_scale: Literal["Percent", "Rank"]
    """Scale of the reward in learning: `Percent`, the reward itself, as in the papers; `Rank`, the
    share of trials so far with a lower reward, from 0 to 1, ranked again after each iteration."""

    initialization: Literal["Constant", "FirstTarget"]
    """Initial values. `Constant`: all start at `initialValue`, from which each update moves them by
    `learningRate`. `FirstTarget`: a value starts at its first target, and moves from there; layers
    that were never tried have no value, and are chosen at random only. With a small `learningRate`,
    `Constant` values show how often a layer was tried rather than its worth (docs/papers.md).
    `FirstTarget` needs `state: LastLayer`."""

    initial_value: Annotated[float, Field(ge=-1000, le=1000)]
    """Value of a layer that was never tried, on the scale of the reward, with
    `initialization: Constant`. MetaQNN's algorithm: 0."""

    epsilon_schedule: Annotated[tuple[EpsilonStage, ...], Field(min_length=1, max_length=64)]
    """Probability of a random layer, stage by stage (CVPR 2018, Table 2)."""

    replay: ReplaySettings

    evolution: EvolutionSettings

    early_termination: EarlyTermination | None
    """Early end of trainings that will not be among the best; if omitted, none stops early."""

    settings: Annotated[dict[str, Any], Field(max_length=64)]
    """Settings of an algorithm that another package registers; the package says which there are.
    They are checked when the search is resolved."""

    predictor: PredictorSettings | None
    """Predictor that selects the best blocks for training; if omitted, all drawn blocks are
    trained. It needs `duplicates: Redraw`; otherwise the predictor of a preset is not used."""

    @field_validator("early_termination", "predictor")
    @classmethod
    def _without_what_is_off(cls, value: Switched) -> Switched | None:
        return value if value is not None and value.enabled else None


class RewardSettings(Model):
    """The redefined reward (CVPR 2018, section 3.3), in percent.

    100 x accuracy - macsWeight x ln(MACs) - densityWeight x ln(density), where MACs are those of
    one block at one position of the image, in units of one 1x1 convolution. With both weights 0 it
    is the accuracy alone.
    """

    macs_weight: Annotated[float, Field(ge=-1000, le=1000)]
    """Mu in the paper, 1. A negative weight favours costly blocks."""

    density_weight: Annotated[float, Field(ge=-1000, le=1000)]
    """Rho in the paper, 8. A negative weight favours densely connected blocks."""


class SearchSettings(Model):
    """All settings that determine the proposals of a search and the reward of a result."""

    space: SpaceSettings
    agent: AgentSettings
    reward: RewardSettings
    network: NetworkSpec
