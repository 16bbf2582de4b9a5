"""The Events of a BlockSearch. ``kubectl describe`` shows them."""

from enum import StrEnum


class EventReason(StrEnum):
    """The reason of an Event that no condition has.

    A condition that becomes true is also an Event, with the type or the reason of the condition.
    ``docs/reference/conditions.md`` is made of these texts.
    """

    FEW_LEARNING_ITERATIONS = "FewLearningIterations"
    """Warning. A Q-learning search starts whose budget leaves fewer than ten iterations below
    epsilon 1, so it hardly learns. `status.message` repeats it with a better setting."""
    UNUSED_FIELDS = "UnusedFields"
    """Warning. The spec of a search that began before such fields were refused has fields without
    an effect. The search goes on as it began."""
    NEW_BEST = "NewBest"
    """An iteration found a block with a higher reward than all before."""
    TRIAL_FAILED = "TrialFailed"
    """Warning. A trial failed after its retries. The message quotes its last words."""
    TRIAL_RETRIED = "TrialRetried"
    """Warning. The Job of a trial ended without its result. The operator starts another attempt."""
    JOB_REPLACED = "JobReplaced"
    """The spec of the Pods has changed, such as `trial.resources`. A Job whose Pods have never run
    is replaced."""
    TRIAL_INTERRUPTED = "TrialInterrupted"
    """A Pod was drained, preempted or deleted. Its Job starts another once it has ended."""
    TRIAL_INFEASIBLE = "TrialInfeasible"
    """A block ran out of memory, diverged or never learned."""
    JOB_DELETED = "JobDeleted"
    """Warning. Somebody deleted the Job of a trial that has no result. The operator creates it
    again."""
    RESULT_INVALID = "ResultInvalid"
    """Warning. A termination message or an annotation is not a valid result of its trial or
    finalist."""
    FINALIST_TRAINED = "FinalistTrained"
    """A finalist has its accuracy."""
    FINALIST_INFEASIBLE = "FinalistInfeasible"
    """The network of a finalist ran out of memory or diverged."""
    FINALIST_FAILED = "FinalistFailed"
    """Warning. A finalist failed permanently. The condition `FinalistsReady` gives the remedy."""
    CHECKPOINT_DAMAGED = "CheckpointDamaged"
    """Warning. A finalist that has ended found checkpoints that it could not read. It continued
    from another one, or started anew."""
    API_SERVER_WARNING = "ApiServerWarning"
    """Warning. The API server has created a Job, and warns about it in the words of the message,
    for instance that a field of `trial.podTemplate` is deprecated."""
    HISTORY_RESTORED = "HistoryRestored"
    """Warning. The API server has gone back to an earlier state, for instance from a backup of
    etcd, and the history of the search is another than before. The search goes on from there."""
