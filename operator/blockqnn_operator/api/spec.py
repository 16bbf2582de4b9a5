"""The fields of a BlockSearch: what a user may ask for.

The models describe a *resolved* search, in which every field has a value. A user writes less: what
is left out comes from the preset (:mod:`blockqnn_operator.api.resolve`) or from the default here.
The docstrings are the descriptions that ``kubectl explain blocksearch.spec`` prints.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.training import TrainingSpec
from blockqnn.contract.trial_group import MOST_BLOCKS_PER_JOB
from blockqnn.model import Model
from blockqnn.network.spec import NetworkSpec
from blockqnn.settings.presets import DEFAULT_PRESET, PURPOSES
from blockqnn.settings.search import AgentSettings, RewardSettings, SpaceSettings
from blockqnn_operator.api.finalists import Finalists

LONGEST_NAME = 40
"""The longest name of a BlockSearch: its Jobs' names, and their Pods', must fit 63 characters."""

MOST_TRIALS = 99_999
"""The largest budget: a trial's number has five digits in the names of its objects."""


DURATION = StringConstraints(min_length=2, max_length=16)
"""Hours, minutes and seconds; the rules of the definition say the rest."""


class Budget(Model):
    """When the search is over: as soon as one of these is reached, no more trials are started.

    Raising it, or taking it away, makes a finished search go on.
    """

    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)]
    """How many blocks are proposed, duplicates included. The papers: 11,392."""

    duration: Annotated[str, DURATION] | None = None
    """How long the search may take from `status.startTime` on, pauses included, such as `72h`."""

    gpu_hours: Annotated[float, Field(gt=0, le=10_000_000)] | None = None
    """How many hours of GPU the trials may take that have ended; what runs when they are reached
    comes on top, unless `suspendPolicy` is `Stop`, and so do the finalists."""

    target_accuracy: Annotated[float, Field(gt=0, le=1)] | None = None
    """The validation accuracy, from 0 to 1, that is enough: the first trial to reach it is the
    last to be waited for."""


class FailurePolicy(Model):
    """What happens to trials that fail for reasons other than their block."""

    retries: Annotated[int, Field(ge=0, le=20)] = 2
    """How often a trial is started again before it counts as failed: its Pod when it fails, its Job
    when the trainer ends well and leaves no result. Drained, preempted and deleted Pods are not
    counted."""

    max_failed_trials: Annotated[int, Field(ge=0, le=MOST_TRIALS)] = 20
    """The search fails when more trials than this have failed."""

    trial_timeout: Annotated[str, DURATION] = "2h"
    """How long a trial's Pod may run, such as `90s`, `45m` or `1h30m`; then the trial has failed.
    Pods that train several blocks may take so long for each.
    The time in which the Pod waits for a node does not count."""

    pending_timeout: Annotated[str, DURATION] = "15m"
    """How long a Pod that cannot start for a reason of its own, such as an image that cannot be
    pulled, may stay so before its trial has failed. A Pod that waits for a node may wait for ever.
    The default leaves a kubelet, which waits at most 5m between two pulls, seven of them."""


class Dataset(DatasetSpec):
    """The images that the search trains on."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=512)] = "/data"
    """Where the files are inside the trial's container; `digits` needs none.

    For `npz`: one file, or a directory whose `*.npz` files other than `test.npz` are read in the
    order of their names; each has `x` (uint8, N x height x width x channels) and `y` (N labels).

    For `imagefolder`: a directory with the class folders, or with the folders `train`, and `test`
    or `val`, that hold them.
    """

    volume: Annotated[dict[str, Any], Field(min_length=1, max_length=1)] | None = None
    """The volume that holds the files: one volume source of a Pod, such as
    `persistentVolumeClaim: {claimName: datasets}`. It is mounted at `path`: writable for the Job
    that prepares the images before the first trial, read-only for the trials."""


class Retention(Model):
    """Which Jobs are kept for their logs after their results are in the history."""

    failed: Annotated[int, Field(ge=0, le=1000)] = 10
    """How many Jobs of failed or infeasible trials are kept, the latest first."""

    succeeded: Annotated[int, Field(ge=0, le=1000)] = 0
    """How many Jobs of succeeded trials are kept, the latest first."""


class PodMetadata(Model):
    """Labels and annotations that every trial's Pod gets besides the operator's."""

    labels: dict[str, str] = Field(default_factory=dict, max_length=64)
    """Labels to add; the operator's own win."""

    annotations: dict[str, str] = Field(default_factory=dict, max_length=64)
    """Annotations to add."""


class PodTemplate(Model):
    """A partial Pod template that is merged over the operator's.

    Maps are merged key by key; containers, volumes and env by `name`, volumeMounts by `mountPath`;
    any other list replaces the operator's. The API server judges the result.
    """

    metadata: PodMetadata = PodMetadata()
    spec: dict[str, Any] = Field(default_factory=dict)
    """Any field of a Pod's spec; the container that trains is called `trainer`."""


DEFAULT_TRAINER_IMAGE = "ghcr.io/blockqnn/blockqnn-trainer:0.1.0"
"""The trainer's image where neither the search nor the operator's command line names one."""


class Trial(Model):
    """How the Job of a trial looks."""

    image: Annotated[str, StringConstraints(min_length=1, max_length=512)] = DEFAULT_TRAINER_IMAGE
    """The trainer's image; by default the one that the operator was installed with."""

    resources: dict[str, dict[str, str | int]] = Field(
        default={"limits": {"nvidia.com/gpu": 1}}, max_length=3
    )
    """The resources of the trainer's container, as in a Pod; one GPU unless something is given."""

    blocks_per_job: Annotated[int, Field(ge=1, le=MOST_BLOCKS_PER_JOB)] = 1
    """How many blocks of an iteration one Job trains, one after another in one process. Short
    trials gain by it, since they share the start of the process and the reading of the images. The
    results of a Job are collected when its Pod ends, however it ends; only a Pod whose node is lost
    takes all of them with it. What the search proposes and learns is the same whatever the
    number."""

    pod_template: PodTemplate = PodTemplate()
    """What to add to the trials' Pods: nodeSelector, tolerations, volumes, labels, env, ..."""

    retain: Retention = Retention()


_PRESETS = "\n\n".join(
    [
        f"Where the fields that are left out come from; a field set here wins. By default "
        f"`{DEFAULT_PRESET}`.",
        *(f"`{name}`: {PURPOSES[name]}." for name in sorted(PURPOSES)),
    ]
)


class BlockSearchSpec(Model):
    """A search for a block.

    Only `dataset.name` must be given, which makes a search of 512 trials. The preset fills the
    fields of `space`, `agent`, `reward`, `network`, `training`, `dataset.validation` and `budget`
    that are left out; once the search has started they stay as they are.
    """

    preset: Annotated[
        Literal["AAAI2017", "CVPR2018", "Efficient", "MetaQNN", "OneGPU"],
        Field(description=_PRESETS),
    ] = DEFAULT_PRESET

    seed: Annotated[int, Field(ge=0, le=2**53 - 1)] = 0
    """Fixes every random choice: the same spec and seed propose the same blocks."""

    suspend: bool = False
    """While true no trial is started; the search goes on when it is false again."""

    suspend_policy: Literal["Drain", "Stop"] = "Drain"
    """What becomes of the running trials when no more are started, because the search is suspended,
    a budget is reached, or too many trials have failed: `Drain` lets them finish, `Stop` deletes
    their Jobs. A stopped trial is tried anew if the search goes on."""

    parallelism: Annotated[int, Field(ge=1, le=10_000)] = 32
    """How many trials run at the same time, each in a Pod of its own."""

    budget: Budget
    failure_policy: FailurePolicy = FailurePolicy()
    space: SpaceSettings
    agent: AgentSettings
    reward: RewardSettings
    network: NetworkSpec
    dataset: Dataset
    training: TrainingSpec
    trial: Trial = Trial()
    finalists: Finalists | None = None
