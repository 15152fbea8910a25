"""Every Markov equivalence class of DAGs on few nodes, with all its separations, as arrays."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from whence.graphs.formats.statements import Statement
from whence.graphs.orient import class_of

MOST = 5  # 8,782 classes; six nodes have 1,067,825


@dataclass(frozen=True)
class SmallClasses:
    """marks: int8 (classes, d, d), the CPDAGs. joined: bool (classes, 2^d, d, d), whether i and j are d-connected
    given the set of nodes whose bits are set (meaningful for i and j outside it).
    """

    marks: np.ndarray
    joined: np.ndarray

    @staticmethod
    @functools.cache
    def of(d: int) -> SmallClasses:
        """All classes on d nodes."""
        arrows = _dags(d)
        _, first = np.unique(_keys(arrows), axis=0, return_index=True)
        arrows = arrows[np.sort(first)]
        marks = np.where(arrows, 2, np.where(arrows.transpose(0, 2, 1), 3, 0)).astype(np.int8)
        return SmallClasses(np.array([class_of(one) for one in marks]), _joined(arrows))

    def fitting(self, names: Sequence[str], statements: Sequence[Statement]) -> np.ndarray:
        """bool (classes,): where every statement holds."""
        out = np.ones(len(self.marks), dtype=bool)
        for statement in statements:
            out &= self.holds(names, statement)
        return out

    def holds(self, names: Sequence[str], statement: Statement) -> np.ndarray:
        """bool (classes,): where one statement holds."""
        at = {name: k for k, name in enumerate(names)}
        code = sum(1 << at[name] for name in statement.given)
        return self.joined[:, code, at[statement.a], at[statement.b]] != statement.independent


def smallest_clash(names: Sequence[str], statements: Sequence[Statement]) -> tuple[Statement, ...]:
    """The fewest statements that no class fits together (first in their order), up to four; of more, a list from
    which none can be dropped. Empty when some class fits all of them. At most ``MOST`` names.
    """
    classes = SmallClasses.of(len(names))
    fits = [classes.holds(names, s) for s in statements]
    if not fits or np.logical_and.reduce(fits).any():
        return ()
    for size in (1, 2, 3, 4):
        if len(statements) ** size > 200_000:
            break
        for chosen in combinations(range(len(statements)), size):
            if not np.logical_and.reduce([fits[k] for k in chosen]).any():
                return tuple(statements[k] for k in chosen)
    kept = list(range(len(statements)))
    for k in list(kept):
        rest = [j for j in kept if j != k]
        if not np.logical_and.reduce([fits[j] for j in rest]).any():
            kept = rest
    return tuple(statements[k] for k in kept)


def _dags(d: int) -> np.ndarray:
    """bool (n, d, d): every DAG, [i, j] for i --> j."""
    pairs = list(combinations(range(d), 2))
    codes = np.array(list(product((0, 1, 2), repeat=len(pairs))), dtype=np.int8)
    out = np.zeros((len(codes), d, d), dtype=bool)
    for k, (i, j) in enumerate(pairs):
        out[:, i, j], out[:, j, i] = codes[:, k] == 1, codes[:, k] == 2
    return out[~np.diagonal(_closure(out), axis1=1, axis2=2).any(1)]


def _closure(arrows: np.ndarray) -> np.ndarray:
    """Transitive closure: [i, j] when a path of one arrow or more leads from i to j."""
    out = arrows.copy()
    for k in range(arrows.shape[-1]):
        out |= out[:, :, k, None] & out[:, None, k, :]
    return out


def _keys(arrows: np.ndarray) -> np.ndarray:
    """Adjacencies and v-structures of each DAG: equal for equivalent ones (Verma and Pearl 1990)."""
    d = arrows.shape[-1]
    adjacent = arrows | arrows.transpose(0, 2, 1)
    columns = [adjacent[:, i, j] for i, j in combinations(range(d), 2)]
    columns += [arrows[:, i, k] & arrows[:, j, k] & ~adjacent[:, i, j]
                for i, j in combinations(range(d), 2) for k in range(d) if k not in (i, j)]
    return np.packbits(np.array(columns).T, axis=1) if columns else np.zeros((len(arrows), 1), np.uint8)


def _joined(arrows: np.ndarray) -> np.ndarray:
    """d-connection by definition of the moral graph, per pair and set: moralise the ancestors, cut the set."""
    n, d, _ = arrows.shape
    above = _closure(arrows) | np.eye(d, dtype=bool)  # [i, j]: i is j or an ancestor of it
    out = np.zeros((n, 2**d, d, d), dtype=bool)
    for code in range(2**d):
        given = np.array([code >> k & 1 for k in range(d)], dtype=bool)
        for i, j in combinations(np.flatnonzero(~given), 2):
            inside = above[:, :, given].any(2) | above[:, :, i] | above[:, :, j]
            part = arrows & inside[:, :, None] & inside[:, None, :]
            moral = part | part.transpose(0, 2, 1)
            for k in range(d):
                moral |= part[:, :, k, None] & part[:, None, :, k]
            moral &= ~given[None, :, None] & ~given[None, None, :]
            out[:, code, i, j] = out[:, code, j, i] = _closure(moral)[:, i, j]
    return out
