"""The command line and environment of a container's process. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ADDRESS = "127.0.0.1"
MESSAGE_PATH_VARIABLE = "TERMINATION_MESSAGE_PATH"
"""Names the file whose content becomes the termination message."""

PASSED_ON = (
    "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "HOME", "USER", "LOGNAME",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
)  # fmt: skip
"""Variables of the node that a container gets in place of an image's.
Nothing else: a process must not depend on the shell in which the cluster was started."""

_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")


@dataclass(frozen=True)
class Places:
    """Files and directories of one container's process."""

    programs: Path
    """The first directory of PATH: where the project's own commands are installed."""
    message: Path
    temporary: Path | None
    """The pod's own TMPDIR, where it mounts an emptyDir at /tmp."""


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)` as Kubernetes does: unknown names stay as they are, `$$` is one `$`."""

    def replacement(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return values.get(match[1], match[0])

    return _REFERENCE.sub(replacement, text)


def command_line(container: Mapping[str, Any], values: Mapping[str, str]) -> list[str]:
    """Return the words of the process: command and args, with references replaced."""
    words: Sequence[str] = [*(container.get("command") or []), *(container.get("args") or [])]
    return [expand(word, values) for word in words]


def declared_variables(pod: Mapping[str, Any], container: Mapping[str, Any]) -> dict[str, str]:
    """Return the container's own `env`; each value may refer to those before it."""
    values: dict[str, str] = {}
    for variable in container.get("env") or []:
        source = variable.get("valueFrom")
        if source:
            values[variable["name"]] = field_value(pod, source["fieldRef"]["fieldPath"])
        else:
            values[variable["name"]] = expand(variable.get("value") or "", values)
    return values


def field_value(pod: Mapping[str, Any], path: str) -> str:
    """Return the pod's field that a fieldRef names; a label that is not there is empty."""
    subscript = _SUBSCRIPT.fullmatch(path)
    if subscript:
        return str((pod["metadata"].get(subscript[1]) or {}).get(subscript[2], ""))
    if path.startswith("status."):
        # All four of them: the node and its pods have the machine's loopback address.
        return ADDRESS
    section, field = path.split(".")
    return str(pod[section].get(field, ""))


def process_environment(
    pod: Mapping[str, Any],
    container: Mapping[str, Any],
    own: Mapping[str, str],
    places: Places,
) -> dict[str, str]:
    """Return the whole environment of a container's process.

    `own` is the node's environment, of which little is passed on. What the pod declares wins over
    that; what makes this node work (PATH's first entry, the message file, TMPDIR) wins over both.
    """
    environment = {name: own[name] for name in PASSED_ON if name in own}
    environment["PATH"] = own.get("PATH", "/usr/local/bin:/usr/bin:/bin")
    environment["HOSTNAME"] = pod["spec"].get("hostname") or pod["metadata"]["name"]
    environment.update(declared_variables(pod, container))
    environment["PATH"] = f"{places.programs}:{environment['PATH']}"
    environment[MESSAGE_PATH_VARIABLE] = str(places.message)
    if places.temporary is not None:
        environment["TMPDIR"] = str(places.temporary)
    return environment
