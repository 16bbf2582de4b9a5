"""Options of ``blockqnn-operator``."""

import argparse

from blockqnn_api.spec import DEFAULT_TRAINER_IMAGE
from blockqnn_operator import __version__
from blockqnn_operator.shell.kubernetes.client import CONNECTIONS
from blockqnn_operator.shell.kubernetes.site_labels import read_label

RESYNC_SECONDS = 300
"""Seconds between two looks at every search, even if nothing changed: a safety net under the
watches, rare enough to cost nothing."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    argument_parser = argparse.ArgumentParser(
        prog="blockqnn-operator",
        description="Runs the BlockSearches of a Kubernetes cluster. Credentials come from the "
        "service account inside a Pod, elsewhere from KUBECONFIG.",
    )
    argument_parser.add_argument(
        "-n",
        "--namespace",
        action="append",
        default=[],
        help="watch this namespace only; may be repeated (default: all namespaces)",
    )
    argument_parser.add_argument(
        "--trainer-image",
        metavar="IMAGE",
        default=DEFAULT_TRAINER_IMAGE,
        help="the trainer's image of searches that name none (default: %(default)s)",
    )
    argument_parser.add_argument(
        "--listen-address",
        metavar="ADDRESS",
        help="serve probes and metrics on this address only (default: all addresses, IPv4 and "
        "IPv6)",
    )
    argument_parser.add_argument(
        "--probe-port",
        type=_port,
        metavar="PORT",
        help="serve the probes of a kubelet on this port, at /healthz and /readyz",
    )
    argument_parser.add_argument(
        "--metrics-port",
        type=_port,
        metavar="PORT",
        help="serve metrics for Prometheus on this port, at /metrics",
    )
    argument_parser.add_argument(
        "--max-jobs-in-flight",
        type=_positive,
        metavar="N",
        help="run at most N trials at a time, all searches together, shared fairly among them "
        "(default: as many as the searches' parallelism allows)",
    )
    argument_parser.add_argument(
        "--api-concurrency",
        type=_positive,
        metavar="N",
        default=CONNECTIONS,
        help="send at most N requests to the API server at a time (default: %(default)s)",
    )
    argument_parser.add_argument(
        "--label",
        type=_label,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="put this label on every Job, Pod, ConfigMap and Event; may be repeated",
    )
    argument_parser.add_argument(
        "--resync-seconds",
        type=_positive,
        metavar="SECONDS",
        default=RESYNC_SECONDS,
        help="reconcile every search this often, even if nothing has changed "
        "(default: %(default)s)",
    )
    argument_parser.add_argument(
        "--log-level",
        default="INFO",
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
        help="the least important messages to print (default: INFO)",
    )
    argument_parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return argument_parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _label(text: str) -> tuple[str, str]:
    try:
        return read_label(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:6]) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; these are 1 to 65535")
    return int(text)
