"""What a search may be told: the space, the agent and the reward.

No field has a default here: presets fill what a user leaves out (:mod:`blockqnn.settings.presets`).
The docstrings are the descriptions of the BlockSearch resource.
"""

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, field_validator

from blockqnn.block.layer_types import Convolution, LayerName, in_order
from blockqnn.model import Model
from blockqnn.network.spec import Constraints, NetworkSpec
from blockqnn.settings.epsilon_schedule import EpsilonStage


class SpaceSettings(Model):
    """Which blocks there are."""

    max_layers: Annotated[int, Field(ge=2, le=64)]
    """The largest index of a layer, the terminal included; at this index only the terminal is left.

    CVPR 2018, section 4.2: 23.
    """

    start_with_identity: bool
    """Whether the first layer is always an identity, so that later layers can refer to the block's
    input. AAAI 2017 says so; CVPR 2018, Fig. 4 shows other first layers.
    """

    layers: Annotated[
        tuple[LayerName, ...],
        Field(min_length=1, max_length=9, json_schema_extra={"x-kubernetes-list-type": "set"}),
        AfterValidator(in_order),
    ]
    """Which types of layers blocks are made of besides the terminal, in any order. The papers'
    (CVPR 2018, table 1) are `Convolution`, `MaxPooling`, `AveragePooling`, `Identity`, `Add` and
    `Concat`; without the two poolings the space is free of pooling.

    Types that the papers' table does not have: `SeparableConvolution`, a depthwise convolution with
    kernel 3 or 5 and a 1x1 convolution; `Bottleneck`, a 1x1 convolution to a quarter of the stage's
    width; `PreviousInput`, what the previous block took as its input, so that what takes it skips
    that block. One of `Convolution` and `SeparableConvolution` is needed.
    """

    convolution: Convolution
    """How ReLU, convolution and batch norm are searched: `PCC`, together, as the pre-activation
    cell of CVPR 2018, section 3.1; `Separate`, as three types of layers, which the papers compare
    it to (CVPR 2018, Fig. 9; AAAI 2017, Fig. 3) and find worse."""

    constraints: Constraints

    adaptive_repeats: bool
    """Whether each block is stacked as often as the constraints allow, at most `network.repeats`
    times, and may be proposed if it is within them when stacked once (CVPR 2018, section 5.2:
    adaptive block numbers). Otherwise every block is stacked `network.repeats` times."""


class ReplaySettings(Model):
    """How past trials are learned from again after each iteration (CVPR 2018, section 4.2)."""

    sample_size: Annotated[int, Field(ge=1, le=65_536)]
    """How many past trials are drawn, with replacement, all with the same probability."""

    updates: Annotated[int, Field(ge=0, le=1_000_000)]
    """How many times a drawn trial updates the values, in turn: the first, the second, and so on,
    then the first again. 64 updates of 64 trials each, as in the papers, are 4096 of both."""

    weighting: Literal["Uniform", "Rank"]
    """How likely each trial is drawn: `Uniform`, all alike, as in the papers; `Rank`, the better
    the likelier, in proportion to 1 / (k + 0.05 m + 1) for the trial with k better ones, of m."""


class PredictorSettings(Model):
    """Training only the blocks of which a predictor expects most (TPAMI 2020, the faster version).

    The predictor learns from all trained blocks, anew for each iteration.
    """

    enabled: Annotated[bool, Field(exclude=True)] = True
    """Whether the predictor is used: `false` switches off that of a preset."""

    candidates: Annotated[int, Field(ge=1, le=100)] = 10
    """How many blocks are drawn for each one that is trained."""

    mutated: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The share of these that are small changes of the best blocks so far (White et al. 2021);
    Q-learning draws the others."""

    optimism: Annotated[float, Field(ge=0, le=100)] = 3.0
    """How far a block may be better than expected, in standard deviations, when blocks are chosen:
    0 trusts the predictor, more tries what it is unsure of."""

    keep_random: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The share of each iteration that is trained whatever is expected of it."""

    warmup: Annotated[int, Field(ge=0, le=100_000)] = 128
    """How many blocks are trained before the predictor has a say; while epsilon is 1 it has
    none. A search takes 15 % of its trials, at most 128, where it is left out."""


class EarlyTermination(Model):
    """Trainings stop themselves that will not be among the best.

    Lines fitted to the complete trainings so far extrapolate the accuracy; where it stays
    `deviations` below what it takes to be among the best `share` by reward, the training ends, and
    the extrapolated accuracy counts. Only in iterations that depend on what was learned.
    """

    enabled: Annotated[bool, Field(exclude=True)] = True
    """Whether trainings may stop themselves: `false` switches off what a preset says."""

    share: Annotated[float, Field(ge=0, le=1)] = 0.01
    """The share of the complete trainings, by reward, that a block must have a chance to join."""

    deviations: Annotated[float, Field(ge=0, le=100)] = 2.5
    """How sure it must be that it will not, in standard deviations of the extrapolation."""

    epochs: Annotated[
        tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(min_length=1, max_length=32)
    ] = (4, 5, 6, 7, 8)
    """After which epochs that is looked at. A search takes 4/12 to 8/12 of `training.epochs` where
    they are left out, rounded: of 12, the first three say little (measured)."""

    warmup: Annotated[int, Field(ge=10, le=100_000)] = 50
    """How many trainings are completed before any may stop."""


Switched = TypeVar("Switched", PredictorSettings | None, EarlyTermination | None)


class EvolutionSettings(Model):
    """How regularized evolution breeds (Real et al. 2019); only `algorithm: Evolution` does."""

    population_size: Annotated[int, Field(ge=2, le=10_000)]
    """How many of the latest trials may have offspring; as many come at random first."""

    sample_size: Annotated[int, Field(ge=1, le=10_000)]
    """How many of them are drawn for each offspring, of which the best is its parent."""


class AgentSettings(Model):
    """How blocks are proposed and what is learned from them."""

    algorithm: Literal["QLearning", "RandomSearch", "Evolution"]
    """`QLearning` is the papers'; `RandomSearch` is their baseline (CVPR 2018, appendix A);
    `Evolution` is regularized evolution, the baseline of the field (Real et al. 2019)."""

    batch_size: Annotated[int, Field(ge=1, le=4096)]
    """How many blocks are proposed at a time, from the same values. The papers: 64."""

    pipelining: Annotated[int, Field(ge=0, le=16)]
    """How many further iterations may run beside the one that is learned next: iteration t is
    proposed from the values as of iteration t - 1 - pipelining. 0, as in the papers, lets an
    iteration wait for the slowest block of the one before; 1 keeps all slots busy, at the price of
    values that are one iteration older. What is proposed never depends on timing."""

    random_step: Literal["TypeFirst", "Flat"]
    """How a layer is drawn at random: `TypeFirst` draws its type, then among the layers of that
    type; `Flat` draws among all layers, most of which are adds and concats. The papers do not say;
    `TypeFirst` gives simple blocks early, as CVPR 2018, appendix B shows: with maxLayers 23 they
    have 6 layers on average, with `Flat` 16. A choice among layers of equal value is drawn in the
    same way.
    """

    learning_rate: Annotated[float, Field(gt=0, le=1)]
    """How far an update moves a value towards the newly observed one: alpha in the papers, 0.01."""

    discount: Annotated[float, Field(ge=0, le=1)]
    """The weight of later rewards: gamma in the papers, 1."""

    duplicates: Literal["Keep", "Redraw"]
    """What becomes of a block that means the same network as an earlier one: `Keep` proposes it,
    as in the papers, and it shares the earlier result; `Redraw` draws again, up to 200 times."""

    state: Literal["LastLayer", "BackOff"]
    """What values are kept for. `LastLayer`: each next layer after each last layer, indices and
    predecessors included, as in the papers. `BackOff`: kinds of next layers in kinds of situations,
    from coarse to fine, so that a few hundred trials suffice."""

    shaping: Literal["AAAI2017", "CVPR2018", "CVPR2018MaxIndex", "MetaQNN", "Uniform", "Learned"]
    """The reward of each layer of a block with T layers and the reward r.

    `CVPR2018`: r/T, and r for the terminal; `CVPR2018MaxIndex`: r/maxLayers, and r for the
    terminal; `AAAI2017`: r; `MetaQNN`: 0, and r for the terminal;
    `Uniform`: r/T, which does not add up to more for longer blocks and yet rewards every layer;
    `Learned`: what a regression over all trials puts down to each layer, adding up to r.
    """

    reward_scale: Literal["Percent", "Rank"]
    """What is learned from: `Percent`, the reward itself, as in the papers; `Rank`, the share of
    trials so far with a lower reward, from 0 to 1, ranked anew after each iteration."""

    initialization: Literal["Constant", "FirstTarget"]
    """Where values begin. `Constant`: at `initialValue`, from which each update moves them by
    `learningRate`. `FirstTarget`: a value is the first target that reaches it, and moves from
    there; layers that were never tried have none, and are chosen at random alone. With a small
    `learningRate`, `Constant` values say how often a layer was tried rather than what it is worth
    (docs/papers.md). Only `state: LastLayer` has `FirstTarget`."""

    initial_value: Annotated[float, Field(ge=-1000, le=1000)]
    """The value of what was never tried, on the scale of the reward, with
    `initialization: Constant`. MetaQNN's algorithm: 0."""

    epsilon_schedule: Annotated[tuple[EpsilonStage, ...], Field(min_length=1, max_length=64)]
    """How likely a layer is drawn at random, stage after stage (CVPR 2018, Table 2)."""

    replay: ReplaySettings

    evolution: EvolutionSettings

    early_termination: EarlyTermination | None
    """Lets trainings stop themselves that will not be among the best; absent, none does."""

    predictor: PredictorSettings | None
    """Trains only the blocks of which a predictor expects most; absent, all that are drawn. Only
    `algorithm: QLearning` with `duplicates: Redraw` can; with others the preset's is left out."""

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
    """Everything that decides what a search proposes and how it values a result."""

    space: SpaceSettings
    agent: AgentSettings
    reward: RewardSettings
    network: NetworkSpec
