"""Every native kernel against its NumPy reference on random input, and the forced fallback."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from whence import kernels
from whence.kernels import numpy_ref

native = pytest.mark.skipif(kernels.BACKEND != "native", reason="the native kernels are not built")


def _search(rng: np.random.Generator, d: int, n: int, density: float):
    """A random correlation matrix, candidate lists and pairs."""
    mix = rng.standard_normal((d, d)) * (rng.random((d, d)) < 0.4) + np.eye(d)
    corr = np.corrcoef(rng.standard_normal((n, d)) @ mix, rowvar=False)
    np.fill_diagonal(corr, 1.0)
    may = rng.random((d, d)) < density
    np.fill_diagonal(may, False)
    starts = np.concatenate([[0], np.cumsum(may.sum(axis=1))]).astype(np.int64)
    candidates = np.nonzero(may)[1].astype(np.int32)
    pairs = np.argwhere(np.triu(np.ones((d, d)), 1)).astype(np.int32)
    return corr, starts, candidates, pairs


def _level(kernel, corr, starts, candidates, pairs, size, critical, threads=1):
    m = len(pairs)
    out = (
        np.zeros(m, np.uint8), np.zeros(m), np.zeros((m, size), np.int32), np.zeros((m, 2), np.int64)
    )
    kernel.gaussian_level(corr, starts, candidates, pairs, size, critical, threads, *out)
    return out


def _triples(kernel, corr, starts, candidates, pairs, critical, scale, threads=1):
    d = len(corr)
    middles = np.array([[k for k in range(d) if k not in p][:3] for p in pairs], dtype=np.int32)
    begins = np.arange(0, middles.size + 1, middles.shape[1], dtype=np.int64)
    out = np.zeros((middles.size, 2), np.int64), np.full((middles.size, 2), np.inf)
    kernel.gaussian_triples(
        corr, starts, candidates, pairs, begins, middles.ravel(), critical, scale, threads, *out
    )
    return out


@native
@pytest.mark.parametrize("seed", range(5))
def test_counts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cards = rng.integers(1, 5, 3).astype(np.int64)
    codes = np.array([rng.integers(-1, c, 400) for c in cards], dtype=np.int32)
    ours, theirs = np.zeros(cards.prod(), np.int64), np.zeros(cards.prod(), np.int64)
    kernels.counts(codes, cards, ours)
    numpy_ref.counts(codes, cards, theirs)
    assert (ours == theirs).all()
    assert ours.sum() == (codes >= 0).all(axis=0).sum()


@native
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_gaussian_level(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    case = _search(rng, 9, 60, 0.6)
    ours = _level(kernels, *case, size, 0.02)
    theirs = _level(numpy_ref, *case, size, 0.02)
    assert (ours[0] == theirs[0]).all()
    assert 0 < ours[0].sum() < len(ours[0]) or size == 0
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-12)
    assert (ours[2] == theirs[2]).all()
    assert (ours[3] == theirs[3]).all()


@native
@pytest.mark.parametrize("seed", range(4))
def test_gaussian_triples(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = _search(rng, 8, 60, 0.5)
    critical, scale = np.full(4, 0.15), np.sqrt(60 - np.arange(4) - 3.0)
    ours, theirs = (_triples(k, *case, critical, scale) for k in (kernels, numpy_ref))
    assert (ours[0] == theirs[0]).all()
    assert ours[0].sum() > 0
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-10)


@pytest.mark.parametrize("kernel", [kernels, numpy_ref])
def test_sets_that_determine_a_variable_are_counted_not_tested(kernel) -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((100, 5))
    x[:, 2] = x[:, 0] + x[:, 1]
    corr = np.corrcoef(x, rowvar=False)
    others = np.array([k for i in range(5) for k in range(5) if k != i], dtype=np.int32)
    case = corr, np.arange(0, 21, 4, dtype=np.int64), others, np.array([[0, 3]], dtype=np.int32)
    _, weakest, sets, tests = _level(kernel, *case, 2, 0.0)
    assert tests[0].tolist() == [2, 1]  # {1, 2} determines 0
    assert abs(weakest[0]) <= 1
    assert sorted(sets[0].tolist()) != [1, 2]


@native
def test_threads_do_not_change_a_bit() -> None:
    case = _search(np.random.default_rng(11), 30, 100, 0.4)
    one, many = _level(kernels, *case, 2, 0.01), _level(kernels, *case, 2, 0.01, threads=8)
    assert all((a == b).all() for a, b in zip(one, many, strict=True))
    critical, scale = np.full(3, 0.15), np.full(3, 9.0)
    one, many = (_triples(kernels, *case, critical, scale, threads=t) for t in (1, 8))
    assert all((a == b).all() for a, b in zip(one, many, strict=True))


@native
def test_wrong_shapes_are_refused() -> None:
    corr, starts, candidates, pairs = _search(np.random.default_rng(0), 5, 50, 0.5)
    with pytest.raises(ValueError, match="starts"):
        _level(kernels, corr, starts[:-1], candidates, pairs, 1, 0.1)
    with pytest.raises(ValueError, match="node"):
        _level(kernels, corr, starts, candidates, pairs + 4, 1, 0.1)
    with pytest.raises(ValueError, match="cardinality"):
        kernels.counts(np.array([[2]], np.int32), np.array([2]), np.zeros(2, np.int64))


def test_the_fallback_can_be_forced() -> None:
    code = "import whence.kernels as k; print(k.BACKEND, k.counts.__module__)"
    environment = {**os.environ, "WHENCE_KERNELS": "numpy"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["numpy", "whence.kernels.numpy_ref"]


def _tables(rng: np.random.Generator, d: int, n: int, gaps: bool):
    """Dependent categories, weights, levels, candidate lists and pairs."""
    levels = rng.integers(2, 5, d).astype(np.int64)
    hidden = rng.integers(0, 3, n)
    codes = np.array([np.where(rng.random(n) < 0.6, hidden % k, rng.integers(0, k, n)) for k in levels])
    if gaps:
        codes[rng.random(codes.shape) < 0.1] = numpy_ref.MISSING
    _, starts, candidates, pairs = _search(rng, d, 50, 0.6)
    weight = rng.integers(0, 4, n).astype(np.int32)
    return codes.astype(np.uint16), weight, levels, starts, candidates, pairs


def _discrete_level(kernel, likelihood, codes, weight, levels, starts, candidates, pairs, size, alpha, threads=1):
    m = len(pairs)
    out = (np.zeros(m, np.uint8), np.full((m, 3), np.nan), np.full(m, -1), np.zeros((m, size), np.int32),
           np.zeros((m, 2), np.int64))
    kernel.discrete_level(codes, weight, levels, likelihood, starts, candidates, pairs, size, alpha, threads, *out)
    return out


def _discrete_triples(kernel, likelihood, codes, weight, levels, starts, candidates, pairs, threads=1):
    d = len(codes)
    middles = np.array([[k for k in range(d) if k not in p][:3] for p in pairs], dtype=np.int32)
    begins = np.arange(0, middles.size + 1, middles.shape[1], dtype=np.int64)
    out = np.zeros((middles.size, 2), np.int64), np.full((middles.size, 2), np.nan)
    kernel.discrete_triples(codes, weight, levels, likelihood, starts, candidates, pairs, begins, middles.ravel(), 3,
                            0.05, threads, *out)
    return out


@native
@pytest.mark.parametrize("likelihood", [False, True])
@pytest.mark.parametrize("size", [0, 1, 2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_discrete_level(seed: int, size: int, likelihood: bool) -> None:
    rng = np.random.default_rng(seed)
    case = _tables(rng, 7, 60 if size == 4 else 200, gaps=seed > 0)
    ours = _discrete_level(kernels, likelihood, *case, size, 0.3)
    theirs = _discrete_level(numpy_ref, likelihood, *case, size, 0.3)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-9, atol=1e-10)
    for one, two in zip(ours[:1] + ours[2:], theirs[:1] + theirs[2:], strict=True):
        assert (one == two).all()
    assert ours[4].sum() > 0


@native
@pytest.mark.parametrize("likelihood", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_discrete_triples(seed: int, likelihood: bool) -> None:
    case = _tables(np.random.default_rng(seed), 6, 150, gaps=seed > 0)
    ours, theirs = (_discrete_triples(k, likelihood, *case) for k in (kernels, numpy_ref))
    assert (ours[0] == theirs[0]).all()
    assert ours[0].sum() > 0
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-9, atol=1e-12)


@native
def test_the_tail_of_chi_square() -> None:
    """Two by two tables of every strength, and many degrees of freedom."""
    from scipy.special import chdtrc

    rng = np.random.default_rng(0)
    for k in (2, 3, 12, 60):
        for share in (0.0, 0.02, 0.1, 0.5, 1.0):
            x = rng.integers(0, k, 3000)
            y = np.where(rng.random(3000) < share, x, rng.integers(0, k, 3000))
            data = np.array([x, y]).astype(np.uint16), np.ones(3000, np.int32), np.array([k, k])
            search = np.zeros(3, np.int64), np.zeros(0, np.int32), np.array([[0, 1]], np.int32)
            out = _discrete_level(kernels, False, *data, *search, 0, 0.01)
            p, value, df = out[1][0]
            assert p == pytest.approx(chdtrc(df, value), rel=1e-10, abs=1e-300)


@native
@pytest.mark.parametrize("likelihood", [False, True])
def test_discrete_threads_do_not_change_a_bit(likelihood: bool) -> None:
    case = _tables(np.random.default_rng(5), 12, 300, gaps=True)
    answers = [
        (*_discrete_level(kernels, likelihood, *case, 2, 0.05, t),
         *_discrete_triples(kernels, likelihood, *case, threads=t))
        for t in (1, 2, 8)
    ]
    for other in answers[1:]:
        assert all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(answers[0], other, strict=True))


@native
def test_equal_rows_may_be_one_row_with_a_weight() -> None:
    codes, _, levels, *search = _tables(np.random.default_rng(2), 6, 300, gaps=True)
    unique, weight = np.unique(codes.T, axis=0, return_counts=True)
    merged = np.ascontiguousarray(unique.T), weight.astype(np.int32)
    one = _discrete_level(kernels, False, codes, np.ones(300, np.int32), levels, *search, 2, 0.05)
    two = _discrete_level(kernels, False, *merged, levels, *search, 2, 0.05)
    np.testing.assert_allclose(one[1], two[1], rtol=1e-12)
    assert (one[3] == two[3]).all()


@native
def test_tables_too_large_to_count_are_impossible_not_independent() -> None:
    n, wide = 100, 9000
    codes = np.array([np.arange(n), np.arange(n), np.arange(n) % 2]).astype(np.uint16)
    levels = np.array([wide, wide, 2])
    lists = np.array([0, 1, 2, 2]), np.array([2, 2], np.int32), np.array([[0, 1]], np.int32)
    for size in (0, 1):
        for kernel in (kernels, numpy_ref):
            out = _discrete_level(kernel, True, codes, np.ones(n, np.int32), levels, *lists, size, 0.05)
            assert out[0][0] == 0
            assert np.isnan(out[1]).all()
            assert out[4].tolist() == [[0, 1]]


@native
def test_wrong_codes_are_refused() -> None:
    codes, weight, levels, *search = _tables(np.random.default_rng(0), 5, 50, gaps=False)
    with pytest.raises(ValueError, match="number of levels"):
        _discrete_level(kernels, False, codes + np.uint16(4), weight, levels, *search, 1, 0.1)
    with pytest.raises(ValueError, match="negative"):
        _discrete_level(kernels, False, codes, weight - 5, levels, *search, 1, 0.1)
