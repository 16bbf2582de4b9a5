"""The cluster side of BlockQNN: the BlockSearch resource and the operator that runs it.

* ``api``: the resource, as models from which ``crds/`` is generated. Pure.
* ``core``: what to do about what is observed. Pure.
* ``shell``: Kopf, the API server, the process.
"""

from importlib.metadata import version

__version__ = version("blockqnn")
