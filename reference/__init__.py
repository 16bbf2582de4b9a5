"""The pages of ``docs/reference/`` that are written from the code.

``python -m reference docs/reference``, which is part of ``make generate``, writes them; a unit test
fails if one of them is not current.
"""

from collections.abc import Callable, Mapping

from reference import command_line, conditions, fields, labels, metrics, presets

PAGES: Mapping[str, Callable[[], str]] = {
    "command-line.md": command_line.page,
    "conditions.md": conditions.page,
    "fields.md": fields.spec_page,
    "finalists-fields.md": fields.finalists_page,
    "labels-and-annotations.md": labels.page,
    "metrics.md": metrics.page,
    "presets.md": presets.page,
    "status-fields.md": fields.status_page,
}
"""Functions that return the text of each page."""
