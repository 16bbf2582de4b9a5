"""The operator, which runs the searches of a cluster.

* ``core``: decides what to do about the observed state. Pure.
* ``shell``: Kopf, the API server, the process.
"""

from importlib.metadata import version

__version__ = version("blockqnn")
