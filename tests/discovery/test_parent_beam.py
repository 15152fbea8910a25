"""Parents that are better as a whole than what single changes reach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import whence
from whence.discovery.parent_beam import score_of, with_better_parents
from whence.kernels.scores import called_score
from whence.stats.score.score import Kernel

# For variable 0: one parent at a time leads to 1 and 2; the set 3, 4, 5 is better and no single change away.
GAIN = {(1,): 10.0, (1, 2): 12.0, (3,): 8.0, (3, 4): 11.0, (3, 4, 5): 15.0}


def _score() -> Kernel:
    return called_score(6, lambda y, parents: -float(len(parents)) if y else GAIN.get(parents, -5.0 * len(parents)))


def _matrices(arrows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    dag = np.zeros((6, 6), dtype=bool)
    for i, j in arrows:
        dag[i, j] = True
    return dag, ~np.eye(6, dtype=bool), np.zeros((6, 6), dtype=bool)


def test_a_set_that_is_better_as_a_whole_is_found() -> None:
    dag, may, required = _matrices([(1, 0), (2, 0)])
    found = with_better_parents(_score(), dag, may, required)
    assert np.argwhere(found).tolist() == [[3, 0], [4, 0], [5, 0]]
    assert score_of(_score(), found) == 15.0 and score_of(_score(), dag) == 12.0
    assert np.array_equal(with_better_parents(_score(), found, may, required), found)


def test_nothing_below_forbidden_or_instead_of_what_is_required() -> None:
    dag, may, required = _matrices([(1, 0), (2, 0), (0, 5)])
    required[0, 5] = True  # 5 is below 0
    assert np.array_equal(with_better_parents(_score(), dag, may, required), dag)
    dag, may, required = _matrices([(1, 0), (2, 0)])
    may[4, 0] = False
    assert np.array_equal(with_better_parents(_score(), dag, may, required), dag)
    dag, may, required = _matrices([(1, 0), (2, 0)])
    required[1, 0] = True
    assert np.array_equal(with_better_parents(_score(), dag, may, required), dag)


def test_a_table_on_which_single_changes_stop_short(cases: Path) -> None:
    path = cases / "discovery" / "sachs.2005.discrete.txt"
    names = path.read_text().split("\n", 1)[0].split()
    given = {n: [f"l{int(v)}" for v in x] for n, x in zip(names, np.loadtxt(path, skiprows=1).T, strict=True)}
    best, found, greedy = (whence.discover(given, method) for method in ("exact", "boss", "ges"))
    assert found.score == pytest.approx(best.score, abs=1e-6) and greedy.score < best.score - 1
    assert found.graph == best.graph
