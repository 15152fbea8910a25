"""Moments and counts, in memory and in the database, against plain NumPy on clean data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import whence
from whence import WhenceError
from whence.data.moments import counts, moments


@pytest.fixture
def table(file, route):
    rng = np.random.default_rng(4)
    n = 3000
    x = 1e8 + rng.normal(size=n)
    y = 2 * (x - 1e8) + rng.normal(size=n)
    g, b, k = rng.integers(0, 3, n), rng.integers(0, 2, n), rng.integers(1, 6, n)
    lines = ["x,y,g,b,k"]
    for i in range(n):
        cells = [repr(float(x[i])), repr(float(y[i])), "abc"[g[i]], ("no", "yes")[b[i]], str(k[i])]
        if i % 10 == 3:
            cells[i % 5] = "NA"
        lines.append(",".join(cells))
    return whence.read(file("\n".join(lines) + "\n"))


def test_moments_with_a_large_offset(table):
    names = ["x", "y", "b", "k"]
    matrix = table.matrix(names)
    whole = matrix[~np.isnan(matrix).any(axis=1)]
    m = moments(table, names)
    assert m.names == tuple(names)
    assert (m.n, m.n_missing) == (len(whole), len(matrix) - len(whole))
    # The reference takes the offset out first, in exact arithmetic: 1e8 is a float.
    shifted = whole - [1e8, 0, 0, 0]
    np.testing.assert_allclose(m.mean - [1e8, 0, 0, 0], shifted.mean(axis=0), atol=3e-8)
    np.testing.assert_allclose(m.covariance, np.cov(shifted.T), rtol=1e-7)
    np.testing.assert_allclose(m.correlation, np.corrcoef(shifted.T), rtol=1e-7)


def test_moments_of_a_drifting_column():
    """The first rows are no guide to the mean: the update must still hold."""
    x = np.concatenate([np.full(100_000, -1e6), np.random.default_rng(0).normal(size=100_000)])
    m = moments(whence.read({"x": x, "y": x[::-1].copy()}), ["x", "y"])
    np.testing.assert_allclose(m.covariance, np.cov(x, x[::-1]), rtol=1e-9)


def test_moments_of_nothing(table):
    m = moments(table, [])
    assert (m.mean.shape, m.covariance.shape, m.n) == ((0,), (0, 0), table.n_rows)


def test_moments_refuse_words(table):
    with pytest.raises(WhenceError) as caught:
        moments(table, ["x", "g"])
    assert caught.value.code == "not_numeric"
    with pytest.raises(WhenceError) as caught:
        moments(table, ["xx"])
    assert caught.value.code == "unknown_column"


@pytest.mark.parametrize("names", [["g"], ["b", "g"], ["k", "b", "g"], []])
def test_counts_cell_by_cell(table, names):
    found = counts(table, names)
    expected = np.zeros([len(table.levels(n)) for n in names], dtype=np.int64)
    for i in range(table.n_rows):
        cell = tuple(int(table.codes(n)[i]) for n in names)
        if all(c >= 0 for c in cell):
            expected[cell] += 1
    assert found.dtype == np.int64
    assert found.shape == expected.shape
    assert (found == expected).all()


def test_counts_refusals(table):
    with pytest.raises(WhenceError) as caught:
        counts(table, ["x"])
    assert caught.value.code == "not_coded"
    wide = whence.read({f"v{i}": list(range(100)) for i in range(5)}, kinds={f"v{i}": "categorical" for i in range(5)})
    with pytest.raises(WhenceError) as caught:
        counts(wide, list(wide.names))
    assert caught.value.code == "too_many_cells"


def test_constant_columns_have_no_correlation():
    m = moments(whence.read({"a": [1.0, 1, 1, 1], "b": [1.0, 2, 3, 5]}), ["a", "b"])
    assert m.correlation.tolist() == [[1, 0], [0, 1]]
    assert all(np.isfinite(v) for v in itertools.chain(*m.covariance.tolist()))
