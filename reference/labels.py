"""The page of the labels, annotations and other names in a cluster, from ``blockqnn_api.names``."""

from blockqnn_api import names
from reference import markdown
from reference.docstrings import attribute_docstrings
from reference.markdown import code, single, table

_INTRODUCTION = """\
The operator sets these on the objects that it creates. Select by them, for example
`kubectl get jobs -l blockqnn.dev/search=NAME`, but do not change them.
"""

_STANDARD = f"""\
Besides these, Jobs and their Pods have the recommended labels `app.kubernetes.io/name`, `instance`
(the search), `part-of` (`blockqnn`) and `managed-by` (`{names.FIELD_MANAGER}`).
"""

_OTHERS = f"""\
## Other names

| name | meaning |
|---|---|
| `{names.API_VERSION}`, kind `{names.KIND}` | the resource; short name `{names.SHORT_NAME}` |
| `{names.CONTAINER}` | the container of a Pod that trains a block |
| `{names.FIELD_MANAGER}` | the field manager of what the operator writes |
| `NAME-history-NNNN` | the ConfigMaps with the history of a search |
| `NAME-finalists-NNNN` | the ConfigMaps with the history of its finalists |
| `NAME-tNNNNN-aN` | the Job of a trial, with the numbers of the trial and of the attempt |

There are no finalizers: Kubernetes deletes everything that a search owns by owner references.
"""


def page() -> str:
    """Return the page."""
    return markdown.page(
        "Labels and annotations",
        _INTRODUCTION,
        "## Labels",
        _table("_LABEL"),
        _STANDARD,
        "## Annotations",
        _table("_ANNOTATION"),
        _OTHERS,
    )


def _table(suffix: str) -> str:
    rows = []
    for constant, text in attribute_docstrings(names).items():
        if constant.endswith(suffix):
            objects, _, meaning = single(text).removeprefix("On ").partition(": ")
            rows.append([code(getattr(names, constant)), objects, meaning])
    return table(["name", "on", "value"], rows)
