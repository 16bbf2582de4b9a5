"""The verbs: build, up, down, status, kubeconfig, kubectl, run."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from .build import ensure_programs
from .cluster import DevCluster, stop_named, to_stderr
from .container.requirements import check_machine
from .errors import DevClusterError, NotRunningError, UnsupportedMachineError, UsageError
from .layout import DIRECTORY_VARIABLE, ClusterDirectory, state_home
from .locks import holder
from .nodes import NodeKind
from .processes import die_with_parent
from .programs import PROGRAM_SETS
from .supervisor import Description, Lifeline, Options, supervise

UNSUPPORTED = 3
"""The exit status of `check` on a machine that cannot run a container node."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status: 0, 1 with one clear message, or a command's own."""
    options = _parse(sys.argv[1:] if arguments is None else list(arguments))
    verb: Callable[[argparse.Namespace], int] = options.function
    try:
        return verb(options)
    except DevClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Whoever read our output has gone; Python must not try to write to it at its end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the arguments; what follows `kubectl` is kubectl's, whatever it looks like."""
    if arguments[:1] != ["kubectl"] or arguments[1:2] in (["-h"], ["--help"]):
        return _parser().parse_args(arguments)
    end = 1
    if arguments[1:2] == ["--name"]:
        end = 3
    elif arguments[1:2] and arguments[1].startswith("--name="):
        end = 2
    options = _parser().parse_args(arguments[:end])
    options.arguments = arguments[end:]
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m blockqnn_devcluster",
        description="A real Kubernetes on one machine, without root unless asked for containers.",
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def add(
        name: str, function: Callable[[argparse.Namespace], int], text: str, *, named: bool
    ) -> argparse.ArgumentParser:
        verb = verbs.add_parser(name, help=text, description=text)
        verb.set_defaults(function=function)
        if named:
            verb.add_argument(
                "--name", help="which cluster (default: %(default)s)", default="default"
            )
        return verb

    build = add("build", _build, "build the programs into the user's cache", named=False)
    build.add_argument(
        "--only",
        choices=sorted(PROGRAM_SETS),
        default="cluster",
        help="which programs (default: what every cluster needs)",
    )
    add("check", _check, "check whether this machine can run a container node", named=False)
    load = add("load", _load, "load archives of images into the container node", named=True)
    load.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE")
    up = add("up", _up, "start a cluster; it runs until Ctrl-C", named=True)
    _add_cluster_options(up)
    up.add_argument("--lifeline", type=int, help=argparse.SUPPRESS)
    add("down", _down, "stop a running cluster and wait until it is gone", named=True)
    add("status", _status, "list the running clusters", named=False)
    config = add("kubeconfig", _kubeconfig, "print the path of a kubeconfig", named=True)
    config.add_argument("--user", help="issue a certificate for this user, who has no rights yet")
    config.add_argument("--group", action="append", default=[], help="a group of the user")
    kubectl = add("kubectl", _kubectl, "run the cluster's own kubectl", named=True)
    kubectl.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT")
    run = add("run", _run, "start a cluster, run a command against it, stop it", named=True)
    _add_cluster_options(run)
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    return parser


def _add_cluster_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cpus", type=int, help="CPUs that the node announces (default: all)")
    node = parser.add_mutually_exclusive_group()
    node.add_argument(
        "--node",
        choices=[kind.value for kind in NodeKind],
        default=NodeKind.PROCESS.value,
        help="what runs pods: local processes (default), or containers (Linux, as root)",
    )
    node.add_argument(
        "--no-node",
        action="store_const",
        const=None,
        dest="node",
        help="start the control plane only",
    )
    parser.add_argument("--keep", action="store_true", help="keep state and logs at the end")


def _build(options: argparse.Namespace) -> int:
    print(ensure_programs(to_stderr, PROGRAM_SETS[options.only]))
    return 0


def _node_kind(options: argparse.Namespace) -> NodeKind | None:
    return None if options.node is None else NodeKind(options.node)


def _check(options: argparse.Namespace) -> int:
    try:
        check_machine()
    except UnsupportedMachineError as error:
        print(f"no container node here: {error}", file=sys.stderr)
        return UNSUPPORTED
    return 0


def _load(options: argparse.Namespace) -> int:
    cluster = _attached(options.name)
    for archive in options.archives:
        cluster.load_images(archive)
    return 0


def _up(options: argparse.Namespace) -> int:
    chosen = Options(options.name, options.cpus, _node_kind(options), options.keep)
    if options.lifeline is None:
        supervise(chosen, _print, _print_usage)
        return 0
    lifeline = Lifeline(options.lifeline)
    try:
        supervise(
            chosen,
            lambda text: lifeline.send("progress", text),
            lambda directory, description: lifeline.send("ready", str(directory.path)),
            lifeline,
        )
    except DevClusterError as error:
        # Once it has its cluster, nobody at the other end listens any more.
        lifeline.send("error", str(error))
        if lifeline.told_ready:
            raise
        return 1
    return 0


def _print(line: str) -> None:
    print(line, flush=True)


def _print_usage(directory: ClusterDirectory, description: Description) -> None:
    name = "" if description.name == "default" else f" --name {description.name}"
    _print(
        f"  use it:  export KUBECONFIG={directory.kubeconfig}\n"
        f"           python -m blockqnn_devcluster kubectl{name} get pods -A\n"
        f"  logs:    {directory.logs}\n"
        f"  stop it: Ctrl-C here, or python -m blockqnn_devcluster down{name}\n"
        f"ready: Kubernetes v{description.kubernetes} at {description.server}"
    )


def _down(options: argparse.Namespace) -> int:
    stop_named(ClusterDirectory.named(options.name))
    print(f"cluster {options.name!r} is down")
    return 0


def _status(options: argparse.Namespace) -> int:
    """Print one line for each cluster; exit with 1 where none is ready."""
    locks = sorted(state_home().glob("*.lock")) if state_home().exists() else []
    ready = 0
    for lock in locks:
        layout = ClusterDirectory(lock.with_suffix(""))
        pid = holder(lock)
        if pid is None:
            continue
        try:
            cluster = DevCluster.attach(layout.path)
        except NotRunningError:
            print(f"{layout.path.name}: starting or stopping (process {pid})")
            continue
        ready += 1
        node = cluster.node or "none"
        print(f"{cluster.name}: ready at {cluster.server}, node {node}, process {pid}")
    if not ready:
        print("no cluster is ready; start one with 'python -m blockqnn_devcluster up'")
    return 0 if ready else 1


def _attached(name: str) -> DevCluster:
    """Return the cluster of that name; the default is the one that the environment names."""
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if directory and name == "default":
        return DevCluster.attach(directory)
    layout = ClusterDirectory.named(name)
    if holder(layout.lock) is None:
        raise NotRunningError(f"no cluster {name!r} is running; start it with 'up --name {name}'")
    return DevCluster.attach(layout.path)


def _kubeconfig(options: argparse.Namespace) -> int:
    cluster = _attached(options.name)
    if options.user is None:
        if options.group:
            raise UsageError("--group needs --user: whose group is it?")
        print(cluster.kubeconfig)
    else:
        print(cluster.kubeconfig_for(options.user, options.group))
    return 0


def _kubectl(options: argparse.Namespace) -> int:
    cluster = _attached(options.name)
    environment = {**os.environ, **cluster.environment}
    program = str(cluster.kubectl_program)
    os.execve(program, [program, *_without_dashes(options.arguments)], environment)


def _run(options: argparse.Namespace) -> int:
    command = _without_dashes(options.command)
    if not command:
        raise UsageError("run: name the command to run, after '--'")
    with DevCluster.start(
        options.name, cpus=options.cpus, node=_node_kind(options) or False, keep=options.keep
    ) as cluster:
        return _run_command(command, {**os.environ, **cluster.environment})


def _run_command(command: list[str], environment: dict[str, str]) -> int:
    """Run a command in our own process group: a Ctrl-C reaches it, and we wait for its end."""
    parent = os.getpid()
    try:
        process = subprocess.Popen(
            command, env=environment, preexec_fn=lambda: die_with_parent(parent)
        )
    except OSError as error:
        raise UsageError(f"run: {command[0]}: {error.strerror}") from None
    with _passed_on(process):
        status = process.wait()
    return status if status >= 0 else 128 - status


@contextmanager
def _passed_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Pass on SIGTERM and SIGHUP; the terminal sends SIGINT to the command by itself."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        if process.poll() is None:
            process.send_signal(number)

    handlers: dict[int, Any] = {
        signal.SIGTERM: pass_on,
        signal.SIGHUP: pass_on,
        signal.SIGINT: lambda number, frame: None,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _without_dashes(arguments: list[str]) -> list[str]:
    return arguments[1:] if arguments[:1] == ["--"] else arguments
