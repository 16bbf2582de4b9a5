"""Several trials in one process: their specifications and their results.

With `trial.blocksPerJob` above 1, the operator hands the
:class:`~blockqnn.contract.trial.TrialSpec` of each trial to one container, as a JSON list in the
environment variable ``BLOCKQNN_TRIALS``. The trainer trains them in order. After each of them it
rewrites its termination message, which holds the results so far. Kubernetes keeps the message
however the process ends, so a process that is killed in its third block leaves the results of the
first two.
"""

import json
from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter, ValidationError

from blockqnn.contract.message import SCHEMA_VERSION, bounded, describe
from blockqnn.contract.trial import TrialResult, TrialSpec
from blockqnn.errors import InvalidMessage

TRIALS_VARIABLE = "BLOCKQNN_TRIALS"
"""The environment variable that carries the specifications of several trials."""

MOST_BLOCKS_PER_JOB = 8
"""The most trials of one Job: a result with a curve of 12 epochs takes about 400 bytes, and all
must fit into one message of :data:`~blockqnn.contract.message.RESULT_LIMIT` bytes."""

_SPECS = TypeAdapter(tuple[TrialSpec, ...])


def write_trials(specs: Sequence[TrialSpec]) -> str:
    """Write the specifications of several trials as :func:`read_trials` reads them."""
    return _SPECS.dump_json(tuple(specs), exclude_none=True, by_alias=True).decode()


def read_trials(text: str) -> tuple[TrialSpec, ...]:
    """Read the specifications of several trials.

    Raises:
        InvalidMessage: naming the first field that is wrong, or that there is no trial.
    """
    try:
        specs = _SPECS.validate_json(text)
    except ValidationError as error:
        raise InvalidMessage(f"The list of trial specifications {describe(error)}.") from None
    if not specs:
        raise InvalidMessage("The list of trial specifications is empty.")
    return specs


def write_results(results: Sequence[TrialResult]) -> str:
    """Write the results of several trials as compact JSON that :func:`result_texts` splits.

    Raises:
        InvalidMessage: when it is longer than :data:`~blockqnn.contract.message.RESULT_LIMIT`
        bytes.
    """
    parts = [result.model_dump_json(exclude_none=True, exclude_defaults=True) for result in results]
    text = f'{{"version":{SCHEMA_VERSION},"results":[{",".join(parts)}]}}'
    return bounded(text, "The trial results are")


def result_texts(message: str) -> Mapping[int, str]:
    """Split the results of several trials: the JSON of each, by the number of its trial.

    The caller reads each result, and may reject it, separately.

    Raises:
        InvalidMessage: when the message is not a list of results.
    """
    try:
        document = json.loads(message)
    except (ValueError, RecursionError):
        document = None
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list):
        raise InvalidMessage("The trial results are not a JSON object with a list of results.")
    if document.get("version") != SCHEMA_VERSION:
        raise InvalidMessage(f"The trial results are not of version {SCHEMA_VERSION}.")
    # As compact as it was: each must fit the limit of a result again.
    return {
        item["trial"]: json.dumps(item, ensure_ascii=False, separators=(",", ":"))
        for item in results
        if isinstance(item, dict) and type(item.get("trial")) is int
    }
