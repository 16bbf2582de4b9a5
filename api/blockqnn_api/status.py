"""The status of a BlockSearch: its progress and its results.

Its size is constant, whatever the number of trials. Everything in it is derived from the history
and the trial Jobs, so a lost status is written again as it was.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from blockqnn.model import Model

MOST_TOP = 10
"""Number of blocks that the status lists; the full list is in the history."""

LONGEST_MESSAGE = 1024
"""The longest message of a condition, in characters."""


class Phase(StrEnum):
    """The state of a search in one word; the conditions say why."""

    RUNNING = "Running"
    TRAINING_FINALISTS = "TrainingFinalists"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"


class ConditionType(StrEnum):
    """The aspects of a search that its conditions report."""

    PROGRESSING = "Progressing"
    """True while trials are started, run or learned from."""
    COMPLETE = "Complete"
    """True when the budget is spent, or the target accuracy was reached."""
    FAILED = "Failed"
    """True when the search has stopped and will not go on as it is."""
    SUSPENDED = "Suspended"
    """True while ``spec.suspend`` keeps new trials from starting."""
    DATASET_READY = "DatasetReady"
    """True when trials can read the images."""
    FINALISTS_READY = "FinalistsReady"
    """True when every finalist has a result; only with ``spec.finalists``."""
    DEGRADED = "Degraded"
    """True when something needs a person's attention although the search may go on."""


class Reason(StrEnum):
    """The reason of a condition. Documented in ``docs/conditions.md``."""

    TRIALS_RUNNING = "TrialsRunning"
    BUDGET_SPENT = "BudgetSpent"
    BUDGET_LEFT = "BudgetLeft"
    GOAL_REACHED = "GoalReached"
    GPU_HOURS_SPENT = "GpuHoursSpent"
    DURATION_SPENT = "DurationSpent"
    SUSPENDED = "Suspended"
    NOT_SUSPENDED = "NotSuspended"
    TOO_MANY_FAILURES = "TooManyFailures"
    INVALID_SPEC = "InvalidSpec"
    HISTORY_UNREADABLE = "HistoryUnreadable"
    RESULT_INVALID = "ResultInvalid"
    TRIALS_FAILED = "TrialsFailed"
    JOB_REFUSED = "JobRefused"
    QUOTA_EXCEEDED = "QuotaExceeded"
    QUEUED = "Queued"
    UNSCHEDULABLE = "Unschedulable"
    PODS_MISSING = "PodsMissing"
    NOT_NEEDED = "NotNeeded"
    PREPARED = "Prepared"
    PREPARING = "Preparing"
    DATASET_MISSING = "DatasetMissing"
    DATASET_INVALID = "DatasetInvalid"
    VOLUME_UNUSABLE = "VolumeUnusable"
    DOWNLOAD_FAILED = "DownloadFailed"
    PREPARATION_FAILED = "PreparationFailed"
    DATASET_NOT_READY = "DatasetNotReady"
    TRAINED = "Trained"
    FINALISTS_RUNNING = "FinalistsRunning"
    FINALISTS_FAILED = "FinalistsFailed"
    FINALISTS_NOT_READY = "FinalistsNotReady"
    VOLUME_MISSING = "VolumeMissing"
    FOLDER_TAKEN = "FolderTaken"
    NETWORK_INVALID = "NetworkInvalid"
    MODEL_INVALID = "ModelInvalid"
    AS_EXPECTED = "AsExpected"


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


class BestBlock(Model):
    """A block and its results."""

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
    parameters: int | None = None
    """Trainable parameters of the whole network."""
    macs: int | None = None
    """Multiply-accumulates of one image's forward pass."""


class BestFinalist(Model):
    """A block and the results of its complete training."""

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
    parameters: int | None = None
    """Trainable parameters of the whole network."""
    macs: int | None = None
    """Multiply-accumulates of one image's forward pass."""


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
