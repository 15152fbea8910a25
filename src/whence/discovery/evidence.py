"""Why each pair is joined or not, and why each unshielded triple is or is not a collider."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np

from whence.core.result import fields_to_plain
from whence.stats.citest.choose import choose

Status = Literal["clear", "ambiguous", "overruled", "knowledge"]
STATUSES: tuple[Status, ...] = ("clear", "ambiguous", "overruled", "knowledge")


@dataclass(frozen=True)
class EdgeEvidence:
    """What decided one pair, a before b by name.

    present: whether the graph joins them. decided_by: ``"test"``, or ``"knowledge"`` when an arrow is
    required or both are forbidden. test, statistic, df, p_value, n, given: the test that separated the
    pair, with its separating set, or else the one that came closest (the largest p-value), None when no
    test was possible.
    """

    a: str
    b: str
    present: bool
    decided_by: Literal["test", "knowledge"]
    test: str | None
    statistic: float | None
    df: float | None
    p_value: float | None
    n: int | None
    given: tuple[str, ...]


@dataclass(frozen=True)
class TripleEvidence:
    """What decided whether b is a collider between a and c, which are not joined.

    p_with, p_without: the largest p-value over conditioning sets with b and without b, None when there is
    none; separating_with, separating_without: how many such sets separate a and c. collider: what the
    graph has. status: ``"clear"``; ``"ambiguous"`` when sets of both kinds separate; ``"overruled"`` when
    stronger evidence elsewhere left no room for the verdict of the tests; ``"knowledge"`` when knowledge decides.
    """

    a: str
    b: str
    c: str
    collider: bool
    status: Status
    p_with: float | None
    p_without: float | None
    separating_with: int
    separating_without: int


@dataclass(frozen=True, eq=False)
class PairTable(Sequence[EdgeEvidence]):
    """The evidence of all pairs in arrays, read as a sequence of ``EdgeEvidence`` in name order.

    names: sorted. present, by_knowledge: bool (P,) over the pairs i < j in row order. p_value, statistic,
    df: float64 (P,), NaN for none; n: int64 (P,), -1 for no test; arrays that say the same of all pairs may
    be views of one number. size: int16 (P,) and given: int32, flat, with ``start`` int64 (P,): the set of
    pair p is ``given[start[p] : start[p] + size[p]]``. kinds: of the columns. test: name of the test that
    was used; None when the kinds of the variables decided, pair by pair.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    present: np.ndarray
    by_knowledge: np.ndarray
    p_value: np.ndarray
    statistic: np.ndarray
    df: np.ndarray
    n: np.ndarray
    size: np.ndarray
    start: np.ndarray
    given: np.ndarray
    test: str | None = None

    def __len__(self) -> int:
        return len(self.present)

    @overload
    def __getitem__(self, index: int) -> EdgeEvidence: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[EdgeEvidence, ...]: ...
    def __getitem__(self, index: int | slice) -> EdgeEvidence | tuple[EdgeEvidence, ...]:
        if isinstance(index, slice):
            return tuple(self._row(p) for p in range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._row(index % len(self))

    def __iter__(self) -> Iterator[EdgeEvidence]:
        return map(self._row, range(len(self)))

    def of(self, a: str, b: str) -> EdgeEvidence:
        """The evidence of one pair. Raises ``KeyError`` for a name that is no node."""
        at = {name: i for i, name in enumerate(self.names)}
        return self._row(int(pair_index(len(self.names), *sorted((at[a], at[b])))))

    def _row(self, p: int) -> EdgeEvidence:
        i, j = (int(k) for k in pair_nodes(len(self.names), p))
        tested = self.n[p] >= 0
        first = int(self.start[p])
        given = self.given[first : first + int(self.size[p])].tolist()
        return EdgeEvidence(
            self.names[i], self.names[j], bool(self.present[p]),
            "knowledge" if self.by_knowledge[p] else "test",
            (self.test or choose(self.kinds[k] for k in (i, j, *given))) if tested else None,
            _number(self.statistic[p]), _number(self.df[p]), _number(self.p_value[p]),
            int(self.n[p]) if tested else None, tuple(self.names[k] for k in given),
        )

    def to_dict(self) -> list[dict[str, object]]:
        return [fields_to_plain(row) for row in self]


@dataclass(frozen=True, eq=False)
class TripleTable(Sequence[TripleEvidence]):
    """The evidence of all unshielded triples in arrays, read as a sequence of ``TripleEvidence`` in name order.

    names: sorted. nodes: int32 (t, 3), a, b, c with b in the middle. collider: bool (t,), what the graph has.
    status: int8 (t,), places in ``STATUSES``. p_value: float64 (t, 2), with and without b, NaN for none.
    separating: int64 (t, 2).
    """

    names: tuple[str, ...]
    nodes: np.ndarray
    collider: np.ndarray
    status: np.ndarray
    p_value: np.ndarray
    separating: np.ndarray

    def __len__(self) -> int:
        return len(self.nodes)

    @overload
    def __getitem__(self, index: int) -> TripleEvidence: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[TripleEvidence, ...]: ...
    def __getitem__(self, index: int | slice) -> TripleEvidence | tuple[TripleEvidence, ...]:
        if isinstance(index, slice):
            return tuple(self._row(k) for k in range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._row(index % len(self))

    def __iter__(self) -> Iterator[TripleEvidence]:
        return map(self._row, range(len(self)))

    def _row(self, k: int) -> TripleEvidence:
        a, b, c = (self.names[v] for v in self.nodes[k].tolist())
        p_with, p_without = map(_number, self.p_value[k])
        with_b, without_b = self.separating[k].tolist()
        return TripleEvidence(a, b, c, bool(self.collider[k]), STATUSES[self.status[k]], p_with, p_without,
                              with_b, without_b)

    def to_dict(self) -> list[dict[str, object]]:
        return [fields_to_plain(row) for row in self]


def pair_index(d: int, i: int | np.ndarray, j: int | np.ndarray) -> int | np.ndarray:
    """Place of the pair i < j among the d (d - 1) / 2 pairs in row order."""
    return i * (2 * d - i - 1) // 2 + j - i - 1


def pair_nodes(d: int, p: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nodes i < j of the pairs at places p."""
    row = np.arange(d)
    i = np.searchsorted(row * (2 * d - row - 1) // 2, p, side="right") - 1
    return i, p - i * (2 * d - i - 1) // 2 + i + 1


def named_pairs(names: tuple[str, ...], p: np.ndarray) -> list[list[str]]:
    """The names of the pairs at places p."""
    i, j = pair_nodes(len(names), p)
    return [[names[a], names[b]] for a, b in zip(i.tolist(), j.tolist(), strict=True)]


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
