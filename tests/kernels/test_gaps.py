"""Tests where values are missing: the native kernel against its reference, and both against one test at a time."""

from __future__ import annotations

import numpy as np
import pytest

from whence import kernels
from whence.data.load import read
from whence.discovery.gaps import GapTests
from whence.discovery.independence import EachTest, Lists
from whence.kernels import gaps_ref

native = pytest.mark.skipif(kernels.BACKEND != "native", reason="the native kernels are not built")


def problem(seed: int, d: int = 7, n: int = 130, share: float = 0.2):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)) @ (np.eye(d) + np.triu(rng.standard_normal((d, d)), 1) * 0.6)
    x[rng.random(x.shape) < share] = np.nan
    may = rng.random((d, d)) < 0.6
    np.fill_diagonal(may, False)
    pairs = np.argwhere(np.triu(np.ones((d, d)), 1)).astype(np.int32)
    return x, Lists.of(may), pairs


def level(kernel, tests: GapTests, lists: Lists, pairs: np.ndarray, size: int, threads: int = 1):
    m = len(pairs)
    out = (np.zeros(m, np.uint8), np.full((m, 2), np.nan), np.full(m, -1), np.zeros((m, size), np.int32),
           np.zeros((m, 2), np.int64))
    kernel.gaps_level(tests.values, tests.present, tests.causes.starts, tests.causes.nodes, lists.starts, lists.nodes,
                      pairs, size, 0.05, threads, *out)
    return out


def triples(kernel, tests: GapTests, lists: Lists, pairs: np.ndarray, threads: int = 1):
    d = len(tests.values)
    middles = np.tile(np.arange(d, dtype=np.int32), len(pairs))
    starts = np.arange(0, d * len(pairs) + 1, d)
    out = np.zeros((len(middles), 2), np.int64), np.full((len(middles), 2), np.nan)
    kernel.gaps_triples(tests.values, tests.present, tests.causes.starts, tests.causes.nodes, lists.starts, lists.nodes,
                        pairs, starts, middles, 3, 0.05, threads, *out)
    return out


CAUSES = {
    "none": {}, "one": {"v0": ["v1"]}, "chain": {"v0": ["v1", "v3"], "v1": ["v2"], "v4": ["v2", "v5"]},
    "cycle": {"v0": ["v1"], "v1": ["v0", "v2"], "v5": ["v0"]},
}


@native
@pytest.mark.parametrize("causes", CAUSES)
@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_native_and_reference_agree(causes: str, size: int) -> None:
    from whence.kernels import gaps

    x, lists, pairs = problem(size)
    tests = GapTests.of(x).corrected([f"v{k}" for k in range(7)], CAUSES[causes])
    fast, slow = level(gaps, tests, lists, pairs, size), level(gaps_ref, tests, lists, pairs, size)
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)
    if size == 0:
        for a, b in zip(triples(gaps, tests, lists, pairs), triples(gaps_ref, tests, lists, pairs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)
    for threads in (2, 8):
        for a, b in zip(fast, level(gaps, tests, lists, pairs, size, threads), strict=True):
            assert a.tobytes() == b.tobytes()


def test_without_causes_it_is_the_test_of_one_pair_at_a_time() -> None:
    x, lists, pairs = problem(5)
    x[:, 6] *= 1e150
    names = tuple(f"v{k}" for k in range(7))
    tests, each = GapTests.of(x), EachTest(read({n: x[:, k] for k, n in enumerate(names)}), names)
    for size in range(4):
        fast, slow = tests.level(lists, pairs, size, 0.05), each.level(lists, pairs, size, 0.05)
        for name in ("separated", "p_value", "statistic", "n", "sets", "tests"):
            np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), rtol=1e-7, atol=1e-9, err_msg=name)
    starts, middles = np.arange(0, 7 * len(pairs) + 1, 7), np.tile(np.arange(7, dtype=np.int32), len(pairs))
    fast, slow = (t.middles(lists, pairs, starts, middles, 2, 0.05) for t in (tests, each))
    np.testing.assert_array_equal(fast.separating, slow.separating)
    np.testing.assert_allclose(fast.p_value, slow.p_value, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kernel", ["native", "reference"])
def test_pairs_that_cannot_be_tested(kernel: str) -> None:
    """Never together, too few rows together, equal (that is an answer) or constant where together."""
    from whence.kernels import gaps

    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 6))
    x[:20, 0], x[20:, 1] = np.nan, np.nan
    x[:37, 2] = np.nan
    x[20:, 3] = x[20:, 0]
    x[20:, 4] = 3.0
    lists, pairs = Lists.none(6), np.array([[0, 1], [0, 2], [0, 3], [0, 4], [0, 5]], dtype=np.int32)
    _, numbers, _, _, made = level(gaps if kernel == "native" else gaps_ref, GapTests.of(x), lists, pairs, 0)
    assert made.tolist() == [[0, 1], [0, 1], [1, 0], [0, 1], [1, 0]]
    assert np.isnan(numbers[[0, 1, 3]]).all() and not np.isnan(numbers[[2, 4]]).any()


@native
def test_bad_arrays_are_refused() -> None:
    from whence.kernels import gaps

    x, lists, pairs = problem(0)
    tests = GapTests.of(x)
    pairs[0, 0] = 7
    with pytest.raises(ValueError, match="no node"):
        level(gaps, tests, lists, pairs, 0)
    tests.present[0, -1] |= np.uint64(1) << np.uint64(63)
    with pytest.raises(ValueError, match="beyond the last"):
        level(gaps, tests, lists, pairs[1:], 0)
