"""Greedy equivalence search: operators by definition, and the native search against its reference."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from whence import kernels
from whence.kernels import ges_ref, scores, scores_ref


def _given(rng: np.random.Generator, d: int, rows: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    weights = np.triu(rng.normal(size=(d, d)) * (rng.random((d, d)) < 0.5), 1)
    x = rng.normal(size=(rows, d)) @ np.linalg.inv(np.eye(d) - weights)
    r = np.ascontiguousarray(np.corrcoef(x[:, rng.permutation(d)].T))
    return r, -np.arange(d + 1) * math.log(rows) / 2, np.full(d + 1, rows / 2), 0.0


def _by_child(rng: np.random.Generator, d: int, targets: np.ndarray, kernels: Any) -> Any:
    """The score of each child from the rows in which it was not intervened on."""
    weights = np.triu(rng.normal(size=(d, d)) * (rng.random((d, d)) < 0.5), 1)
    rows, env = 60 * (len(targets) + 1), np.repeat(np.arange(len(targets) + 1), 60)
    held = np.vstack([np.zeros(d), targets])[env].astype(bool)
    x = rng.normal(size=(rows, d))
    for v in range(d):
        x[:, v] = np.where(held[:, v], 2 * x[:, v], x[:, v] + x @ weights[:, v])
    parts = [kernels.gaussian_score(np.ascontiguousarray(np.corrcoef(x[~held[:, v]].T)), -3.0 * np.arange(d + 1),
                                    np.full(d + 1, (~held[:, v]).sum() / 2), 0.0) for v in range(d)]
    return kernels.score_by_child(parts, np.arange(d, dtype=np.int32))


def _dags(d: int) -> list[np.ndarray]:
    pairs = list(itertools.combinations(range(d), 2))
    found = {}
    for order in itertools.permutations(range(d)):
        for chosen in itertools.product((False, True), repeat=len(pairs)):
            dag = np.zeros((d, d), dtype=bool)
            for (i, j), there in zip(pairs, chosen, strict=True):
                dag[order[i], order[j]] = there
            found[dag.tobytes()] = dag
    return list(found.values())


def _total(score: object, dag: np.ndarray) -> float:
    return sum(score.local(y, np.flatnonzero(dag[:, y]).astype(np.int32)) for y in range(len(dag)))  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["insert", "delete", "turn"])
def test_operators_are_the_one_arrow_changes_of_members(kind: str) -> None:
    """Every class of four nodes: the valid operators lead to exactly the classes that one arrow of a member added,
    taken out or turned leads to, and their gain is the difference of the totals."""
    d = 4
    score = scores_ref.gaussian_score(*_given(np.random.default_rng(0), d))
    dags = {dag.tobytes(): dag for dag in _dags(d)}
    members: dict[bytes, list[np.ndarray]] = {}
    for dag in dags.values():
        members.setdefault(ges_ref.class_of(dag).tobytes(), []).append(dag)
    assert len(members) == 185
    none = np.zeros((d, d), dtype=bool)
    search = ges_ref._Search(score, ~np.eye(d, dtype=bool), none, none, none)
    for key, those in members.items():
        search.graph = np.frombuffer(key, dtype=bool).reshape(d, d)
        reached = set()
        for dag in those:
            for x, y in itertools.permutations(range(d), 2):
                if {"insert": dag[x, y] or dag[y, x], "delete": not dag[x, y], "turn": not dag[y, x]}[kind]:
                    continue
                other = dag.copy()
                other[x, y], other[y, x] = kind != "delete", False
                if other.tobytes() in dags:
                    reached.add(ges_ref.class_of(other).tobytes())
        found = set()
        for y, x, clique in ges_ref.valid_operators(search.graph, kind):
            dag = ges_ref.changed(search.graph, kind, y, x, clique)
            assert dag is not None and dag.tobytes() in dags
            found.add(ges_ref.class_of(dag).tobytes())
            gain = _total(score, dag) - _total(score, those[0])
            assert search.gain(kind, y, x, clique) == pytest.approx(gain, abs=1e-8)
        assert found - {key} == reached - {key}


@pytest.mark.skipif(kernels.BACKEND != "native", reason="native kernels are not built")
@pytest.mark.parametrize("refine", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", range(12))
def test_native_search_agrees_with_the_reference(seed: int, refine: int) -> None:
    rng = np.random.default_rng(seed)
    d = int(rng.integers(4, 8))
    given = _given(rng, d, 60)
    may, required = 1 - np.eye(d, dtype=np.uint8), np.zeros((d, d), dtype=np.uint8)
    if seed % 2:
        may &= (rng.random((d, d)) < 0.8).astype(np.uint8)
        may[1, 0] = required[1, 0] = 1
        may[0, 1] = 0
    targets = (rng.random((seed % 3, d)) < 0.4).astype(np.uint8)
    start = required | may & np.tril(rng.random((d, d)) < 0.3, -1).astype(np.uint8) if seed % 4 > 1 else required
    outs = []
    for kernel, search in ((scores, scores.ges), (scores_ref, ges_ref.ges)):
        score = (_by_child(np.random.default_rng(seed), d, targets, kernel) if len(targets)
                 else kernel.gaussian_score(*given))
        out = np.zeros((d, d), dtype=np.uint8)
        outs.append((search(score, may, required, targets, start, refine, out)[:2], out))
    np.testing.assert_array_equal(outs[0][1], outs[1][1])
    assert outs[0][0] == outs[1][0]
    found = outs[0][1].astype(bool)
    assert ges_ref.agrees(found, may.astype(bool)) and not (required.T.astype(bool) & ~found).any()


@pytest.mark.skipif(kernels.BACKEND != "native", reason="native kernels are not built")
def test_wrong_shapes_are_refused() -> None:
    score = scores.gaussian_score(np.eye(3), np.zeros(3), np.ones(3), 0.0)
    square = np.zeros((3, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="constraints"):
        scores.ges(score, square[:2, :2].copy(), square, square, square, 2, square)
    with pytest.raises(ValueError, match="targets"):
        scores.ges(score, square, square, square[:, :2].copy(), square, 2, square)
    with pytest.raises(ValueError, match="refine"):
        scores.ges(score, square, square, square, square, 4, square)


@pytest.mark.parametrize("refine", [1, 2, 3])
def test_a_score_that_differs_within_a_class_ends_the_search_all_the_same(refine: int) -> None:
    """Every arrow gains by itself, whichever way it is turned."""
    for made, search in ((scores.called_score, scores.ges), (scores_ref.called_score, ges_ref.ges)):
        for seed in range(3):
            d, worth = 4, np.random.default_rng(seed).normal(size=(4, 16))
            score = made(d, lambda y, parents, worth=worth: float(worth[y, sum(1 << z for z in parents)]))
            may, none = 1 - np.eye(d, dtype=np.uint8), np.zeros((d, d), dtype=np.uint8)
            out = none.copy()
            search(score, may, none, none[:0], none, refine, out)
            assert ges_ref.extension(out.astype(bool)) is not None
