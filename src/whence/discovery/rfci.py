"""RFCI: FCI without the search beyond neighbours; what it says is true, though it may say less."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.discovery.ancestral_knowledge import Held
from whence.discovery.ancestral_orientation import judged, settle, start
from whence.discovery.fci import (
    ALPHA,
    ALPHA_PATH,
    ASSUMPTIONS,
    MAX_CONDITIONING,
    RULES,
    SELECTION,
    STABILITY,
    TEST,
    adjacencies,
    held_by,
    learned_pag,
)
from whence.discovery.independence import Level, Tests
from whence.discovery.learned import Learned
from whence.discovery.orientation import Triples
from whence.discovery.separations import Separations
from whence.discovery.verified_colliders import part_that_separates, verify
from whence.graphs.bits import ones, rows
from whence.graphs.graph import ARROW, CIRCLE, TAIL
from whence.graphs.knowledge import Knowledge
from whence.graphs.zhang import zhang

CARD = Card(
    name="rfci",
    task="discovery",
    title="Really fast causal inference (RFCI)",
    summary="FCI for many variables: sets beyond the neighbours are not searched, and each direction is checked by "
    "further tests instead. What the graph says is as true as what FCI's says, but it may keep an edge too many.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=ASSUMPTIONS,
    parameters=(ALPHA, MAX_CONDITIONING, TEST, SELECTION, STABILITY, ALPHA_PATH),
    output="PAG",
    cost="that of PC, and a few tests per possible common effect",
    citations=(
        "Colombo, D., Maathuis, M. H., Kalisch, M. and Richardson, T. S. (2012). Learning high-dimensional directed "
        "acyclic graphs with latent and selection variables. Annals of Statistics 40:294-321.",
        RULES,
    ),
    function="whence.discovery.rfci:rfci",
)


def rfci(
    tests: Tests, names: tuple[str, ...], knowledge: Knowledge | None, parameters: Mapping[str, Any],
    progress: Progress = SILENT,
) -> Learned:
    """Learns a PAG whose marks hold in the true graph where the separations do; two nodes may stay joined that a set
    beyond their neighbours would separate.

    Colombo et al. (2012), algorithm 3.2, with every check of a round made before an edge goes, so that the order of
    the nodes does not matter. Where verdicts contradict each other the graph is that of the nearest MAG, as in
    ``fci``. Raises ``WhenceError`` as ``fci`` does.
    """
    held = held_by(names, knowledge, parameters["selection"])
    alpha = parameters["alpha"]
    state, remarks = adjacencies(tests, names, held, alpha, parameters["max_conditioning"], progress)
    while True:
        verify(state, tests, alpha)
        triples = _decided(state, judged(state, held, tests, alpha, progress, "max_p"))
        marks = _oriented(state, held, triples, tests, alpha, parameters["selection"])
        if marks is not None:
            break
    done = settle(state, held, triples, marks, parameters["selection"])
    return learned_pag(state, triples, done, "max_p", remarks)


def _decided(state: Separations, triples: Triples) -> Triples:
    """Verdicts on which the p-values balance follow the smallest separating set, which the checks are about."""
    p = np.nan_to_num(triples.found.p_value, nan=0.0)
    collider = triples.collider.copy()
    for k in np.flatnonzero((p[:, 0] == p[:, 1]) & ~triples.forced).tolist():
        a, b, c = triples.nodes[k].tolist()
        collider[k] = not state.separator(a, c) >> b & 1
    return replace(triples, collider=collider)


def _oriented(
    state: Separations, held: Held, triples: Triples, tests: Tests, alpha: float, selection: bool
) -> np.ndarray | None:
    """The marks that the colliders and rules give, R4 after its check; None when a check took edges away."""
    marks = start(np.where(state.adjacent, CIRCLE, 0), held)
    for a, b, c in triples.nodes[triples.collider & ~triples.forced].tolist():
        marks[a, b] = marks[c, b] = ARROW
    checked: dict[tuple[int, int, int], Level | None] = {}
    while True:
        marks = zhang(marks, lambda i, j: None, selection=selection)
        paths = list(discriminating_paths(marks))
        gone = {pair: found for path in paths for pair, found in _separable(path, state, tests, alpha, checked)}
        if gone:
            for (x, y), found in gone.items():
                state.remove(x, y, found)
            return None
        wanted: dict[tuple[int, int], int] = {}
        for path in paths:
            for end, mark in _rule_4(path, state):
                if marks[end] == CIRCLE:
                    wanted[end] = mark if wanted.get(end, mark) == mark else CIRCLE
        turned = {end: mark for end, mark in wanted.items() if mark != CIRCLE}
        if not turned:
            return marks
        for end, mark in turned.items():
            marks[end] = mark


def _separable(
    path: tuple[int, ...], state: Separations, tests: Tests, alpha: float,
    checked: dict[tuple[int, int, int], Level | None],
) -> Iterator[tuple[tuple[int, int], Level]]:
    """The edges of a discriminating path whose ends a part of the separating set of the path's ends separates."""
    given = state.separator(path[0], path[-1])
    for a, b in itertools.pairwise(path):
        x, y = min(a, b), max(a, b)
        if state.held(x, y):
            continue
        key = (x, y, given)
        if key not in checked:
            checked[key] = part_that_separates(tests, x, y, ones(given & ~(1 << x | 1 << y)), alpha)
        found = checked[key]
        if found is not None:
            yield (x, y), found


def _rule_4(path: tuple[int, ...], state: Separations) -> list[tuple[tuple[int, int], int]]:
    """The ends that a discriminating path <theta, ..., alpha, b, a> fixes."""
    theta, alpha, b, a = path[0], path[-3], path[-2], path[-1]
    if state.separator(theta, a) >> b & 1:
        return [((a, b), TAIL), ((b, a), ARROW)]
    return [((alpha, b), ARROW), ((a, b), ARROW), ((b, a), ARROW)]


def discriminating_paths(marks: np.ndarray) -> Iterator[tuple[int, ...]]:
    """Shortest discriminating paths <theta, ..., alpha, b, a> for the nodes b with b o-* a, one per theta.

    Every node between theta and b is a collider on the path and a parent of a; theta and a are not adjacent.
    """
    arrow, tail = marks == ARROW, marks == TAIL
    adjacent, into = rows(marks != 0), rows(arrow.T)
    parents, spouses, heads = rows(tail & arrow.T), rows(arrow & arrow.T), rows(arrow)
    for a, b in np.argwhere(marks == CIRCLE).tolist():
        for alpha in ones(parents[a] & heads[b]):
            before = {alpha: b}
            level = [alpha]
            while level:
                following = []
                for k in level:
                    for theta in ones(into[k] & ~adjacent[a] & ~(1 << a)):
                        if theta not in before:
                            before[theta] = k
                            yield (*_walk(before, theta, b), a)
                    for node in ones(spouses[k] & parents[a]):
                        if node not in before:
                            before[node] = k
                            following.append(node)
                level = following


def _walk(before: Mapping[int, int], start: int, end: int) -> list[int]:
    out = [start]
    while out[-1] != end:
        out.append(before[out[-1]])
    return out
