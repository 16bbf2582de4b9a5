"""The ridge against numpy's linear algebra, in both of its forms."""

from collections.abc import Sequence

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.errors import NotFitted
from blockqnn.numerics.cholesky import Row
from blockqnn.surrogate.ridge import Ridge

FEATURES = 6
values = st.integers(-8, 8).map(lambda number: number / 4)
rows = st.dictionaries(st.integers(0, FEATURES - 1), values, max_size=FEATURES)
observations = st.lists(st.tuples(rows, values), min_size=1, max_size=2 * FEATURES)


def fitted(observed: Sequence[tuple[Row, float]], penalty: float) -> Ridge:
    ridge = Ridge(penalty)
    for row, _ in observed:
        ridge.add(row)
    ridge.fit([target for _, target in observed])
    return ridge


def dense(chosen: Sequence[Row]) -> numpy.ndarray:
    return numpy.array([[row.get(feature, 0.0) for feature in range(FEATURES)] for row in chosen])


@settings(deadline=None)
@given(observations, rows, st.sampled_from([0.1, 1.0, 10.0]))
def test_it_expects_what_the_equations_say(
    observed: list[tuple[Row, float]], asked: Row, penalty: float
) -> None:
    ridge = fitted(observed, penalty)
    x = dense([row for row, _ in observed])
    y = numpy.array([target for _, target in observed])
    centre = x.mean(axis=0)
    products = (x - centre).T @ (x - centre) + penalty * numpy.eye(FEATURES)
    weights = numpy.linalg.solve(products, (x - centre).T @ (y - y.mean()))
    at = dense([asked])[0] - centre
    assert ridge.predict(asked) == pytest.approx(y.mean() + at @ weights, abs=1e-9)
    errors = y - y.mean() - (x - centre) @ weights
    noise = (errors @ errors + penalty * weights @ weights) / len(y)
    spread = at @ numpy.linalg.solve(products, at)
    expected = numpy.sqrt(noise * (1 + spread))
    assert ridge.deviation(asked) == pytest.approx(expected, abs=1e-7)


@settings(deadline=None)
@given(observations, observations, rows)
def test_what_was_learned_before_does_not_matter(
    first: list[tuple[Row, float]], second: list[tuple[Row, float]], asked: Row
) -> None:
    ridge = fitted(first, 1.0)
    for row, _ in second:
        ridge.add(row)
    ridge.fit([target for _, target in first + second])
    fresh = fitted(first + second, 1.0)
    assert ridge.predict(asked) == fresh.predict(asked)
    assert ridge.deviation(asked) == fresh.deviation(asked)


@settings(deadline=None)
@given(observations, rows, rows, st.sampled_from([0.1, 1.0, 10.0]))
def test_what_is_expected_of_two_errs_together_as_the_equations_say(
    observed: list[tuple[Row, float]], first: Row, other: Row, penalty: float
) -> None:
    ridge = fitted(observed, penalty)
    x = dense([row for row, _ in observed])
    centre = x.mean(axis=0)
    products = (x - centre).T @ (x - centre) + penalty * numpy.eye(FEATURES)
    a, b = dense([first, other]) - centre
    joint = ridge.covariance(ridge.project(first), ridge.project(other))
    assert joint == pytest.approx(a @ numpy.linalg.solve(products, b), abs=1e-7)
    assert ridge.project(first).spread == pytest.approx(
        a @ numpy.linalg.solve(products, a), abs=1e-7
    )


def test_a_model_that_has_learned_nothing_says_so() -> None:
    with pytest.raises(NotFitted, match="add one before"):
        Ridge(1.0).fit([])
    with pytest.raises(NotFitted, match="fit the model before"):
        Ridge(1.0).predict({})
    with pytest.raises(NotFitted, match="fit the model before"):
        Ridge(1.0).project({})


def test_without_features_it_expects_the_mean() -> None:
    ridge = fitted([({}, 1.0), ({}, 3.0)], 1.0)
    assert ridge.predict({}) == 2.0
    assert ridge.deviation({}) == 1.0
