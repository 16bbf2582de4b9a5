"""Judgement of the searches of a walk: what must hold for each value, and what does not."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from walk_fields import Case
from walk_state import Seen, difference

from blockqnn.errors import BlockQNNError
from blockqnn_api.resolve import resolve

NEW, CHANGED, REVERTED = NAMESPACES = ("walk-new", "walk-changed", "walk-reverted")
"""Namespaces: searches with the value from the first, those to which it is applied later, and those
that are put back."""

WAITING, AT_END = "while its Pods wait", "at its end"
"""Moments at which searches are judged."""

UNSEEN = {
    "failurePolicy.pendingTimeout": "no simulated Pod fails to start",
    "suspendPolicy": "a new search that is suspended has nothing to stop",
    "agent.settings": "no strategy here has settings of its own",
    "dataset.shape.channels": "it counts for limits of the cost alone",
    "dataset.shape.classes": "it counts for limits of the cost alone",
    "finalists.continuous": "finalists begin earlier, and end as the others",
    "finalists.parallelism": "finalists wait for each other, and end as the others",
}
"""Fields whose effect does not show in the state of a search here, and why."""

ENDS_AS_NEW = ("parallelism", "budget")
"""Fields, and all below, that do not end what waits already, so that only the end is that of a new
search."""

NOT_AS_NEW = {
    "suspend": "what waits when a search is suspended ends as it would have",
    "trial.blocksPerJob": "Jobs that wait keep their blocks",
}
"""Fields that a search may be given later with another state than that of a new one, and why."""

SearchesByName = Mapping[tuple[str, str], Seen]
"""Searches by namespace and name."""


class Judge:
    """Collects alarms, and counts.

    - The API server or the operator refuses a value in a sentence that names the field; or the
      search goes on.
    - A search to which a value was applied has the state of a new one with that value, both while
      its Pods wait and at its end.
    - A search that was put back has the state of one that never changed.
    - Some accepted value of each field changes the state of a new search.
    """

    def __init__(self) -> None:
        self.alarms: list[str] = []
        self.counts: Counter[str] = Counter()
        self._accepted: set[str] = set()
        self._effective: set[str] = set()

    def judge_refusal(self, case: Case, refusal: str, kind: str) -> bool:
        """Judge the API server's answer; return whether it accepts the value."""
        if not refusal:
            return True
        self.counts[kind] += 1
        # Of a section that cannot change, the sentence names the section.
        if case.name not in refusal and not any(f"{step} cannot" in refusal for step in case.path):
            self._alarm(case, f"the refusal does not name the field: {refusal}")
        return False

    def judge_searches(
        self, case: Case, name: str, base: str, seen: SearchesByName, moment: str
    ) -> None:
        """Judge the searches of a value at one moment.

        Args:
            case: the value.
            name: the name of its searches.
            base: the name of the search without it.
            seen: all searches.
            moment: :data:`WAITING` or :data:`AT_END`.
        """
        new, unchanged = seen[NEW, name], seen[NEW, base]
        if not self._is_answered(case, new, moment) or not self._is_answered(
            case, unchanged, moment
        ):
            return
        self._judge_new(case, new, unchanged, moment)
        changed, reverted = seen.get((CHANGED, name)), seen.get((REVERTED, name))
        if changed is None or reverted is None:
            return
        if new.refusal is not None and new.refusal["reason"] == "InvalidSpec":
            if changed.refusal is None or changed.refusal["message"] != new.refusal["message"]:
                self._alarm(case, f"refused {moment}, but not where it was applied")
        elif differs := self._difference(case, changed, new, moment):
            self._alarm(case, f"applied, and not as in a new search {moment}: {differs}")
        if differs := difference(reverted.state, unchanged.state):
            self._alarm(case, f"put back, and not as before {moment}: {differs}")

    def finish(self, log: str, *, all_values: bool) -> None:
        """Judge what can be judged at the end alone, the operator's log included.

        Args:
            log: of the operator.
            all_values: whether every accepted value was seen; else a field whose values have had no
                effect may have others.
        """
        # A section of its own has no effect: the fields in it have.
        ineffective = self._accepted - self._effective - set(UNSEEN) if all_values else ()
        for field in sorted(ineffective):
            self.alarms.append(f"{field}: no accepted value has an effect")
        tracebacks = log.count("Traceback (most recent call last)")
        if tracebacks:
            self.alarms.append(f"the operator's log has {tracebacks} tracebacks")

    def _alarm(self, case: Case, text: str) -> None:
        self.alarms.append(f"{case.title}: {text}")

    def _is_answered(self, case: Case, search: Seen, moment: str) -> bool:
        if not search.is_answered:
            self._alarm(case, f"no status {moment}: {search.status}")
        elif search.has_reason("InternalError"):
            self._alarm(case, f"an internal error {moment}: {search.status['conditions'][-1]}")
        else:
            return True
        return False

    def _difference(self, case: Case, changed: Seen, new: Seen, moment: str) -> str:
        if case.field in NOT_AS_NEW or (case.path[0] in ENDS_AS_NEW and moment != AT_END):
            return ""
        states = changed.state, new.state
        if case.path[0] == "budget":
            # Its schedule stays as long as it was when the search began.
            states = changed.without_settings, new.without_settings
        return difference(*states)

    def _judge_new(self, case: Case, new: Seen, unchanged: Seen, moment: str) -> None:
        if new.refusal is not None:
            self.counts[f"refused by the operator {moment}"] += 1
            said = new.refusal["message"]
            if not any(word in said for word in _words(case)):
                self._alarm(case, f"the condition does not name the field: {said}")
        else:
            if case.has_choice:
                self._accepted.add(case.field)
            self.counts[f"accepted {moment}"] += 1
        if difference(new.state, unchanged.state):
            self._effective.add(case.field)
        elif not _is_as_without(case):
            self.counts[f"without an effect here {moment}"] += 1


def _words(case: Case) -> set[str]:
    """Return the names that a sentence may have: the field's, and those in its value."""
    words = {case.name}
    values: list[Any] = [case.value]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            words.update(str(key) for key in value)
            values += value.values()
        elif isinstance(value, list):
            values += value
    return words


def _is_as_without(case: Case) -> bool:
    """Return whether the value is the one that the field has anyway."""
    try:
        return resolve(case.spec) == resolve(case.without)
    except BlockQNNError:
        return False
