"""Facts about the machine that the trainer reads: its age, its processors, its memory."""

import os
import time
from pathlib import Path

import pytest

from blockqnn_trainer.errors import InvalidTrial
from blockqnn_trainer.process.machine import memory_limit, process_age, thread_count

PROCESSORS = len(os.sched_getaffinity(0))


def test_the_age_of_a_process_is_that_of_the_kernel(tmp_path: Path) -> None:
    age = process_age()
    assert 0 < age < time.clock_gettime(time.CLOCK_BOOTTIME)
    assert process_age() >= age
    ticks = int((time.clock_gettime(time.CLOCK_BOOTTIME) - 100) * os.sysconf("SC_CLK_TCK"))
    stat = tmp_path / "stat"
    stat.write_text(f"7 (a ) name) S {' '.join(['0'] * 18)} {ticks} 0 0\n")
    assert process_age(stat) == pytest.approx(100, abs=1)


def test_without_a_kernel_that_tells_age_counts_from_the_import(tmp_path: Path) -> None:
    assert 0 < process_age(tmp_path / "none") < process_age() + 1


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({"BLOCKQNN_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": "many"}, PROCESSORS),
        ({}, PROCESSORS),
    ],
)
def test_threads_come_from_the_environment(
    tmp_path: Path, environment: dict[str, str], threads: int
) -> None:
    assert thread_count(environment, tmp_path) == threads


@pytest.mark.parametrize("value", ["0", "-1", "two", ""])
def test_a_number_of_threads_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(InvalidTrial) as refused:
        thread_count({"BLOCKQNN_THREADS": value})
    assert str(refused.value) == (
        f"The environment variable BLOCKQNN_THREADS is {value!r}; it must be a whole number from 1."
    )


@pytest.mark.parametrize(
    ("quota", "threads"),
    [
        ("150000 100000", 1),
        ("50000 100000", 1),
        ("max 100000", PROCESSORS),
        ("99900000 100000", PROCESSORS),
        ("nonsense", PROCESSORS),
    ],
)
def test_a_containers_cpu_limit_is_rounded_down(tmp_path: Path, quota: str, threads: int) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert thread_count({}, tmp_path) == threads


@pytest.mark.parametrize(("quota", "threads"), [("100000", 1), ("-1", PROCESSORS)])
def test_the_first_version_of_cgroups_is_read_too(tmp_path: Path, quota: str, threads: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert thread_count({}, tmp_path) == threads


def test_the_memory_is_the_containers_or_else_the_machines(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       1000 kB\nMemFree:        10 kB\n")
    assert memory_limit(tmp_path, meminfo) == 1_024_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_limit(tmp_path, meminfo) == 1_024_000
    (tmp_path / "memory.max").write_text("5000\n")
    assert memory_limit(tmp_path, meminfo) == 5000
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("4000\n")
    assert memory_limit(tmp_path, meminfo) == 4000
