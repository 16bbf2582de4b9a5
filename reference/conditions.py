"""The page of the phases, conditions, reasons and Events of a search."""

from blockqnn_api.events import EventReason
from blockqnn_api.status import CONDITION_REASONS, ConditionType, Phase, Reason
from reference import markdown
from reference.docstrings import member_docstrings
from reference.markdown import code, single, table

_INTRODUCTION = """\
`kubectl get blocksearch` shows the phase of a search. `kubectl describe blocksearch NAME` shows its
conditions and Events. [Troubleshooting](../tasks/troubleshoot.md) starts from what you see.
"""

_EVENTS = """\
A condition that becomes true is an Event too: `Complete`, `Failed`, `Suspended`, `DatasetReady`,
`FinalistsReady`, or the reason of `Degraded`. Besides these:
"""


def page() -> str:
    """Return the page."""
    return markdown.page(
        "Conditions and Events",
        _INTRODUCTION,
        "## Phases",
        table(["phase", "meaning"], _rows(member_docstrings(Phase))),
        "## Conditions",
        table(["condition", "meaning"], _rows(member_docstrings(ConditionType))),
        *(part for kind in ConditionType for part in _reasons(kind)),
        "## Events",
        _EVENTS,
        table(["event", "meaning"], _rows(member_docstrings(EventReason))),
    )


def _reasons(kind: ConditionType) -> tuple[str, str]:
    texts = member_docstrings(Reason)
    rows = [
        [status, code(reason), single(texts[reason])]
        for status, reasons in zip(("True", "False"), CONDITION_REASONS[kind], strict=True)
        for reason in reasons
    ]
    return f"### {kind}", table(["status", "reason", "meaning"], rows)


def _rows(texts: dict[str, str]) -> list[list[str]]:
    return [[code(name), single(text)] for name, text in texts.items()]
