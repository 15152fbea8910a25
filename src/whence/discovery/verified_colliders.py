"""Common effects that hold even where some edges should not be there.

An unshielded triple a - b - c with b outside a smallest separating set of a and c is a collider, in the sense that b
causes neither, if that set leaves b dependent on a and on c. Otherwise an edge of the triple goes: the same set, or a
part of it, separates its ends.

Source: Colombo, D., Maathuis, M. H., Kalisch, M. and Richardson, T. S. (2012). Learning high-dimensional directed
acyclic graphs with latent and selection variables. Annals of Statistics 40:294-321, lemma 3.1 and algorithm 4.4; all
triples are looked at before an edge goes, so that the order of the nodes does not matter.
"""

from __future__ import annotations

import numpy as np

from whence.discovery.independence import Level, Tests
from whence.discovery.orientation import unshielded
from whence.discovery.possible_dsep import single_list
from whence.discovery.separations import Separations
from whence.graphs.bits import rows
from whence.graphs.graph import ARROW, CIRCLE


def verify(state: Separations, tests: Tests, alpha: float) -> None:
    """Takes edges out of ``state`` until every collider that the separating sets imply passes the lemma."""
    passed: set[tuple[int, int, int]] = set()
    while True:
        gone: dict[tuple[int, int], Level] = {}
        neighbours = rows(state.adjacent)
        for a, b, c in unshielded(state.adjacent).tolist():
            given = state.separator(a, c)
            if not given or given >> b & 1:
                continue
            for end in (a, c):
                pair = (min(end, b), max(end, b))
                if (*pair, given) in passed or pair in gone or state.held(*pair):
                    continue
                known = given.bit_count() <= state.depth and not all(given & ~neighbours[k] for k in pair)
                found = None if known else separate(tests, *pair, state.given(a, c), alpha)
                if found is None:
                    passed.add((*pair, given))
                else:
                    gone[pair] = found
        if not gone:
            return
        for (x, y), found in gone.items():
            state.remove(x, y, found)


def part_that_separates(tests: Tests, x: int, y: int, within: list[int], alpha: float) -> Level | None:
    """The test of x and y given the smallest part of ``within``, the first of its size, that separates them."""
    lists, ends = single_list(len(tests.kinds), x, within), np.array([[x, y]], dtype=np.int32)
    for size in range(len(within) + 1):
        found = tests.level(lists, ends, size, alpha)
        if found.separated[0]:
            return found
    return None


def separate(tests: Tests, x: int, y: int, given: list[int], alpha: float) -> Level | None:
    """The same, or None if all of ``given`` together does not separate them."""
    lists, ends = single_list(len(tests.kinds), x, given), np.array([[x, y]], dtype=np.int32)
    if not tests.level(lists, ends, len(given), alpha).separated[0]:
        return None
    return part_that_separates(tests, x, y, given, alpha)


def collider_marks(state: Separations) -> np.ndarray:
    """The edges of ``state`` with arrowheads where the separating sets imply a collider, else circles."""
    marks = np.where(state.adjacent, CIRCLE, 0).astype(np.int8)
    for a, b, c in unshielded(state.adjacent).tolist():
        if not state.separator(a, c) >> b & 1:
            marks[a, b] = marks[c, b] = ARROW
    return marks
