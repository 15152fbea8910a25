"""The best small tree that says whom to treat: exact search over all trees of depth 0, 1 or 2 on a grid of cuts.

Sums of the gain over a grid of two columns' cuts, added up along both, give the value of every tree that splits on
the one and then on the other at once, so that the search takes one pass over the rows for each pair of columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CUTS = 64  # places at which a column may be split
BETTER = 1e-9  # part of the sum of all gains by which a deeper tree, or a later column, must be better


@dataclass(frozen=True)
class Leaf:
    """treat: those who come here. share: of all rows' weight. gain: mean score here less the cost, on the rows it was
    fitted to, and so flattering."""

    treat: bool
    share: float
    gain: float


@dataclass(frozen=True)
class Split:
    """Those whose ``column`` is at most ``at`` go to ``low``, the others to ``high``."""

    column: str
    at: float
    low: Node
    high: Node


Node = Leaf | Split


@dataclass(frozen=True)
class _Cut:
    """The best cut of one column below each of several cuts above it. value: of the two leaves."""

    value: np.ndarray
    column: np.ndarray
    place: np.ndarray


def policy_tree(
    gains: np.ndarray, columns: np.ndarray, names: Sequence[str], *, depth: int = 2, weights: np.ndarray | None = None,
    cuts: int = CUTS, smallest: int = 1,
) -> Node:
    """The tree of at most ``depth`` (0, 1 or 2) splits on the way to a leaf with the greatest sum of gains treated.

    gains: (n,), doubly robust score less the cost of each row (Zhou, Athey and Wager 2023, for two
    actions). columns: (n, k), numbers; a column with up to ``cuts`` + 1 values is split between any two, others at
    ``cuts`` quantiles. smallest: rows in a leaf. Among equally good trees the one with fewer splits, then that whose
    columns come first by name. Exact on this grid; time grows with n k^2 + k^2 cuts^2.
    """
    w = np.ones(len(gains)) if weights is None else weights
    order = sorted(range(len(names)), key=lambda j: names[j])
    places = [cut_places(columns[:, j], cuts) for j in order]
    keep = [i for i, at in enumerate(places) if len(at)]
    binned = [np.searchsorted(places[i], columns[:, order[i]], side="left") for i in keep]
    grids = [places[i] for i in keep]
    labels = [names[order[i]] for i in keep]
    found: tuple[float, list[tuple[int, int]]] = (max(0.0, float(w @ gains)), [])
    least = BETTER * float(w @ np.abs(gains))
    if depth >= 1:
        found = _one_split(w * gains, binned, grids, smallest, found, least)
    if depth >= 2:
        found = _two_levels(w * gains, binned, grids, smallest, found, least)
    return _grown(found[1], labels, grids, binned, gains, w)


def cut_places(values: np.ndarray, cuts: int) -> np.ndarray:
    """Values between which a column may be split, ascending: the middle of neighbours, or quantiles."""
    levels = np.unique(values)
    if len(levels) <= cuts + 1:
        return (levels[1:] + levels[:-1]) / 2
    at = np.unique(np.quantile(values, np.arange(1, cuts + 1) / (cuts + 1), method="inverted_cdf"))
    return at[at < levels[-1]]


def _one_split(
    gains: np.ndarray, binned: list[np.ndarray], grids: list[np.ndarray], smallest: int,
    best: tuple[float, list[tuple[int, int]]], least: float,
) -> tuple[float, list[tuple[int, int]]]:
    for a, (codes, grid) in enumerate(zip(binned, grids, strict=True)):
        sums = np.bincount(codes, weights=gains, minlength=len(grid) + 1)
        rows = np.bincount(codes, minlength=len(grid) + 1)
        value = _leaves(np.cumsum(sums)[None, :], np.cumsum(rows)[None, :], smallest)[0]
        place = int(np.argmax(value))
        if value[place] > best[0] + least:
            best = float(value[place]), [(a, place)]
    return best


def _two_levels(
    gains: np.ndarray, binned: list[np.ndarray], grids: list[np.ndarray], smallest: int,
    best: tuple[float, list[tuple[int, int]]], least: float,
) -> tuple[float, list[tuple[int, int]]]:
    for a, (codes, grid) in enumerate(zip(binned, grids, strict=True)):
        below, above = _blank(len(grid)), _blank(len(grid))
        for b, (other, cuts) in enumerate(zip(binned, grids, strict=True)):
            shape = (len(grid) + 1, len(cuts) + 1)
            key = codes * shape[1] + other
            sums = np.bincount(key, weights=gains, minlength=shape[0] * shape[1]).reshape(shape)
            rows = np.bincount(key, minlength=shape[0] * shape[1]).reshape(shape)
            sums, rows = np.cumsum(np.cumsum(sums, axis=0), axis=1), np.cumsum(np.cumsum(rows, axis=0), axis=1)
            if b == 0:  # a side may stay one leaf
                _take(below, _alone(sums[:-1, -1], rows[:-1, -1], smallest), -1, least)
                _take(above, _alone(sums[-1, -1] - sums[:-1, -1], rows[-1, -1] - rows[:-1, -1], smallest), -1, least)
            _take(below, _leaves(sums[:-1], rows[:-1], smallest), b, least)
            _take(above, _leaves(sums[-1] - sums[:-1], rows[-1] - rows[:-1], smallest), b, least)
        value = below.value + above.value
        place = int(np.argmax(value))
        if value[place] > best[0] + least:
            best = float(value[place]), [(a, place), *((int(side.column[place]), int(side.place[place]))
                                                       for side in (below, above))]
    return best


def _blank(many: int) -> _Cut:
    return _Cut(np.full(many, -np.inf), np.full(many, -1), np.full(many, -1))


def _take(best: _Cut, value: np.ndarray, column: int, least: float) -> None:
    """Keeps, at every cut above, the better of what was known and the best cut of ``value`` (above, below)."""
    place = np.argmax(value, axis=1)
    top = value[np.arange(len(value)), place]
    better = top > best.value + least
    best.value[better], best.column[better], best.place[better] = top[better], column, place[better]


def _alone(sums: np.ndarray, rows: np.ndarray, smallest: int) -> np.ndarray:
    return np.where(rows >= smallest, np.maximum(sums, 0.0), -np.inf)[:, None]


def _leaves(sums: np.ndarray, rows: np.ndarray, smallest: int) -> np.ndarray:
    """Value (m, cuts) of two leaves, each treated where that gains; sums, rows: (m, cuts + 1), added up."""
    low, high = sums[:, :-1], sums[:, -1:] - sums[:, :-1]
    fits = (rows[:, :-1] >= smallest) & (rows[:, -1:] - rows[:, :-1] >= smallest)
    return np.where(fits, np.maximum(low, 0.0) + np.maximum(high, 0.0), -np.inf)


def _grown(
    splits: list[tuple[int, int]], labels: list[str], grids: list[np.ndarray], binned: list[np.ndarray],
    gains: np.ndarray, weights: np.ndarray,
) -> Node:
    """The tree of the chosen splits (root, then below it where it has them), equal leaves joined."""
    def leaf(rows: np.ndarray) -> Leaf:
        mass = float(weights[rows].sum())
        mean = float(weights[rows] @ gains[rows]) / mass if mass else 0.0
        return Leaf(mean > 0, mass / float(weights.sum()), mean)

    def node(split: tuple[int, int], rows: np.ndarray, below: Sequence[tuple[int, int]]) -> Node:
        column, place = split
        if column < 0:
            return leaf(rows)
        low, high = rows & (binned[column] <= place), rows & (binned[column] > place)
        sides = [node(below[k], side, ()) if below else leaf(side) for k, side in enumerate((low, high))]
        if isinstance(sides[0], Leaf) and isinstance(sides[1], Leaf) and sides[0].treat == sides[1].treat:
            return leaf(rows)
        return Split(labels[column], float(grids[column][place]), sides[0], sides[1])

    every = np.ones(len(gains), dtype=bool)
    return node(splits[0], every, splits[1:]) if splits else leaf(every)


def treated(tree: Node, columns: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Whom the tree treats: boolean (n,), for rows of ``columns`` (n, k)."""
    if isinstance(tree, Leaf):
        return np.full(len(columns), tree.treat)
    low = columns[:, list(names).index(tree.column)] <= tree.at
    return np.where(low, treated(tree.low, columns, names), treated(tree.high, columns, names))


def in_words(tree: Node, units: Mapping[str, str], switches: Sequence[str] = ()) -> str:
    """The rule as a sentence. units: of columns that have one. switches: columns of 0 and 1, like ``"site=north"``."""
    if isinstance(tree, Leaf):
        return "Treat everybody." if tree.treat else "Treat nobody."
    ways = [" and ".join(map(" is ".join, _tightest(way))) for way in _ways(tree, units, switches)]
    return "Treat where " + ", or where ".join(ways) + "; nobody else."


def _tightest(way: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of two conditions in the same direction on one column, the later, which says more."""
    last = {(column, what.split(" ")[0]): (column, what) for column, what in way}
    return list(last.values())


def _ways(tree: Node, units: Mapping[str, str], switches: Sequence[str]) -> list[list[tuple[str, str]]]:
    """Conditions on the way to each treated leaf."""
    if isinstance(tree, Leaf):
        return [[]] if tree.treat else []
    return [[condition(tree, low, units, switches), *rest]
            for low, side in ((True, tree.low), (False, tree.high)) for rest in _ways(side, units, switches)]


def condition(split: Split, low: bool, units: Mapping[str, str], switches: Sequence[str] = ()) -> tuple[str, str]:
    """The column of a split and what holds of it on the one side, in words: ``"age", "at most 40 years"``."""
    if split.column in switches:
        name, mark, value = split.column.partition("=")
        return name, f"{'not ' if low else ''}{value if mark else '1'}"
    at = f"{split.at:,.0f}" if abs(split.at) >= 1000 else f"{split.at:.4g}"
    unit = f" {units[split.column]}" if units.get(split.column) else ""
    return split.column, f"{'at most' if low else 'above'} {at}{unit}"
