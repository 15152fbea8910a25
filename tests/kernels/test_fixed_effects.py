"""Fixed effects taken out of columns: the native kernel against its reference, and both against every dummy."""

from __future__ import annotations

import numpy as np
import pytest

from whence import kernels
from whence.kernels import fixed_effects_ref
from whence.stats.fixed_effects import absorb, singletons

native = pytest.mark.skipif(kernels.BACKEND != "native", reason="the native kernels are not built")


def problem(seed: int, n: int, levels: tuple[int, ...], weighted: bool, width: int = 3):
    rng = np.random.default_rng(seed)
    codes = np.array([np.unique(rng.integers(0, k, n), return_inverse=True)[1] for k in levels], dtype=np.int32)
    counts = codes.max(axis=1).astype(np.int64) + 1
    weights = rng.random(n) + 0.1 if weighted else np.zeros(0)
    return rng.standard_normal((n, width)), codes, counts, weights


def taken(kernel, columns, codes, counts, weights, threads: int = 1):
    out = np.empty(columns.shape)
    steps, ended = kernel.absorb(columns, codes, counts, weights, 1e-12, 5000, threads, out)
    assert ended
    return out, steps


def dummies(*codes: np.ndarray) -> np.ndarray:
    return np.column_stack([(c[:, None] == np.unique(c)).astype(float) for c in codes])


def path(firms: int, workers: int, seed: int = 0, spell: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Workers who only ever move to the next firm: the graph is a long line, the hardest there is."""
    rng = np.random.default_rng(seed)
    at = rng.integers(0, firms - 1, workers)
    worker = np.repeat(np.arange(workers), 2 * spell)
    return worker, np.repeat(at, 2 * spell) + np.tile(np.repeat([0, 1], spell), workers)


@native
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("width", [1, 2, 3, 5])
@pytest.mark.parametrize("levels", [(40,), (60, 7), (50, 40), (60, 9, 4), (30, 25, 20, 5)])
def test_native_and_reference_and_dummies_agree(levels, width, weighted):
    from whence.kernels import fixed_effects

    columns, codes, counts, weights = problem(width, 300, levels, weighted, width)
    fast, slow = (taken(k, columns, codes, counts, weights)[0] for k in (fixed_effects, fixed_effects_ref))
    root = np.sqrt(weights if weighted else np.ones(300))[:, None]
    all_of_them = dummies(*codes)
    left = columns - all_of_them @ np.linalg.lstsq(all_of_them * root, columns * root, rcond=None)[0]
    np.testing.assert_allclose(fast, left, atol=1e-9)
    np.testing.assert_allclose(slow, left, atol=1e-9)


@native
@pytest.mark.parametrize("weighted", [False, True])
def test_any_number_of_threads_gives_the_same_bits(weighted):
    from whence.kernels import fixed_effects

    given = problem(1, 40_000, (4000, 300, 20), weighted, 5)
    one, two, many = (taken(fixed_effects, *given, threads=t)[0] for t in (1, 2, 7))
    assert (one == two).all() and (one == many).all()


@native
def test_a_line_of_firms_takes_few_iterations():
    """A line of 3,000 firms: plain conjugate gradients take about as many steps as there are firms."""
    from whence.kernels import fixed_effects

    worker, firm = path(3000, 40_000)
    rng = np.random.default_rng(0)
    effects = rng.standard_normal(40_000)[worker] + np.cumsum(rng.standard_normal(3000))[firm]
    noise = rng.standard_normal(len(worker))
    codes = np.array([worker, firm], dtype=np.int32)
    out, steps = taken(fixed_effects, np.column_stack([effects, noise, noise + effects]), codes,
                       np.array([40_000, 3000]), np.zeros(0))
    assert steps < 200
    scale = float(np.abs(effects).max())
    assert np.abs(out[:, 0]).max() < 1e-8 * scale
    np.testing.assert_allclose(out[:, 2], out[:, 1], atol=1e-8 * scale)
    for c in (worker, firm):  # nothing is left in any level
        assert np.abs(np.bincount(c, weights=out[:, 1])).max() < 1e-7


def test_parts_of_the_graph_count_for_the_rank():
    rng = np.random.default_rng(3)
    for seed in range(5):
        a = rng.integers(0, 40, 60)
        b = np.where(a < 20, rng.integers(0, 9, 60), rng.integers(9, 30, 60))
        found = absorb(rng.standard_normal((60, 1)), [a + seed, 7 * b])
        assert found.rank == np.linalg.matrix_rank(dummies(a, b))
        c = rng.integers(0, 4, 60)
        assert absorb(rng.standard_normal((60, 1)), [a, b, c]).rank == np.linalg.matrix_rank(dummies(a, b, c))


def test_codes_of_any_kind_and_one_level():
    rng = np.random.default_rng(4)
    columns, a, b = rng.standard_normal((50, 2)), rng.integers(0, 6, 50), rng.integers(0, 5, 50)
    plain = absorb(columns, [a, b]).columns
    for other in (a - 10**12, a.astype(float) / 7, np.array([f"u{k}" for k in a])):
        np.testing.assert_allclose(absorb(columns, [other, b]).columns, plain, atol=1e-12)
    np.testing.assert_allclose(absorb(columns, [np.zeros(50)]).columns, columns - columns.mean(axis=0), atol=1e-12)
    one = absorb(columns, [np.arange(50), b])
    assert np.abs(one.columns).max() < 1e-12 and one.rank == 50


def test_singletons_by_looking():
    rng = np.random.default_rng(5)
    for _ in range(20):
        a, b = rng.integers(0, 20, 40), rng.integers(100, 130, 40)
        left = list(range(40))
        while True:
            kept = [i for i in left if sum(a[j] == a[i] for j in left) > 1 and sum(b[j] == b[i] for j in left) > 1]
            if kept == left:
                break
            left = kept
        assert np.flatnonzero(~singletons([a, b])).tolist() == left
