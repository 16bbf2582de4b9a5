"""The fields of a BlockSearch that a user may set.

The models describe a *resolved* search, in which every field has a value. A user writes less:
the other fields come from the preset (:mod:`blockqnn_api.resolve`) or from the default here.
The docstrings are the descriptions that ``kubectl explain blocksearch.spec`` prints.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.training import TrainingSpec
from blockqnn.contract.trial_group import MOST_BLOCKS_PER_JOB
from blockqnn.model import Model
from blockqnn.network.spec import NetworkSpec
from blockqnn.settings.presets import DEFAULT_PRESET, PURPOSES
from blockqnn.settings.search import AgentSettings, RewardSettings, SpaceSettings
from blockqnn_api.finalists_spec import MOST_ACCELERATORS, Finalists
from blockqnn_api.free_form import FreeForm, Resources, Volume

LONGEST_NAME = 40
"""The longest name of a BlockSearch: its Jobs' names, and their Pods', must fit 63 characters."""

MOST_TRIALS = 99_999
"""The largest budget: a trial's number has five digits in the names of its objects."""


DURATION = StringConstraints(min_length=2, max_length=16)
"""Hours, minutes and seconds; the rules of the definition say the rest."""


class Budget(Model):
    """The limits that end the search: once one of them is reached, no more trials are started.

    Raise or remove the limit to make a finished search go on.
    """

    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)]
    """Number of blocks to propose, duplicates included. The papers: 11,392."""

    duration: Annotated[str, DURATION] | None = None
    """Maximum duration of the search from `status.startTime` on, pauses included, such as `72h`."""

    gpu_hours: Annotated[float, Field(gt=0, le=10_000_000)] | None = None
    """Maximum GPU time of the trials that have ended, in hours. Trials that run when it is reached
    come on top, unless `suspendPolicy` is `Stop`, and so do the finalists."""

    target_accuracy: Annotated[float, Field(gt=0, le=1)] | None = None
    """Validation accuracy, from 0 to 1, that is enough: once a trial has reached it, the search
    waits for no other."""


class FailurePolicy(Model):
    """Treatment of trials that fail for reasons other than their block."""

    retries: Annotated[int, Field(ge=0, le=20)] = 2
    """Number of times a trial is started again before it counts as failed: its Pod when it fails,
    its Job when the trainer succeeds without a result. Drained, preempted and deleted Pods do not
    count."""

    max_failed_trials: Annotated[int, Field(ge=0, le=MOST_TRIALS)] = 20
    """Maximum number of failed trials; the search fails when more have failed."""

    trial_timeout: Annotated[str, DURATION] = "2h"
    """Maximum run time of a trial's Pod, such as `90s`, `45m` or `1h30m`; after it the trial
    fails. Pods that train several blocks may take that long for each.
    The time in which the Pod waits for a node does not count."""

    pending_timeout: Annotated[str, DURATION] = "15m"
    """Maximum time that a Pod may fail to start for a reason of its own, such as an image that
    cannot be pulled, before its trial has failed. A Pod that waits for a node may wait forever.
    The default allows a kubelet, which waits at most 5m between two pulls, seven of them."""


class Dataset(DatasetSpec):
    """The images that the search trains on."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=512)] = "/data"
    """Path of the files inside the trial's container; `digits` needs none.

    For `npz`: one file, or a directory whose `*.npz` files other than `test.npz` are read in the
    order of their names; each has `x` (uint8, N x height x width x channels) and `y` (N labels).

    For `imagefolder`: a directory with the class folders, or with the folders `train`, and `test`
    (or `val`, or `validation`), that hold them.
    """

    volume: Volume | None = None
    """The volume that holds the files: one volume source of a Pod, such as
    `persistentVolumeClaim: {claimName: datasets}`. It is mounted at `path`: writable for the Job
    that prepares the images before the first trial, read-only for the trials."""


class Retention(Model):
    """Number of Jobs to keep for their logs after their results are in the history."""

    failed: Annotated[int, Field(ge=0, le=1000)] = 10
    """Number of Jobs of failed or infeasible trials to keep, the latest first."""

    succeeded: Annotated[int, Field(ge=0, le=1000)] = 0
    """Number of Jobs of succeeded trials to keep, the latest first."""


class PodMetadata(Model):
    """Labels and annotations of every trial's Pod besides the operator's."""

    labels: dict[str, str] = Field(default_factory=dict, max_length=64)
    """Labels to add; the operator's own win."""

    annotations: dict[str, str] = Field(default_factory=dict, max_length=64)
    """Annotations to add."""


class PodTemplate(Model):
    """A partial Pod template that is merged over the operator's.

    Maps are merged key by key; containers, volumes and env by `name`, volumeMounts by `mountPath`;
    any other list replaces the operator's, and so does a map with `$patch: replace`. The API server
    validates the result.
    """

    metadata: PodMetadata = PodMetadata()
    spec: FreeForm = Field(default_factory=dict)
    """Any field of a Pod's spec; the container that trains is called `trainer`."""


DEFAULT_TRAINER_IMAGE = "ghcr.io/blockqnn/blockqnn-trainer:0.1.0"
"""The trainer's image where neither the search nor the operator's command line names one."""


class Trial(Model):
    """The Job of a trial."""

    image: Annotated[str, StringConstraints(min_length=1, max_length=512)] = DEFAULT_TRAINER_IMAGE
    """The trainer's image; by default the one that the operator was installed with."""

    resources: Resources = Field(default={"limits": {"nvidia.com/gpu": 1}})
    """The resources of the trainer's container, as in a Pod; one GPU unless something is given."""

    accelerators: Annotated[int, Field(ge=0, le=MOST_ACCELERATORS)] | None = None
    """Number of accelerators that a trial's Pod holds, for `budget.gpuHours` and the metrics.
    Default: the devices of known vendors among the limits of the trainer's container. Shares of a
    device, such as its memory, and resource claims count as none."""

    blocks_per_job: Annotated[int, Field(ge=1, le=MOST_BLOCKS_PER_JOB)] = 1
    """Number of blocks of an iteration that one Job trains, one after another in one process. Short
    trials gain by it, since they share the start of the process and the reading of the images. The
    results of a Job are collected when its Pod ends, however it ends; all of them are lost only if
    the node of the Pod is lost. The number does not change what the search proposes and learns."""

    pod_template: PodTemplate = PodTemplate()
    """Additions to the trials' Pods: nodeSelector, tolerations, volumes, labels, env, ..."""

    retain: Retention = Retention()


_PRESETS = "\n\n".join(
    [
        f"Source of the omitted fields; a field that is set wins. Default: `{DEFAULT_PRESET}`.",
        *(f"`{name}`: {PURPOSES[name]}." for name in sorted(PURPOSES)),
    ]
)


class BlockSearchSpec(Model):
    """A search for a block.

    Only `dataset.name` must be given, which makes a search of 512 trials. The preset fills the
    fields of `space`, `agent`, `reward`, `network`, `training`, `dataset.validation` and `budget`
    that are omitted; once the search has started they stay as they are.
    """

    preset: Annotated[
        Literal["AAAI2017", "CVPR2018", "Efficient", "MetaQNN", "OneGPU"],
        Field(description=_PRESETS),
    ] = DEFAULT_PRESET

    seed: Annotated[int, Field(ge=0, le=2**53 - 1)] = 0
    """Seed of every random choice: the same spec and seed propose the same blocks."""

    suspend: bool = False
    """True to start no more trials; the search goes on when it is false again."""

    suspend_policy: Literal["Drain", "Stop"] = "Drain"
    """Treatment of the running trials when no more are started, because the search is suspended, a
    budget is reached, or too many trials have failed: `Drain` lets them finish, `Stop` deletes
    their Jobs. A stopped trial is started anew if the search goes on."""

    parallelism: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Number of trials that run at the same time, each in a Pod of its own."""

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
