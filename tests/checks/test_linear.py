"""Groups of controls left out at once, against least squares run again for each."""

from __future__ import annotations

import numpy as np
import pytest

from whence.checks.linear import basis, centred, without_groups
from whence.core.errors import WhenceError


def by_hand(y, d, x, whole, weights, clusters):
    """Coefficient, robust error, residual sums of squares and freedom, from the normal equations.

    HC3 takes the leverage of ``whole``, all the controls, and of what x leaves of the treatment.
    """
    n = len(y)
    design = np.column_stack([d, np.ones(n), x])
    root = np.sqrt(weights)
    beta, _, rank, _ = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)
    bread = np.linalg.pinv(design.T @ (design * weights[:, None]))
    residual = y - design @ beta
    others = design[:, 1:]
    fitted = others @ np.linalg.lstsq(others * root[:, None], d * root, rcond=None)[0]
    left = float(weights @ (d - fitted) ** 2)
    score, factor = design * (weights * residual)[:, None], 1.0
    if clusters is None:
        hat = np.column_stack([np.ones(n), whole]) * root[:, None]
        h = np.diag(hat @ np.linalg.pinv(hat)) + weights * (d - fitted) ** 2 / left
        score = score / (1 - h)[:, None]
    else:
        score = np.array([score[clusters == c].sum(axis=0) for c in np.unique(clusters)])
        factor = len(score) / (len(score) - 1) * (n - 1) / (n - rank)
    return (beta[0], np.sqrt(factor * (bread @ score.T @ score @ bread)[0, 0]),
            left, float(weights @ residual**2), n - rank)


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(120, 5))
    x[:, 4] = x[:, 0] + x[:, 1]  # redundant as long as columns 0 and 1 are there
    d = x[:, 0] - x[:, 3] + rng.normal(size=120)
    return d + x @ rng.normal(size=5) + rng.normal(size=120), d, x


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
def test_leaving_out_groups_is_running_the_regression_again(data, weighted, clustered):
    y, d, x = data
    rng = np.random.default_rng(2)
    weights = rng.uniform(0.2, 3, 120) if weighted else None
    clusters = rng.integers(0, 15, 120) if clustered else None
    groups = [np.array([0]), np.array([1, 2]), np.array([4]), np.arange(5)]
    found = without_groups(y, d, x, groups, weights, clusters)
    for entry, left_out in enumerate([np.array([], dtype=int), *groups]):
        w = np.ones(120) if weights is None else weights
        expected = by_hand(y, d, np.delete(x, left_out, axis=1), x, w, clusters)
        got = (found.estimate[entry], found.standard_error[entry], found.treatment_rss[entry],
               found.outcome_rss[entry], found.freedom[entry])
        assert got == pytest.approx(expected, rel=1e-8)


def test_a_redundant_column_is_missed_only_when_what_it_copies_is_gone(data):
    y, d, x = data
    found = without_groups(y, d, x, [np.array([4]), np.array([0])])
    assert found.estimate[1] == pytest.approx(found.estimate[0])
    assert found.estimate[2] == pytest.approx(found.estimate[0])  # column 4 and 1 stand in for column 0


def test_no_controls():
    y, d = np.array([1.0, 2.0, 4.0, 3.0]), np.array([0.0, 0.0, 1.0, 1.0])
    assert without_groups(y, d, np.empty((4, 0)), []).estimate[0] == pytest.approx(2.0)


def test_basis_spans_the_controls_on_any_scale():
    x = np.random.default_rng(0).normal(size=(30, 3)) * [1e-8, 1.0, 1e9]
    q, r = basis(centred(x, None))
    assert np.allclose(q.T @ q, np.eye(3)) and np.allclose((q @ r) / [1e-8, 1, 1e9], centred(x, None) / [1e-8, 1, 1e9])


def test_a_treatment_that_the_controls_determine():
    x = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.raises(WhenceError) as error:
        without_groups(x[:, 0], x.sum(axis=1), x, [])
    assert error.value.code == "no_variation"


def test_too_few_rows():
    x = np.random.default_rng(0).normal(size=(4, 2))
    with pytest.raises(WhenceError) as error:
        without_groups(x[:, 0] ** 2, x[:, 1] ** 3, x, [])
    assert error.value.code == "too_few_rows"
