"""Published data: the files under benchmarks/data agree with the documentation."""

from collections import Counter

from benchmarks.reproduction import liked
from benchmarks.table import converged, searches
from benchmarks.table.recipe import CLASSES, EPOCHS, FINAL_EPOCHS, INPUT_SHAPE, NETWORK
from benchmarks.table.rows import SEPARATE, Row, read
from benchmarks.table.space import make_space, space_settings

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.network.cost import body_cost
from blockqnn.space.block_space import Space

ROWS = read()
SPACE = make_space()
SEPARATE_ROWS = read(SEPARATE)


def test_two_thousand_different_blocks_are_published_and_two_hundred_with_a_second_seed() -> None:
    assert len({row.hash for row in ROWS}) >= 2000
    assert sum(row.seed == 1 for row in ROWS) >= 200
    assert {row.hash for row in ROWS if row.seed == 1} <= {
        row.hash for row in ROWS if row.seed == 0
    }


def test_no_training_of_a_block_is_published_twice() -> None:
    assert len({(row.hash, row.seed) for row in ROWS}) == len(ROWS)


def check_rows(rows: list[Row], space: Space) -> None:
    for row in rows:
        block = Block.parse(row.block)
        assert row.hash == canonical_hash(block) == space.identity(space.encode(block))
        cost = body_cost(block.body, NETWORK, INPUT_SHAPE, CLASSES)
        assert (row.macs, row.parameters) == (cost.macs, cost.parameters)


def test_published_blocks_have_their_hashes_and_costs_and_are_of_the_space() -> None:
    check_rows(ROWS, SPACE)


def test_blocks_of_separate_layers_have_their_hashes_and_costs_and_are_of_their_space() -> None:
    check_rows(SEPARATE_ROWS, make_space(space_settings(convolution="Separate")))
    assert {row.origin for row in SEPARATE_ROWS} <= {"separate", "separate flat"}
    assert len({(row.hash, row.seed) for row in SEPARATE_ROWS}) == len(SEPARATE_ROWS)


def test_what_was_trained_has_its_accuracy_after_each_epoch() -> None:
    for row in [*ROWS, *SEPARATE_ROWS]:
        if row.outcome == "Succeeded":
            assert len(row.curve) == EPOCHS
            assert all(0 <= accuracy <= 1 for accuracy in row.curve)
            assert row.seconds > 0


def test_what_is_chosen_for_convergence_is_chosen_among_the_first_2023_blocks() -> None:
    table_rows = [row for row in ROWS if row.seed == 0 and row.origin in converged.ORIGINS]
    assert len(table_rows) == 2023
    assert len(set(converged.choose(ROWS).mixed)) == 66


def test_converged_trainings_are_of_chosen_blocks_and_have_their_early_accuracies() -> None:
    chosen = {row.hash: row for row in converged.choose(ROWS).mixed}
    trainings = converged.read()
    assert len({(training.hash, training.seed) for training in trainings}) == len(trainings)
    for training in trainings:
        assert training.block == chosen[training.hash].block
        assert training.early_accuracy == chosen[training.hash].accuracy
        assert training.epochs == FINAL_EPOCHS
        if training.outcome == "Succeeded":
            assert len(training.curve) == FINAL_EPOCHS
            assert training.curve[-1] == training.validation_accuracy


def test_every_trial_of_the_published_searches_is_in_the_table() -> None:
    trials_by_search = searches.read()
    assert set(trials_by_search) == set(searches.SEARCHES)
    for trials in trials_by_search.values():
        assert [trial.number for trial in trials] == list(range(1, searches.TRIALS + 1))
        assert len(searches.rewards(trials, ROWS)) == searches.TRIALS
        assert max(Counter(trial.hash for trial in trials).values()) == 1


def test_what_was_trained_because_a_search_liked_it_is_listed() -> None:
    rows = liked.read()
    assert {row.kind for row in rows} <= set(liked.KINDS)
    assert len({(row.kind, row.contestant, row.search, row.hash, row.seed) for row in rows}) == len(
        rows
    )
    listed = {(row.hash, row.seed) for row in rows}
    chosen = [row for row in ROWS if row.origin.split()[0] in liked.KINDS]
    assert {(row.hash, row.seed) for row in chosen} <= listed


def test_blocks_drawn_with_flat_are_published() -> None:
    """As many as the model needs there: it extrapolated for long and uniformly drawn blocks."""
    assert len({row.hash for row in ROWS if row.origin == "flat"}) >= 300
