"""A real Prometheus that scrapes operators on this machine."""

import json
import math
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from blockqnn.errors import BlockQNNError
from monitoring.debian import PROMETHEUS, fetch

SCRAPE_SECONDS = 1
"""Interval of scrapes: searches of tests take seconds, real ones hours."""

READY_SECONDS = 30.0
"""Seconds that it may take to start; one on an idle machine."""


class QueryFailed(BlockQNNError):
    """Prometheus refuses a query, or does not answer."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer."""

    labels: Mapping[str, str]
    values: Sequence[tuple[float, float]]
    """Moments, in seconds since 1970, and values."""

    @property
    def last(self) -> float:
        """The latest value."""
        return self.values[-1][1]

    @property
    def has_data(self) -> bool:
        """True if any value is a number."""
        return any(math.isfinite(value) for _, value in self.values)


class Prometheus:
    """A server with a folder of its own; a context manager that ends it.

    Args:
        folder: where its configuration, its data and its log are.
        targets: addresses to scrape, as ``host:port``.
        rules: files of alerts to evaluate.
    """

    def __init__(self, folder: Path, targets: Iterable[str], rules: Iterable[Path] = ()) -> None:
        self.folder = folder
        self._targets, self._rules = list(targets), [str(path.resolve()) for path in rules]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(self._configuration()))
        options = {
            "config.file": self.folder / "prometheus.yml",
            "storage.tsdb.path": self.folder / "data",
            "web.listen-address": self.address,
        }
        command = [str(fetch(PROMETHEUS).path), *(f"--{k}={v}" for k, v in options.items())]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def _configuration(self) -> dict[str, Any]:
        interval = f"{SCRAPE_SECONDS}s"
        return {
            "global": {"scrape_interval": interval, "evaluation_interval": interval},
            "rule_files": self._rules,
            "scrape_configs": [
                {
                    "job_name": "blockqnn-operator",
                    "honor_labels": True,
                    "static_configs": [{"targets": self._targets}],
                }
            ],
        }

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5):
                    return
            except OSError:
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    log = (self.folder / "log").read_text().strip().splitlines()[-5:]
                    raise QueryFailed("Prometheus does not start:\n" + "\n".join(log)) from None
            time.sleep(0.05)

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def ask(self, path: str, **parameters: object) -> Any:
        """Ask the API; returns the ``data`` of its answer.

        Raises:
            QueryFailed: with what Prometheus says against it.
        """
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(
                f"http://{self.address}/api/v1/{path}?{query}", timeout=30
            ) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            said = json.load(error).get("error", "")
            raise QueryFailed(
                f"Prometheus refuses {parameters.get('query', path)}: {said}"
            ) from None

    def query(self, expression: str) -> list[Series]:
        """Evaluate an expression now."""
        found = self.ask("query", query=expression)["result"]
        return [Series(one["metric"], [_sample(one["value"])]) for one in found]

    def query_range(
        self, expression: str, start: float, end: float, step: float = SCRAPE_SECONDS
    ) -> list[Series]:
        """Evaluate an expression at each step between two moments, in seconds since 1970."""
        found = self.ask("query_range", query=expression, start=start, end=end, step=step)["result"]
        return [Series(one["metric"], [_sample(v) for v in one["values"]]) for one in found]


def _sample(value: Sequence[Any]) -> tuple[float, float]:
    return float(value[0]), float(value[1])
