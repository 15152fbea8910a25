"""Tabu search: one arrow of a DAG added, taken out or turned at a time, also where that is a step down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.rng import generator
from whence.discovery.learned import Learned, constraints
from whence.discovery.orientation import reaches
from whence.discovery.scored import SCORE_ASSUMPTIONS, SCORE_PARAMETERS, Scored, learned_dag
from whence.graphs.knowledge import Knowledge

LEAST = 1e-7  # gains up to this are rounding
DELETE, TURN, INSERT = 0, 1, 2

CARD = Card(
    name="tabu",
    task="discovery",
    title="Tabu search over DAGs (hill climbing)",
    summary="Adds, takes out or turns the one arrow that improves the score most; where none does, goes on with the "
    "least harmful change and does not undo it for a while. A baseline: order and class searches are more accurate.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=SCORE_ASSUMPTIONS,
    parameters=(
        *SCORE_PARAMETERS,
        Parameter("tenure", "int", 10, "for how many moves a pair of variables is left alone after a change", low=0,
                  high=100_000),
        Parameter("patience", "int", 15, "moves without a better graph after which a climb ends; 0 is plain hill "
                  "climbing", low=0, high=100_000),
        Parameter("restarts", "int", 3, "how often the best graph is disturbed at random and climbed from again", low=0,
                  high=100_000),
    ),
    output="CPDAG, or MPDAG with knowledge",
    cost="d^2 numbers a move; the scores of one or two variables with each other parent are computed anew",
    citations=(
        "Glover, F. and Laguna, M. (1997). Tabu Search. Kluwer, Boston.",
        "Bouckaert, R. R. (1995). Bayesian belief networks: from construction to inference. Thesis, Universiteit "
        "Utrecht.",
        "Scutari, M., Graafland, C. E. and Gutierrez, J. M. (2019). Who learns better Bayesian network structures: "
        "accuracy and speed of structure learning algorithms. International Journal of Approximate Reasoning "
        "115:235-253.",
    ),
    function="whence.discovery.tabu:tabu",
)


def tabu(asked: Scored, knowledge: Knowledge | None, parameters: Mapping[str, Any], seed: int,
         progress: Progress = SILENT) -> Learned:
    """Learns the class of the best DAG met, with knowledge an MPDAG that agrees with it.

    The search starts from the required arrows. A change of a pair that was changed within the last ``tenure`` moves (at
    most half as many as there are pairs) is taken only where it leads to the best graph so far. Each restart makes two
    random changes for every variable on the best graph.
    """
    may, required = constraints(asked.names, knowledge)
    walk = _Walk(asked.score.kernel, may, required)
    tenure, patience = min(parameters["tenure"], len(may) * (len(may) - 1) // 4), parameters["patience"]
    progress.begin("climbs", parameters["restarts"] + 1)
    best = _climb(walk, tenure, patience)
    better = 0
    for k in range(parameters["restarts"]):
        progress.step()
        walk.go_to(best.arrows, best.total)
        rng = generator(seed, "restart", str(k))
        for _ in range(2 * len(may)):
            walk.disturb(rng)
        end = _climb(walk, tenure, patience)
        if end.total > best.total + LEAST:
            best, better = end, better + 1
    progress.end()
    return learned_dag(asked, best.arrows, may, knowledge, (), {"moves": walk.moves, "restarts_that_helped": better})


class _Found(NamedTuple):
    total: float
    arrows: np.ndarray


def _climb(walk: _Walk, tenure: int, patience: int) -> _Found:
    """Moves until ``patience`` moves in a row have led to nothing better; the best graph met."""
    best = _Found(walk.total, walk.arrows.copy())
    until = np.zeros(walk.arrows.shape, dtype=np.int64)  # the move from which on a pair may change again
    start, left = walk.moves, patience
    while True:
        gains = walk.gains()
        barred = until > walk.moves - start
        gains[:, barred] = np.where(gains[:, barred] > best.total - walk.total + LEAST, gains[:, barred], -np.inf)
        highest = float(gains.max(initial=-np.inf))
        if highest == -np.inf or (highest <= LEAST and left <= 0):
            return best
        # The first of those equal but for rounding: deletes before turns before inserts, then by name.
        kind, x, y = np.unravel_index(int(np.argmax(gains >= highest - LEAST)), gains.shape)
        walk.move(int(kind), int(x), int(y))
        until[x, y] = until[y, x] = walk.moves - start + tenure
        if walk.total > best.total + LEAST:
            best, left = _Found(walk.total, walk.arrows.copy()), patience
        else:
            left -= 1


class _Walk:
    """A DAG, its score, and what every change of one arrow adds; in all matrices [x, y] is about x --> y."""

    def __init__(self, score: Any, may: np.ndarray, required: np.ndarray) -> None:
        self.score, self.may, self.required, self.moves = score, may, required, 0
        self._known: dict[tuple[int, bytes], tuple[float, np.ndarray, np.ndarray]] = {}
        total = sum(score.local(y, np.flatnonzero(required[:, y]).astype(np.int32)) for y in range(len(may)))
        self.go_to(required, total)

    def go_to(self, arrows: np.ndarray, total: float) -> None:
        d = len(arrows)
        self.arrows, self.total = arrows.copy(), total
        self.reach = reaches(arrows) | np.eye(d, dtype=bool)
        self.add, self.drop = np.empty((d, d)), np.empty((d, d))
        for y in range(d):
            self._renew(y)

    def gains(self) -> np.ndarray:
        """(3, d, d): of taking x --> y out, turning it, adding it; minus infinity where that may not be."""
        paths = self.arrows.astype(np.float32) @ self.reach.astype(np.float32)
        turns = np.where(self.arrows & (paths < 1.5), self.drop + self.add.T, -np.inf)
        return np.stack([self.drop, turns, np.where(self.reach.T, -np.inf, self.add)])

    def move(self, kind: int, x: int, y: int) -> None:
        self.total += float(self.drop[x, y] if kind != INSERT else self.add[x, y])
        if kind != INSERT:
            self._take_out(x, y)
        if kind == TURN:
            self.total += float(self.add[y, x])
            self._put_in(y, x)
        elif kind == INSERT:
            self._put_in(x, y)
        self.moves += 1

    def disturb(self, rng: np.random.Generator) -> None:
        """A random change among those that may be and leave a finite score."""
        free = np.argwhere(np.isfinite(self.gains()))
        if len(free):
            kind, x, y = free[rng.integers(len(free))].tolist()
            self.move(kind, x, y)

    def _put_in(self, x: int, y: int) -> None:
        self.arrows[x, y] = True
        self.reach |= np.outer(self.reach[:, x], self.reach[y])
        self._renew(y)

    def _take_out(self, x: int, y: int) -> None:
        self.arrows[x, y] = False
        above = np.flatnonzero(self.reach[:, x])
        for v in above[np.argsort(self.reach[above].sum(axis=1), kind="stable")].tolist():
            self.reach[v] = self.reach[self.arrows[v]].any(axis=0)
            self.reach[v, v] = True
        self._renew(y)

    def _renew(self, y: int) -> None:
        """What each variable adds as a parent of y, and what each parent's loss does."""
        key = y, self.arrows[:, y].tobytes()
        if key not in self._known:
            parents = np.flatnonzero(self.arrows[:, y]).astype(np.int32)
            base, add = self.score.local(y, parents), np.empty(len(self.may))
            self.score.additions(y, parents, add)
            drop = np.full(len(add), -np.inf)
            for z in parents[~self.required[parents, y]].tolist():
                drop[z] = self.score.local(y, parents[parents != z])
            finite = np.isfinite(base)  # else required arrows determine each other, and nothing helps
            add = np.where(self.may[:, y] & finite, add - (base if finite else 0.0), -np.inf)
            self._known[key] = base, add, drop - base if finite else np.full(len(add), -np.inf)
        _, self.add[:, y], self.drop[:, y] = self._known[key]
