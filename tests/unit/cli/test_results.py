"""`kubectl blockqnn trials`, `best`, `logs` and `history`: what they write of a search."""

import csv
import io
import json
import sys
from dataclasses import replace
from typing import Any

import pytest
from arro3.io import read_parquet
from cli_searches import CLASSES, SHAPE, empty, history_lines, simulated
from operator_builders import make_search, make_shard

from blockqnn.block.dot_drawing import dot_drawing
from blockqnn.block.nsc import Block
from blockqnn.block.svg_drawing import svg_drawing
from blockqnn.contract.message import Outcome
from blockqnn.errors import BlockQNNError
from blockqnn.network.cost import network_parameters
from blockqnn_api.history import shards as history
from blockqnn_api.history.trial_record import TrialRecord, read_lines
from blockqnn_cli import trials
from blockqnn_cli.__main__ import main
from blockqnn_cli.commands.best import written
from blockqnn_cli.commands.logs import why_no_log
from blockqnn_cli.errors import ExitStatus, NothingYet
from blockqnn_cli.importing import divide, plan_import
from blockqnn_cli.parquet import as_parquet
from blockqnn_cli.python_export import python

SEARCH = simulated()
BEST = Block.parse(SEARCH.status["best"]["block"])
TEXT = "".join(history_lines(SEARCH.header, SEARCH.records))
LINES = TEXT.splitlines()


class OneSearch:
    """A cluster with one search, and what is written to it."""

    def __init__(self, search: Any = SEARCH, shards: tuple[history.Shard, ...] = ()) -> None:
        self.search, self.stored, self.written = search, shards, []
        self.cluster = self
        self.namespace = "lab"

    def get(self, _namespace: str, _name: str, **_options: bool) -> Any:
        return self.search

    def object(self, _namespace: str, _name: str) -> Any:
        return make_search(self.search.spec, uid="another-uid")

    def shards(
        self, _namespace: str, _name: str, kind: str = history.TRIALS
    ) -> tuple[history.Shard, ...]:
        return self.stored if kind == history.TRIALS else ()

    def write_shard(self, _search: Any, write: history.ShardWrite) -> None:
        self.written.append(write)


@pytest.fixture
def cluster(monkeypatch) -> OneSearch:
    single_search = OneSearch()
    monkeypatch.setattr("blockqnn_cli.command.Context.searches", single_search)
    return single_search


def test_csv_has_a_line_for_each_trial_and_reads_back(cluster, capsys) -> None:
    assert main(["trials", "digits", "-o", "csv"]) == ExitStatus.OK
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [int(row["trial"]) for row in rows] == list(range(96))
    assert [row["block"] for row in rows] == [record.block for record in SEARCH.records]
    assert [row["accuracy"] for row in rows] == [
        "" if r.accuracy is None else str(r.accuracy) for r in SEARCH.records
    ]


@pytest.mark.parametrize("number", [2**63, 10**30, 10**400])
def test_a_number_that_no_parquet_can_hold_is_one_line(number, cluster, capsys) -> None:
    huge = SEARCH.records[0].model_copy(update={"parameters": number, "macs": number})
    cluster.search = replace(SEARCH, records=(huge, *SEARCH.records[1:]))
    assert main(["trials", "digits", "-o", "parquet"]) == ExitStatus.FAILED
    assert "Trial 0 has a number in parameters that the whole" in capsys.readouterr().err
    for output in ("table", "csv", "json"):
        assert main(["trials", "digits", "-o", output]) == ExitStatus.OK
        assert capsys.readouterr().err == ""


def test_parquet_has_the_columns_of_the_csv_with_their_types(cluster, capsysbinary) -> None:
    assert main(["trials", "digits", "-o", "parquet", "--top", "20"]) == ExitStatus.OK
    table = read_parquet(io.BytesIO(capsysbinary.readouterr().out)).read_all()
    kinds = {field.name: str(field.type).strip() for field in table.schema}
    assert list(kinds) == list(trials.COLUMNS)
    assert (kinds["trial"], kinds["accuracy"], kinds["block"]) == (
        "arro3.core.DataType<Int64>",
        "arro3.core.DataType<Float64>",
        "arro3.core.DataType<Utf8>",
    )
    best = trials.chosen(SEARCH.records, top=20)
    for name, column in trials.COLUMNS.items():
        values = [scalar.as_py() for scalar in table[name]]
        assert values == [column.of(record) for record in best], name


def test_parquet_of_no_trial_is_a_table_without_rows() -> None:
    table = read_parquet(io.BytesIO(as_parquet([]))).read_all()
    assert (table.num_rows, table.num_columns) == (0, len(trials.COLUMNS))


def test_without_its_library_parquet_is_refused_in_a_line(cluster, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "arro3.io", None)
    assert main(["trials", "digits", "-o", "parquet"]) == ExitStatus.FAILED
    said = capsys.readouterr().err
    assert "pip install 'blockqnn[parquet]'" in said
    assert said.count("\n") == 1


def test_parquet_is_not_written_to_a_terminal(cluster, capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["trials", "digits", "-o", "parquet"]) == ExitStatus.USAGE
    assert "redirect it to a file" in capsys.readouterr().err


def test_json_is_the_records_of_the_history(cluster, capsys) -> None:
    assert main(["trials", "digits", "-o", "json"]) == ExitStatus.OK
    documents = json.loads(capsys.readouterr().out)
    assert [TrialRecord.model_validate(document) for document in documents] == list(SEARCH.records)


def test_the_top_trials_are_those_of_the_status() -> None:
    best = trials.chosen(SEARCH.records, top=10)
    assert [r.trial for r in best] == [b["trial"] for b in SEARCH.status["top"]]


def test_trials_are_sorted_with_unknown_values_last() -> None:
    by_accuracy = trials.chosen(SEARCH.records, sort="accuracy")
    values = [r.accuracy for r in by_accuracy if r.accuracy is not None]
    assert values == sorted(values, reverse=True)
    assert all(r.accuracy is None for r in by_accuracy[len(values) :])
    smallest = trials.chosen(SEARCH.records, sort="parameters", top=1)[0]
    assert smallest.parameters == min(r.parameters or 0 for r in SEARCH.records)
    failed = trials.chosen(SEARCH.records, outcome="failed")
    assert {r.outcome for r in failed} == {Outcome.FAILED}


def test_the_table_shows_outcomes_and_what_they_share(cluster, capsys) -> None:
    assert main(["trials", "digits"]) == ExitStatus.OK
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 97
    shared = next(record for record in SEARCH.records if record.shared_with is not None)
    line = next(line for line in lines if line.split()[0] == str(shared.trial))
    assert f"as trial {shared.shared_with}" in line


def test_what_is_not_there_yet_has_its_own_exit_status(cluster, capsys) -> None:
    cluster.search = empty()
    for command in (["trials", "x"], ["best", "x"], ["history", "export", "x", "-"]):
        assert main(command) == ExitStatus.NOTHING_YET
        assert capsys.readouterr().err.count("\n") == 1


def test_what_can_be_no_name_is_refused_before_it_is_asked_for(capsys) -> None:
    for name in ("", "a/b", "Birds", "-", "a b"):
        with pytest.raises(SystemExit) as ended:
            main(["status", "--", name])
        assert ended.value.code == ExitStatus.USAGE
        assert "cannot be the name of a BlockSearch" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["-o", "xml"], ["--top", "0"], ["--sort", "age"]])
def test_a_wrong_option_says_what_there_is(arguments, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["trials", "digits", *arguments])
    assert ended.value.code == ExitStatus.USAGE
    assert "kubectl blockqnn trials: error: argument" in capsys.readouterr().err


def test_the_best_block_is_written_for_tools(cluster, capsys) -> None:
    best = SEARCH.status["best"]
    assert main(["best", "digits", "-o", "nsc"]) == ExitStatus.OK
    assert capsys.readouterr().out == best["block"] + "\n"
    assert written(SEARCH, "dot") == dot_drawing(Block.parse(best["block"]))
    assert written(SEARCH, "svg") == svg_drawing(Block.parse(best["block"]))
    document = json.loads(written(SEARCH, "json"))
    assert (document["trial"], document["accuracy"]) == (best["trial"], best["accuracy"])
    assert [layer["index"] for layer in document["layers"]] == list(
        range(1, len(document["layers"]) + 1)
    )
    assert document["layers"][-1] == {
        "index": len(document["layers"]), "type": "Terminal", "kernel": 0, "inputs": [],
    }  # fmt: skip
    assert main(["best", "digits"]) == ExitStatus.OK
    assert f"trial {best['trial']}: accuracy" in capsys.readouterr().out


def test_the_module_builds_the_network_of_the_best_block() -> None:
    pytest.importorskip("torch")
    names: dict[str, Any] = {}
    exec(python(SEARCH), names)
    network = names["build"]()
    expected = network_parameters(BEST, SEARCH.network_for(BEST), SHAPE, CLASSES)
    assert sum(p.numel() for p in network.parameters()) == expected


def test_the_module_of_images_of_one_s_own_asks_for_their_shape() -> None:
    own = replace(SEARCH, spec={**SEARCH.spec, "dataset": {"name": "npz"}})
    assert "def build(input_shape: tuple[int, int, int], classes: int) -> Network:" in python(own)


def test_a_trial_without_a_log_says_why() -> None:
    shared = next(r for r in SEARCH.records if r.outcome is Outcome.CACHED)
    failed = next(r for r in SEARCH.records if r.outcome is Outcome.FAILED)
    assert f"shares the result of trial {shared.shared_with}" in why_no_log(SEARCH, shared.trial)
    assert "ended as Failed (Error: No space left.)" in why_no_log(SEARCH, failed.trial)
    assert "has not started yet" in why_no_log(SEARCH, 96)
    assert "has not started yet" in why_no_log(SEARCH, -1)


def test_an_exported_history_can_be_imported(cluster, tmp_path, capsys) -> None:
    cluster.stored = (make_shard(0, TEXT),)
    file = tmp_path / "history.jsonl"
    assert main(["history", "export", "digits", str(file)]) == ExitStatus.OK
    assert capsys.readouterr().out == f"Wrote 96 trials of lab/digits to {file}.\n"
    assert file.read_text() == TEXT
    cluster.stored = ()
    assert main(["history", "import", "digits", str(file)]) == ExitStatus.OK
    assert capsys.readouterr().out.startswith("Restored 96 trials to lab/digits.")
    (write,) = cluster.written
    assert (write.number, write.replaces) == (0, None)
    header, records = read_lines(line for line in write.text.split("\n") if line)
    assert header.search_uid == "another-uid"
    assert records == SEARCH.records


def test_a_long_history_is_cut_and_its_first_shard_is_written_last(monkeypatch) -> None:
    monkeypatch.setattr("blockqnn_api.history.shards.append.__defaults__", (9_000,))
    begun = make_shard(0, TEXT.split("\n")[0] + "\n", "17")
    writes = plan_import(make_search(SEARCH.spec), [begun], LINES)
    assert [write.number for write in writes] == list(range(len(writes)))[::-1]
    assert len(writes) > 3
    assert [write.replaces for write in writes] == [None] * (len(writes) - 1) + ["17"]
    assert "".join(write.text for write in reversed(writes)) == TEXT
    remaining_shard = make_shard(writes[0].number, writes[0].text)
    assert plan_import(make_search(SEARCH.spec), [begun, remaining_shard], LINES) == writes[1:]
    with pytest.raises(BlockQNNError, match="holds another history; delete it first"):
        plan_import(make_search(SEARCH.spec), [make_shard(1, "{}\n")], LINES)


@pytest.mark.parametrize(
    ("text", "spec", "shards", "message"),
    [
        ("", {}, [], "The history is empty"),
        ("{}\n", {}, [], "A Header of the history is wrong"),
        (TEXT.replace('"trial":1,', '"trial":2,', 1), {}, [], "has trial 2 where trial 1 should"),
        (TEXT, {"seed": 1}, [], "another search than lab/digits: spec.seed is 1 and was 0; create"),
        (TEXT, {"space": {"maxLayers": 7}}, [], "space.maxLayers is 7 and was 8; create one with"),
        (TEXT, {}, [make_shard(0, TEXT)], "has trials in its history already"),
    ],
)
def test_what_cannot_be_imported_is_told_and_nothing_is_written(
    text, spec, shards, message
) -> None:
    with pytest.raises(BlockQNNError, match=message):
        plan_import(make_search({**SEARCH.spec, **spec}), shards, divide(text)[0])


def test_a_history_is_checked_by_learning_it() -> None:
    """Every line can be read, but no such search can have produced the block."""
    lines = TEXT.split("\n")
    lines[1] = lines[1].replace(SEARCH.records[0].block, "(1,1,3,0,0)" * 2)
    with pytest.raises(BlockQNNError, match="The history is not one of this search"):
        plan_import(make_search(SEARCH.spec), [], lines[:-1])


def test_a_search_without_history_has_no_network() -> None:
    with pytest.raises(NothingYet, match="has no history yet"):
        _ = empty().network_for(BEST)
