"""The honest causal forest: the native kernel against its reference, any number of threads, whole clusters."""

from __future__ import annotations

import numpy as np
import pytest

from whence import kernels
from whence.kernels import causal_forest as chosen
from whence.kernels import causal_forest_ref

native = pytest.mark.skipif(kernels.BACKEND != "native", reason="the native kernels are not built")


def grown(kernel, x, y, w, query=None, trees=20, group_size=2, mtry=2, least=3, alpha=0.05, seed=0, threads=1,
          cluster=None):
    """Effects and variances; ``x`` is (n, p)."""
    n, p = x.shape
    rows = np.zeros((p, 0)) if query is None else np.ascontiguousarray(query.T)
    m = n if query is None else len(query)
    codes = np.arange(n) if cluster is None else cluster
    out = np.empty(m), np.empty(m)
    kernel.causal_forest(np.ascontiguousarray(x.T), y, w, codes.astype(np.int32), int(codes.max()) + 1, rows, trees,
                         group_size, mtry, least, alpha, seed, threads, *out)
    return out


def sample(seed, n=200, p=3):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p))
    x[:, -1] = np.round(x[:, -1])  # ties
    w = (rng.random(n) < 0.5) - 0.5
    return x, w * (1 + x[:, 0]) + 0.5 * rng.standard_normal(n), w


@native
@pytest.mark.parametrize("seed", range(4))
def test_native_and_reference_agree(seed):
    x, y, w = sample(seed, n=120 + 40 * seed)
    query = np.random.default_rng(9).standard_normal((30, 3))
    cluster = np.arange(len(x)) // 3 if seed % 2 else None
    for rows in (None, query):
        one, two = (grown(k, x, y, w, rows, seed=seed, group_size=2 + seed // 2, trees=24, cluster=cluster)
                    for k in (chosen, causal_forest_ref))
        for a, b in zip(one, two, strict=True):
            assert np.isfinite(a).any() and (np.isfinite(a) == np.isfinite(b)).all()
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@native
def test_any_number_of_threads_gives_the_same_bits():
    x, y, w = sample(5, n=600)
    one = grown(chosen, x, y, w, trees=60)
    for threads in (2, 8):
        assert all(np.array_equal(a, b, equal_nan=True)
                   for a, b in zip(one, grown(chosen, x, y, w, trees=60, threads=threads), strict=True))


def test_a_row_is_predicted_by_trees_that_did_not_see_its_cluster():
    """Outcomes that are noise shared by a cluster: what the others say of it knows only that it was left out."""
    rng = np.random.default_rng(6)
    cluster = np.repeat(np.arange(60), 4)
    x = rng.standard_normal((60, 2))[cluster]
    w = rng.choice([-0.5, 0.5], 240)
    noise = rng.standard_normal(60)[cluster]
    seen = grown(chosen, x, w * noise, w, trees=60, least=1)[0]
    unseen = grown(chosen, x, w * noise, w, trees=60, least=1, cluster=cluster)[0]
    assert np.corrcoef(seen, noise)[0, 1] > 0.3
    assert np.corrcoef(unseen, noise)[0, 1] < 0.1


def test_a_constant_effect_is_the_slope_of_the_residuals():
    """Without splits every tree is its root, and the forest the regression slope of the honest rows."""
    x, _, w = sample(7, n=80)
    effect, variance = grown(chosen, x, 2.0 * w, w, least=40)
    np.testing.assert_allclose(effect, 2.0, rtol=1e-12)
    np.testing.assert_allclose(variance, 0.0, atol=1e-20)


def test_where_no_tree_speaks_there_is_no_number():
    x, y, _ = sample(8, n=60)
    effect, variance = grown(chosen, x, y, np.zeros(60))
    assert np.isnan(effect).all() and np.isnan(variance).all()


@native
def test_bad_input_is_named():
    x, y, w = sample(9, n=40)
    with pytest.raises(ValueError, match="rows do not match"):
        grown(chosen, x, y[:-1], w)
    with pytest.raises(ValueError, match="too small"):
        grown(chosen, x, y, w, group_size=1)
