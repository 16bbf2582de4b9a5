"""The names that BlockQNN uses in a cluster."""

GROUP = "blockqnn.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "BlockSearch"
PLURAL = "blocksearches"
SINGULAR = "blocksearch"
SHORT_NAME = "bs"

SEARCH_LABEL = f"{GROUP}/search"
"""On every object that a search owns: the name of the search."""

TRIAL_LABEL = f"{GROUP}/trial-index"
"""On trial Jobs and their Pods: the number of the trial, zero-padded to five digits."""

ITERATION_LABEL = f"{GROUP}/iteration"
"""On trial Jobs and their Pods: the iteration that the trial belongs to."""

ARCHIVED_LABEL = f"{GROUP}/archived"
"""On Jobs that are kept for their logs after their result is in the history: ``true``."""

COMPONENT_LABEL = "app.kubernetes.io/component"
"""On every object that a search owns: ``trial``, ``preparation`` or ``finalist`` for Jobs and their
Pods, ``history`` or ``finalists`` for the ConfigMaps of the histories."""

TRIAL_COMPONENT = "trial"
"""Component of the Jobs that train blocks."""

PREPARATION_COMPONENT = "preparation"
"""Component of the Job that makes the dataset ready before the first trial."""

FINALIST_COMPONENT = "finalist"
"""Component of the Jobs that train one of the best blocks to convergence."""

FINALIST_LABEL = f"{GROUP}/finalist"
"""On finalists' Jobs and their Pods: the trial that found the block, zero-padded to five digits."""

TARGET_LABEL = f"{GROUP}/target"
"""On finalists' Jobs and their Pods: the name of the target; empty for the search's own dataset."""

SEED_LABEL = f"{GROUP}/seed"
"""On finalists' Jobs and their Pods: the number of the seed, from 0."""

JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
"""On Pods, set by Kubernetes: the Job that created them."""

BLOCK_ANNOTATION = f"{GROUP}/block"
"""On Jobs of trials and finalists and their Pods: the Network Structure Code that is trained."""

BLOCK_HASH_ANNOTATION = f"{GROUP}/block-hash"
"""On Jobs of trials and finalists and their Pods: the canonical hash of the block. A result must
name it; a custom trainer reads it through the downward API."""

BLOCKS_ANNOTATION = f"{GROUP}/blocks"
"""On Jobs of several trials and their Pods: a JSON list of the blocks of the trials, in place of
the block and its hash."""

FAILURES_ANNOTATION = f"{GROUP}/failures"
"""On Jobs of one trial: the number of earlier attempts that failed, if it is not the attempt."""

ATTEMPT_ANNOTATION = f"{GROUP}/attempt"
"""On Jobs of trials and finalists: the number of the attempt, from 0."""

RESULT_ANNOTATION = f"{GROUP}/result"
"""On Jobs of trials and finalists: the result, which is the record and the public contract. A Job
of several trials has one for each, with a dash and the five digits of its number after the name."""

DATASET_ANNOTATION = f"{GROUP}/dataset"
"""On Jobs of preparations: a hash of the dataset and the volume that it makes ready."""

TEMPLATE_ANNOTATION = f"{GROUP}/template"
"""On Jobs: a hash of what the spec says of their Pods. Where it has changed, a Job whose Pods have
never run is replaced."""

HISTORY_ACCEPTED_ANNOTATION = f"{GROUP}/history-accepted"
"""On BlockSearches, by a user: the number of records of a history that has lost others, with which
the search may go on."""

ACCELERATORS_ANNOTATION = f"{GROUP}/accelerators"
"""On Jobs: the number of accelerators of each Pod, by which GPU time counts."""

SCHEMA_VERSION_ANNOTATION = f"{GROUP}/schema-version"
"""On Jobs of trials and finalists: the version of the contract with the trainer."""

PATCH, REPLACE = "$patch", "replace"
"""Name and value that make a map of a Pod template replace the operator's instead of being merged:
the directive of Kubernetes' own strategic merge patches."""

CONTAINER = "trainer"
"""The container of a trial's Pod that trains the block."""

FIELD_MANAGER = "blockqnn-operator"
"""The field manager that the API server records for the fields that the operator writes."""
