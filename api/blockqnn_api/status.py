"""The status of a BlockSearch: its progress and its results.

Its size is constant, whatever the number of trials. Everything in it is derived from the history
and the trial Jobs, so a lost status is written again as it was.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from blockqnn.contract.metrics import Measured
from blockqnn.model import Model

MOST_TOP = 10
"""Number of blocks that the status lists; the full list is in the history."""

LONGEST_MESSAGE = 1024
"""The longest message of a condition, in characters."""


class Phase(StrEnum):
    """The state of a search in one word; the conditions give the reason."""

    RUNNING = "Running"
    """Trials are started, run, or are learned from."""
    TRAINING_FINALISTS = "TrainingFinalists"
    """The budget is spent, and the best blocks are trained to convergence."""
    SUSPENDED = "Suspended"
    """`spec.suspend` is true. `spec.suspendPolicy` decides what happens to running trials."""
    COMPLETE = "Complete"
    """A part of the budget is spent, nothing runs any more, and the finalists are over. A larger
    budget resumes the search."""
    FAILED = "Failed"
    """The search has stopped. The condition `Failed` gives the cause and the remedy."""


class ConditionType(StrEnum):
    """The aspects of a search that its conditions report."""

    PROGRESSING = "Progressing"
    """True while the search goes on by itself: trials or finalists are started, run, or are learned
    from."""
    COMPLETE = "Complete"
    """True when a part of the budget is spent, or the target accuracy is reached, and nothing runs
    any more."""
    FAILED = "Failed"
    """True when the search has stopped and does not go on until somebody acts."""
    SUSPENDED = "Suspended"
    """True while `spec.suspend` keeps new trials from starting."""
    DATASET_READY = "DatasetReady"
    """True when trials can read the images."""
    FINALISTS_READY = "FinalistsReady"
    """True when every finalist has a result. Present only with `spec.finalists`."""
    DEGRADED = "Degraded"
    """True when something needs attention although the search may go on."""


class Reason(StrEnum):
    """The reason of a condition; ``docs/reference/conditions.md`` is made of these texts."""

    TRIALS_RUNNING = "TrialsRunning"
    """Trials are started, run, or are learned from."""
    BUDGET_SPENT = "BudgetSpent"
    """All trials of `budget.trials` have a result."""
    BUDGET_LEFT = "BudgetLeft"
    """No limit of the budget is reached."""
    GOAL_REACHED = "GoalReached"
    """A trial reached `budget.targetAccuracy`."""
    GPU_HOURS_SPENT = "GpuHoursSpent"
    """The trials have used `budget.gpuHours`."""
    DURATION_SPENT = "DurationSpent"
    """The search has lasted for `budget.duration`."""
    SUSPENDED = "Suspended"
    """`spec.suspend` is true."""
    NOT_SUSPENDED = "NotSuspended"
    """`spec.suspend` is false."""
    TOO_MANY_FAILURES = "TooManyFailures"
    """More trials failed than `failurePolicy.maxFailedTrials` allows. A higher limit resumes the
    search."""
    NO_RESULTS = "NoResults"
    """No trial has an accuracy: all trials of the first iteration failed, or the budget is spent.
    The message says what to do."""
    INVALID_SPEC = "InvalidSpec"
    """Fields of the spec contradict each other."""
    HISTORY_UNREADABLE = "HistoryUnreadable"
    """A ConfigMap of the history is damaged or missing, or a newer operator wrote it."""
    RESULT_INVALID = "ResultInvalid"
    """A termination message or an annotation is not a valid result of its trial or finalist."""
    TRIALS_FAILED = "TrialsFailed"
    """A trial of the latest iterations failed."""
    JOB_REFUSED = "JobRefused"
    """The API server refuses a Job, for instance because of `trial.podTemplate`."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """A ResourceQuota refuses a Job or a ConfigMap. The operator tries again, at least once a
    minute."""
    QUEUED = "Queued"
    """Jobs are suspended until a queue such as Kueue's admits them."""
    UNSCHEDULABLE = "Unschedulable"
    """Pods wait for a node. The message quotes the scheduler."""
    PODS_MISSING = "PodsMissing"
    """Jobs have had no Pod for a minute: a quota or a webhook refuses it, or the Job controller
    does not run."""
    PODS_STALLED = "PodsStalled"
    """Pods cannot start, such as for an image that cannot be pulled; have a node and have not
    started for 2 minutes; or have not ended a minute after they should. Or a deleted Job stays.
    The message names the Pod, its node and the kubelet's words."""
    PODS_INTERRUPTED = "PodsInterrupted"
    """The Pods of a Job were drained, preempted, evicted or deleted at least 3 times. After 20
    times the trial has failed."""
    OBJECT_UNREADABLE = "ObjectUnreadable"
    """A label, an annotation or another field of a Job or Pod is not as it must be. The message
    names it. The trial of that Job waits; all others go on."""
    REQUEST_REFUSED = "RequestRefused"
    """The API server refuses to store, change or delete an object of the search, for instance
    because a ConfigMap of its history is immutable. The message names the object and quotes the
    API server. The operator tries again with growing delays, at least once a minute."""
    AGENT_COMPUTING = "AgentComputing"
    """The agent has been learning the history of the search for some time, and the blocks of its
    Jobs are not known until it has: after a restart of the operator. Other searches go on."""
    INTERNAL_ERROR = "InternalError"
    """A fault of the operator keeps it from going on with the search. The message quotes the
    error, and the operator's log has the rest. It tries again with growing delays, at least once a
    minute; other searches go on."""
    NOT_NEEDED = "NotNeeded"
    """The dataset needs no preparation, or no trial waits for it."""
    PREPARED = "Prepared"
    """A Job has prepared the images."""
    PREPARING = "Preparing"
    """A Job prepares the images."""
    DATASET_MISSING = "DatasetMissing"
    """The volume or the files of the dataset are missing."""
    DATASET_INVALID = "DatasetInvalid"
    """The files of the dataset are damaged, or are not such a dataset."""
    DATASET_TOO_LARGE = "DatasetTooLarge"
    """The images do not fit into the memory of the container or the GPU."""
    VOLUME_UNUSABLE = "VolumeUnusable"
    """The volume is read-only, not writable for the Pod's user, or full."""
    DOWNLOAD_FAILED = "DownloadFailed"
    """The official files of the dataset could not be downloaded."""
    PREPARATION_FAILED = "PreparationFailed"
    """The preparation failed with an unexpected error."""
    DATASET_NOT_READY = "DatasetNotReady"
    """The images could not be prepared, or the Pod that prepares them cannot start. `DatasetReady`
    gives the cause."""
    TRAINED = "Trained"
    """Every finalist has a result."""
    FINALISTS_RUNNING = "FinalistsRunning"
    """Finalists are started or run."""
    FINALISTS_FAILED = "FinalistsFailed"
    """A finalist failed with an unexpected error."""
    FINALISTS_NOT_READY = "FinalistsNotReady"
    """A finalist failed permanently, or finalists cannot start. `FinalistsReady` gives the
    cause."""
    VOLUME_MISSING = "VolumeMissing"
    """The claim of `finalists.volume` does not exist, or no volume is mounted."""
    FOLDER_TAKEN = "FolderTaken"
    """The model of another search or recipe is in the finalist's folder on the volume."""
    NETWORK_INVALID = "NetworkInvalid"
    """The network does not suit the images, for instance because they cannot be halved so often."""
    MODEL_INVALID = "ModelInvalid"
    """An exported model does not reach the accuracy of the trained network."""
    AS_EXPECTED = "AsExpected"
    """There is nothing to report."""


_BUDGET_REACHED = (
    Reason.BUDGET_SPENT,
    Reason.GOAL_REACHED,
    Reason.GPU_HOURS_SPENT,
    Reason.DURATION_SPENT,
)
_STOPPED = (
    Reason.TOO_MANY_FAILURES,
    Reason.NO_RESULTS,
    Reason.DATASET_NOT_READY,
    Reason.FINALISTS_NOT_READY,
    Reason.INVALID_SPEC,
    Reason.HISTORY_UNREADABLE,
)
_WAITING = (
    Reason.QUEUED,
    Reason.UNSCHEDULABLE,
    Reason.PODS_MISSING,
    Reason.PODS_STALLED,
    Reason.PODS_INTERRUPTED,
)
_PREPARATION_FAILED = (
    Reason.DATASET_MISSING,
    Reason.DATASET_INVALID,
    Reason.DATASET_TOO_LARGE,
    Reason.VOLUME_UNUSABLE,
    Reason.DOWNLOAD_FAILED,
    Reason.PREPARATION_FAILED,
)

CONDITION_REASONS: Mapping[ConditionType, tuple[Sequence[Reason], Sequence[Reason]]] = {
    ConditionType.PROGRESSING: (
        (Reason.TRIALS_RUNNING, Reason.FINALISTS_RUNNING),
        (*_BUDGET_REACHED, Reason.SUSPENDED, *_STOPPED),
    ),
    ConditionType.COMPLETE: (
        _BUDGET_REACHED,
        (Reason.BUDGET_LEFT, Reason.FINALISTS_NOT_READY),
    ),
    ConditionType.FAILED: (_STOPPED, (Reason.AS_EXPECTED,)),
    ConditionType.SUSPENDED: ((Reason.SUSPENDED,), (Reason.NOT_SUSPENDED,)),
    ConditionType.DATASET_READY: (
        (Reason.PREPARED, Reason.NOT_NEEDED),
        (Reason.PREPARING, Reason.SUSPENDED, *_PREPARATION_FAILED),
    ),
    ConditionType.FINALISTS_READY: (
        (Reason.TRAINED,),
        (
            Reason.TRIALS_RUNNING,
            Reason.PREPARING,
            Reason.FINALISTS_RUNNING,
            Reason.SUSPENDED,
            *_WAITING,
            Reason.RESULT_INVALID,
            Reason.VOLUME_MISSING,
            Reason.FOLDER_TAKEN,
            Reason.NETWORK_INVALID,
            Reason.MODEL_INVALID,
            *_PREPARATION_FAILED,
            Reason.FINALISTS_FAILED,
        ),
    ),
    ConditionType.DEGRADED: (
        (
            Reason.TRIALS_FAILED,
            Reason.RESULT_INVALID,
            Reason.DATASET_NOT_READY,
            Reason.FINALISTS_NOT_READY,
            Reason.AGENT_COMPUTING,
            Reason.INTERNAL_ERROR,
            Reason.OBJECT_UNREADABLE,
            Reason.REQUEST_REFUSED,
            Reason.JOB_REFUSED,
            Reason.QUOTA_EXCEEDED,
            *_WAITING,
        ),
        (Reason.AS_EXPECTED,),
    ),
}
"""The reasons of each condition: those when it is true, then those when it is false."""


class Condition(Model):
    """One aspect of the search, in the form of ``metav1.Condition``."""

    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    """Status of the condition: `True`, `False` or `Unknown`."""
    reason: str
    """Reason in one word for programs. No enumeration, since a newer operator may know more reasons
    than the definition in the cluster."""
    message: Annotated[str, Field(max_length=LONGEST_MESSAGE)]
    """Reason in a sentence for people."""
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """Time when the status last changed."""
    observed_generation: int
    """The generation of the spec that this condition answers."""


class TrialCounts(Model):
    """Number of trials by outcome; a trial counts once its result is known."""

    total: int
    """Trials whose outcome is known."""
    running: int
    """Trials that train: one for each Job that does not have the results of all its trials yet."""
    succeeded: int
    """Trials that were trained and have an accuracy."""
    infeasible: int
    """Trials whose block cannot be trained: out of memory, not finite, never learned."""
    failed: int
    """Trials that ended for reasons other than their block."""
    cached: int
    """Trials that share the result of an earlier one and needed no training."""


class BlockReward(Model):
    """A block with its accuracy and reward; the first fields of :class:`BestBlock`."""

    trial: int
    """The number of the trial, from 0."""
    block: str
    """Its Network Structure Code."""
    accuracy: float
    """Validation accuracy, from 0 to 1."""
    reward: float
    """The redefined reward, in percent (CVPR 2018, section 3.3)."""
    converged_accuracy: float | None = None
    """The accuracy after the complete training, from 0 to 1, the mean over its seeds; only once all
    finalists are over."""


class BestBlock(Measured, BlockReward):
    """A block and its results."""


class FinalistAccuracy(Model):
    """A block with its converged accuracy; the first fields of :class:`BestFinalist`."""

    trial: int
    """The number of the trial that found it, from 0."""
    block: str
    """Its Network Structure Code."""
    accuracy: float
    """The mean accuracy over the seeds, from 0 to 1."""
    deviation: float | None = None
    """The standard deviation of a seed's accuracy; only with two seeds or more."""
    seeds: int
    """Number of seeds in the mean."""
    folder: str = ""
    """The directory of the best seed's model on the volume of the finalists."""


class BestFinalist(Measured, FinalistAccuracy):
    """A block and the results of its complete training."""


class TargetStatus(Model):
    """Results of blocks on a target."""

    name: str
    """The name of the target."""
    best: BestFinalist
    """The block with the highest accuracy there."""


class FinalistsStatus(Model):
    """Progress of the finalists; a block counts once for each target and seed."""

    progress: str = ""
    """Finalists with a result and finalists wanted, such as ``3/5``."""
    total: int
    """Finalists that are wanted, as far as that is known yet: targets come last."""
    running: int
    """Finalists whose Job exists and has no result yet."""
    succeeded: int
    """Finalists that were trained and have an accuracy."""
    infeasible: int
    """Finalists whose network cannot be trained: out of memory, not finite."""
    failed: int
    """Finalists that failed for other reasons; `FinalistsReady` says what to do."""
    records: int
    """Results in the history of the finalists: ConfigMaps named ``NAME-finalists-NNNN``."""
    gpu_seconds: float = 0.0
    """Seconds of GPU that the finalists in that history took, as far as their checkpoints record
    Pods before the last; `budget.gpuHours` does not count them."""
    best: BestFinalist | None = None
    """The block with the highest accuracy on the search's own dataset so far."""
    top: Annotated[tuple[BestFinalist, ...], Field(max_length=MOST_TOP)] = ()
    """The best blocks on the search's own dataset, by accuracy."""
    targets: Annotated[tuple[TargetStatus, ...], Field(max_length=16)] = ()
    """The best block on each target that has a result."""


class PredictorStatus(Model):
    """Quality of the predictions of `agent.predictor`."""

    trials: int
    """Number of trials it has chosen that have a reward."""
    rank_correlation: float | None = None
    """Spearman's correlation of their predicted and measured rewards, from -1 to 1."""


class History(Model):
    """Storage of the results: ConfigMaps named ``NAME-history-NNNN``."""

    shards: int
    """Number of ConfigMaps."""
    records: int
    """Number of trials in them."""


class BlockSearchStatus(Model):
    """Status of a search, as the operator reports it."""

    observed_generation: int
    """The generation of the spec that this status answers."""
    phase: Phase
    message: Annotated[str, Field(max_length=LONGEST_MESSAGE)] = ""
    """Current activity of the search, or what it waits for, in a sentence."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            }
        ),
    ] = ()
    """The aspects of the search: Progressing, Complete, Failed, Suspended, DatasetReady,
    FinalistsReady, Degraded."""
    start_time: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    """Time when the operator first saw the search."""
    completion_time: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    """Time when the budget was spent."""
    estimated_completion_time: Annotated[
        str | None, Field(json_schema_extra={"format": "date-time"})
    ] = None
    """Time when the budget will be spent at the present rate; updated with each iteration."""
    iteration: int = 0
    """The lowest iteration that is not in the history yet, from 0."""
    epsilon: float | None = None
    """The share of random choices in that iteration's blocks."""
    progress: str = ""
    """Trials with an outcome and the budget, such as ``1280/11392``."""
    trials: TrialCounts | None = None
    gpu_seconds: float = 0.0
    """Seconds of GPU that the trials in the history took; those of finalists are in
    `finalists.gpuSeconds`."""
    best: BestBlock | None = None
    """The block with the highest reward, of equals the earliest; once all finalists have finished,
    the one with the highest accuracy among them."""
    top: Annotated[tuple[BestBlock, ...], Field(max_length=MOST_TOP)] = ()
    """The best blocks by reward, duplicates left out."""
    predictor: PredictorStatus | None = None
    finalists: FinalistsStatus | None = None
    history: History | None = None
