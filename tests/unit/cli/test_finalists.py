"""`kubectl blockqnn finalists`, `calibrate`, and what `best` and `status` say of finalists."""

import csv
import io
import json
from typing import Any

import pytest
from cli_finalists import BEST, PLAIN, RECORDS, SEARCH, record
from cli_searches import NOW, history_lines
from operator_builders import make_search, make_shard
from rich.console import Console

from blockqnn.contract.message import Outcome
from blockqnn_api.errors import HistoryUnreadable
from blockqnn_api.history import shards as history
from blockqnn_api.history.finalist_record import FinalistRecord
from blockqnn_cli import terminal_views
from blockqnn_cli.__main__ import main
from blockqnn_cli.errors import CommandError, ExitStatus
from blockqnn_cli.importing import plan_finalists


class OneSearch:
    """A cluster with one search and its finalists."""

    def __init__(self) -> None:
        self.search, self.trained = SEARCH, RECORDS
        self.stored: dict[str, tuple[history.Shard, ...]] = {}
        self.cluster, self.namespace = self, "lab"

    def get(self, _namespace: str, _name: str, **_options: bool) -> Any:
        return self.search

    def finalists(self, _search: Any) -> tuple[FinalistRecord, ...]:
        return tuple(self.trained)

    def object(self, _namespace: str, _name: str) -> Any:
        return make_search(self.search.spec, uid="another-uid")

    def shards(
        self, _namespace: str, _name: str, kind: str = history.TRIALS
    ) -> tuple[history.Shard, ...]:
        return self.stored.get(kind, ())

    def write_shard(self, _search: Any, write: history.ShardWrite, kind: str = "history") -> None:
        self.stored[kind] = (make_shard(write.number, write.text),)


@pytest.fixture
def cluster(monkeypatch) -> OneSearch:
    single_search = OneSearch()
    monkeypatch.setattr("blockqnn_cli.command.Context.searches", single_search)
    return single_search


def test_the_table_has_a_line_for_each_block_and_target_the_best_first(cluster, capsys) -> None:
    assert main(["finalists", "digits"]) == ExitStatus.OK
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if "%" in line]
    assert len(rows) == 11
    assert "cifar100" in rows[-1]
    assert all("(the search's own)" in row for row in rows[:-1])
    (two,) = [row for row in rows if "±" in row]
    assert f" {BEST[0].trial} " in two


def test_csv_has_a_line_for_each_seed_and_json_the_records(cluster, capsys) -> None:
    assert main(["finalists", "digits", "-o", "csv"]) == ExitStatus.OK
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == len(RECORDS)
    assert rows[-1]["target"] == "cifar100"
    assert main(["finalists", "digits", "-o", "json", "--target", "cifar100"]) == ExitStatus.OK
    (document,) = json.loads(capsys.readouterr().out)
    assert (document["target"], document["accuracy"]) == ("cifar100", 0.71)


def test_infeasible_finalists_are_named_with_the_reason(cluster, capsys) -> None:
    unfit = record(2, None, outcome=Outcome.INFEASIBLE, reason="NotFinite", seed=3)
    cluster.trained = [*RECORDS, unfit]
    assert main(["finalists", "digits"]) == ExitStatus.OK
    assert f"trial {BEST[2].trial}, seed 3: NotFinite" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["finalists", "calibrate"])
def test_a_search_without_finalists_or_results_says_so(cluster, capsys, command: str) -> None:
    cluster.trained = []
    assert main([command, "digits"]) == ExitStatus.NOTHING_YET
    assert "has a result yet" in capsys.readouterr().err
    cluster.search = PLAIN
    assert main([command, "digits"]) == ExitStatus.NOTHING_YET
    assert "has no spec.finalists" in capsys.readouterr().err


def test_calibrate_tells_the_rank_correlations(cluster, capsys) -> None:
    cluster.trained = RECORDS[:10]
    assert main(["calibrate", "digits"]) == ExitStatus.OK
    said = capsys.readouterr().out
    assert "10 finalists" in said
    assert "early-stop accuracy  +1.000" in said
    assert main(["calibrate", "digits", "-o", "json"]) == ExitStatus.OK
    document = json.loads(capsys.readouterr().out)
    assert document["finalists"] == 10
    assert document["earlyCorrelation"] == pytest.approx(1)
    assert -1 <= document["rewardCorrelation"] < 1


def test_too_few_finalists_calibrate_nothing(cluster, capsys) -> None:
    cluster.trained = RECORDS[:7]
    assert main(["calibrate", "digits"]) == ExitStatus.NOTHING_YET
    assert "at least 8 are needed" in capsys.readouterr().err


def test_best_shows_what_the_complete_training_reached_and_where_the_model_is(
    cluster, capsys
) -> None:
    assert main(["best", "digits"]) == ExitStatus.OK
    said = " ".join(capsys.readouterr().out.split())
    assert "complete training: accuracy 94.00% ± 0.40% over 2 seeds" in said
    assert "model in lab/digits/trial-00007/seed-1 on the volume" in said
    assert main(["best", "digits", "-o", "json"]) == ExitStatus.OK
    assert json.loads(capsys.readouterr().out)["convergedAccuracy"] == 0.94


def test_status_counts_the_finalists() -> None:
    console = Console(width=200, file=io.StringIO())
    console.print(terminal_views.whole(SEARCH, (), NOW))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "finalists 12/13   running 1   best converged accuracy 94.00% ± 0.40%" in said


TRIALS = list(history_lines(PLAIN.header, PLAIN.records))
TRAINED = [record.write() for record in RECORDS]
BOTH = {
    history.TRIALS: (make_shard(0, "".join(TRIALS)),),
    history.FINALISTS: (make_shard(0, "\n".join(TRAINED) + "\n"),),
}


def test_an_exported_history_has_the_finalists_and_can_be_imported(
    cluster, tmp_path, capsys
) -> None:
    file, cluster.stored = tmp_path / "history.jsonl", dict(BOTH)
    assert main(["history", "export", "digits", str(file)]) == ExitStatus.OK
    assert capsys.readouterr().out == f"Wrote 96 trials and 12 finalists of lab/digits to {file}.\n"
    assert file.read_text().splitlines()[-len(TRAINED) :] == TRAINED
    cluster.stored = {}
    assert main(["history", "import", "digits", str(file)]) == ExitStatus.OK
    assert capsys.readouterr().out.startswith("Restored 96 trials and 12 finalists to lab/digits.")
    assert cluster.stored[history.FINALISTS] == BOTH[history.FINALISTS]
    assert len(history.lines(cluster.stored[history.TRIALS])) == len(TRIALS)


def test_finalists_of_another_search_or_beside_others_are_not_imported() -> None:
    search = make_search(SEARCH.spec)
    other = record(0, 0.9, trial=95, hash="0" * 16)
    with pytest.raises(CommandError, match="of trial 95, seed 0 is of another block than trial 95"):
        plan_finalists(search, (), [other.write()], TRIALS)
    with pytest.raises(CommandError, match=r"digits-finalists-0000 .* holds another history"):
        plan_finalists(search, (make_shard(0, "{}\n"),), TRAINED, TRIALS)
    with pytest.raises(CommandError, match="more finalists in its history than these"):
        plan_finalists(search, BOTH[history.FINALISTS], [], TRIALS)
    with pytest.raises(HistoryUnreadable, match="two results"):
        plan_finalists(search, (), [TRAINED[0]] * 2, TRIALS)
    assert plan_finalists(search, BOTH[history.FINALISTS], TRAINED, TRIALS) == []


def test_damaged_checkpoints_are_named_and_earlier_pods_are_counted(cluster, capsys) -> None:
    seconds = {"total": 30.0, "earlier": 90.0}
    cluster.trained = [record(0, 0.9, damaged_checkpoints=2, gpus=4, seconds=seconds)]
    assert main(["finalists", "digits"]) == ExitStatus.OK
    said = capsys.readouterr().out
    assert "2 min" in said
    assert "seed 0: 2 checkpoints on the volume could not be read." in said
    assert main(["finalists", "digits", "-o", "csv"]) == ExitStatus.OK
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["damagedCheckpoints"], row["seconds"], row["gpuSeconds"]) == ("2", "120.0", "480.0")
