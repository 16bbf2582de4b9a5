"""Ports of the operator: probes and metrics on the same addresses, and taken ports."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from blockqnn_operator.errors import AddressUnavailable
from blockqnn_operator.shell.listening import listen, listen_all
from blockqnn_operator.shell.main import main
from blockqnn_operator.shell.metrics.operator import Metrics
from blockqnn_operator.shell.probes import Probes


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


HOSTS = ["127.0.0.1", *(["[::1]"] if has_ipv6() else [])]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def close(listeners: Sequence[socket.socket]) -> None:
    for listener in listeners:
        listener.close()


async def version() -> str:
    return "v1"


@pytest.mark.parametrize("host", HOSTS)
async def test_probes_and_metrics_answer_on_the_same_addresses(host: str) -> None:
    opened = listen_all({"--probe-port": 0, "--metrics-port": 0})
    ports = {option: opened[option][0].getsockname()[1] for option in opened}
    probes = Probes(version)
    metrics = Metrics(tuple, lambda: 0, CollectorRegistry())
    await probes.serve(opened["--probe-port"])
    metrics.serve(opened["--metrics-port"])
    try:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{host}:{ports['--probe-port']}/healthz") as answer:
                assert answer.status == 200
            async with session.get(f"http://{host}:{ports['--metrics-port']}/metrics") as answer:
                assert answer.status == 200
                assert "blockqnn_queue_depth 0.0" in await answer.text()
    finally:
        await probes.close()


def test_all_addresses_are_those_of_both_protocols() -> None:
    listeners = listen("--probe-port", 0)
    try:
        assert len({listener.getsockname()[1] for listener in listeners}) == 1
        assert len(listeners) == len(HOSTS)
    finally:
        close(listeners)


def test_an_address_is_the_only_one() -> None:
    listeners = listen("--probe-port", 0, "127.0.0.1")
    try:
        ((address, _),) = [listener.getsockname() for listener in listeners]
        assert address == "127.0.0.1"
    finally:
        close(listeners)


def test_a_taken_port_is_a_sentence_and_nothing_stays_open(taken: int) -> None:
    port = free_port()
    with pytest.raises(AddressUnavailable) as caught:
        listen_all({"--probe-port": port, "--metrics-port": taken})
    assert str(caught.value) == (
        f"The port {taken} of --metrics-port cannot be opened on 0.0.0.0: Address already in use. "
        "Choose another with --metrics-port or --listen-address, or end the process that has it."
    )
    close(listen("--probe-port", port))


def test_two_servers_cannot_have_one_port() -> None:
    port = free_port()
    with pytest.raises(AddressUnavailable, match=f"The port {port} of --metrics-port cannot be"):
        listen_all({"--probe-port": port, "--metrics-port": port})


@pytest.mark.parametrize("address", ["256.1.1.1", "no host", "192.0.2.1", "a" * 300, "\udcff"])
def test_an_address_of_no_machine_is_a_sentence(address: str) -> None:
    with pytest.raises(AddressUnavailable, match="--listen-address"):
        listen("--probe-port", 0, address)


@pytest.mark.parametrize("option", ["--probe-port", "--metrics-port"])
def test_the_process_ends_with_one_line_and_a_status(option: str, taken: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "blockqnn_operator.shell.main", f"{option}={taken}"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "KUBECONFIG": os.devnull},
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"The port {taken} of {option} cannot be opened" in line
    assert "ERROR" in line


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "9" * 5000, "٣"])
def test_a_number_that_is_no_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([f"--probe-port={port}"])
    assert caught.value.code == 2
    assert "is not a port; these are 1 to 65535" in capsys.readouterr().err


def test_metrics_are_served_to_several_at_a_time() -> None:
    (listener,) = listen("--metrics-port", 0, "127.0.0.1")
    Metrics(tuple, lambda: 3, CollectorRegistry()).serve([listener])
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/metrics"
    with socket.create_connection(listener.getsockname()):
        # The one connection is silent.
        assert b"blockqnn_queue_depth 3.0" in urllib.request.urlopen(url, timeout=10).read()
