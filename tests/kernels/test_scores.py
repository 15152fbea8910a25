"""The native scores and order search against their references, on random data."""

from __future__ import annotations

import math

import numpy as np
import pytest

from whence import kernels
from whence.kernels import scores, scores_ref

pytestmark = pytest.mark.skipif(kernels.BACKEND != "native", reason="native kernels are not built")


def _gaussian(rng: np.random.Generator, d: int) -> tuple[object, object]:
    weights = np.triu(rng.normal(size=(d, d)) * (rng.random((d, d)) < 0.5), 1)
    r = np.ascontiguousarray(np.corrcoef((rng.normal(size=(200, d)) @ np.linalg.inv(np.eye(d) - weights)).T))
    if rng.random() < 0.5:
        given = (r, -np.arange(d + 1) * math.log(200), np.full(d + 1, 100.0), 0.0)
    else:
        given = (r, rng.normal(size=d + 1), np.linspace(100, 103, d + 1), -0.5)
    return scores.gaussian_score(*given), scores_ref.gaussian_score(*given)


def _discrete(rng: np.random.Generator, d: int) -> tuple[object, object]:
    cards = rng.integers(2, 4, d).astype(np.int32)
    codes = np.stack([rng.integers(0, c, 200) for c in cards]).astype(np.uint8)
    for j in range(1, d):
        same = rng.random(200) < 0.5
        codes[j, same] = np.minimum(codes[j - 1, same], cards[j] - 1)
    whole, copies = (-1, 1) if rng.random() < 0.5 else (int(rng.integers(201)), 3)
    given = (codes, cards, int(rng.integers(3)), 1.0, -0.1, whole, copies, [-math.inf, *np.log(np.arange(1.0, 8.0))],
             rng.choice([0.0, 70.0]))
    return scores.discrete_score(*given), scores_ref.discrete_score(*given)


def _cells(rng: np.random.Generator, d: int) -> tuple[object, object]:
    cards = rng.choice([0, 0, 2, 3], d).astype(np.int32)
    codes = np.stack([rng.integers(0, max(c, 1), 150) for c in cards]).astype(np.uint8)
    values = rng.normal(size=(d, 150)) * (1 + codes[:1]) + codes[-1:] + rng.normal(size=150)
    if rng.random() < 0.3:
        values[:, codes[0] == 0] = np.round(values[:, codes[0] == 0])
    values = np.ascontiguousarray((values.T - values.mean(axis=1)).T / values.std(axis=1)[:, None])
    given = (codes, cards, values, 2.5, -0.3)
    return scores.cells_score(*given), scores_ref.cells_score(*given)


def _blocks(rng: np.random.Generator, d: int) -> tuple[object, object]:
    starts = np.concatenate([[0], np.cumsum(rng.integers(1, 4, d))]).astype(np.int32)
    x = rng.normal(size=(100, starts[-1])) + rng.normal(size=(100, 1))
    given = (np.ascontiguousarray(np.corrcoef(x.T)), starts, 100.0, 2.3, -0.7)
    return scores.block_score(*given), scores_ref.block_score(*given)


@pytest.mark.parametrize("make", [_gaussian, _discrete, _blocks, _cells])
@pytest.mark.parametrize("seed", range(8))
def test_scores_agree(make: object, seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = int(rng.integers(2, 7))
    ours, reference = make(rng, d)
    for _ in range(20):
        y = int(rng.integers(d))
        others = rng.permutation([z for z in range(d) if z != y])
        parents = others[: rng.integers(0, d)].astype(np.int32)
        assert ours.local(y, parents) == pytest.approx(reference.local(y, parents), rel=1e-10)
        out, expected = np.empty(d), np.empty(d)
        ours.additions(y, parents, out)
        reference.additions(y, parents, expected)
        np.testing.assert_allclose(out, expected, rtol=1e-10)


@pytest.mark.parametrize("make", [_gaussian, _discrete, _blocks, _cells])
@pytest.mark.parametrize("seed", range(6))
def test_order_search_agrees(make: object, seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = int(rng.integers(3, 6))
    ours, reference = make(rng, d)
    may = (rng.random((d, d)) < (0.8 if seed % 2 else 1.1)).astype(np.uint8)
    np.fill_diagonal(may, 0)
    before, required = np.zeros((2, d, d), dtype=np.uint8)
    may[1, 0] = required[1, 0] = before[0, 1] = 1
    shakes = rng.integers(0, d, (3, 2, 2)).astype(np.int32)
    found = []
    for search, score in ((scores.boss, ours), (scores_ref.boss, reference)):
        order, arrows = np.arange(d, dtype=np.int32), np.zeros((d, d), dtype=np.uint8)
        total, _ = search(score, may, before, required, shakes, 50, order, arrows)
        found.append((total, arrows))
    assert found[0][0] == pytest.approx(found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert found[0][1][0, 1] and not (found[0][1].T & ~may.astype(bool)).any()


def test_a_called_score_asks_once_and_passes_errors_on() -> None:
    asked: list[tuple[int, tuple[int, ...]]] = []

    def call(y: int, parents: tuple[int, ...]) -> float:
        asked.append((y, parents))
        return -float(len(parents))

    score = scores.called_score(3, call)
    for parents in ([2, 1], [1, 2]):
        assert score.local(0, np.array(parents, dtype=np.int32)) == -2.0
    assert asked == [(0, (1, 2))]

    def fails(y: int, parents: tuple[int, ...]) -> float:
        raise KeyError("asked for")

    square = np.zeros((3, 3), dtype=np.uint8)
    with pytest.raises(KeyError, match="asked for"):
        scores.boss(scores.called_score(3, fails), 1 - np.eye(3, dtype=np.uint8), square, square,
                    np.zeros((0, 1, 2), dtype=np.int32), 5, np.arange(3, dtype=np.int32), square.copy())


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="wrong shape"):
        scores.gaussian_score(np.eye(3), np.zeros(2), np.zeros(3), 0.0)
    with pytest.raises(ValueError, match="cardinality"):
        scores.discrete_score(np.full((1, 4), 3, dtype=np.uint8), np.array([2], dtype=np.int32), 0, 1.0, 0.0)
    with pytest.raises(ValueError, match="child"):
        scores.gaussian_score(np.eye(3), np.zeros(3), np.ones(3), 0.0).local(0, np.array([0], dtype=np.int32))
