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
