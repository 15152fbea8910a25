"""Rows of categories for discrete scores, gaps filled by draws from what the rest of the row tells about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Remark
from whence.core.rng import generator
from whence.data.table import Table
from whence.kernels.scores import boss, discrete_score
from whence.stats.score.levels import level_codes, level_limit
from whence.stats.score.score import Kernel

COPIES = 5  # draws of each row with gaps
MOST_VALUES = 100_000_000  # codes in all draws together; beyond it there are fewer draws
ROUNDS, SWEEPS, LAST = 6, 4, 6
LIBERAL = 0.25  # of the price of BIC, for the network that the draws come from
_CHUNK = 2_000_000  # numbers in one piece of a draw
_ROWS = 20_000  # rows counted in one piece


@dataclass(frozen=True, eq=False)
class Rows:
    """codes: uint8 (d, m), the first ``whole`` rows of data once and then each of the others ``copies`` times. cards:
    int32 (d,) levels that occur. worth: as how many rows they count. remarks: what was done about missing values."""

    codes: np.ndarray
    cards: np.ndarray
    whole: int
    copies: int
    worth: int
    remarks: tuple[Remark, ...] = ()

    def kernel(self, kind: int, strength: float, structure: float, regret: list[float] | None = None) -> Kernel:
        """The score of these rows; see ``whence.kernels.scores.discrete_score``."""
        return discrete_score(self.codes, self.cards, kind, strength, structure, self.whole, self.copies, regret or [],
                              float(self.worth))


def expected_rows(table: Table, names: tuple[str, ...]) -> Rows:
    """The rows, those with gaps as several draws of the missing values given the values that are there.

    The draws come from a network learned along the way: structural EM (Friedman 1998) with Gibbs sampling in place of
    expected counts (stochastic EM, Nielsen 2000), from the best forest of the pairwise complete rows (Chow and Liu
    1968). The network is chosen at a quarter of the price of BIC: the draws thin out an edge that it lacks, and one too
    many does little harm, because the counts are then scaled to the number of rows that pairs of columns share. Right
    when values are missing at random. Raises ``WhenceError``: ``never_together``, ``too_many_levels``.
    """
    if table.complete(names).all():
        codes, cards, remarks = level_codes(table, names)
        return Rows(codes, cards, codes.shape[1], 1, codes.shape[1], remarks)
    ordered = tuple(sorted(names))
    x, seen, cards = _with_gaps(table, ordered)
    gaps = {name: int(k) for name, k in zip(ordered, (~seen).sum(axis=1), strict=True) if k}
    kept = seen.any(axis=0)
    x, seen = x[:, kept], seen[:, kept]
    whole = np.flatnonzero(seen.all(axis=0))
    partly = np.flatnonzero(~seen.all(axis=0))
    at = np.concatenate([whole, partly])
    drawn, copies, worth = _drawn(np.ascontiguousarray(x[:, at]), seen[:, at], cards, len(whole), ordered)
    back = [ordered.index(name) for name in names]
    text = (f"{sum(gaps.values()):,} missing values were filled in by {copies} draws each from a network of the "
            f"columns learned along the way (structural EM); the counts are scaled to {worth:,} rows, the average over "
            "pairs of columns. This is right when values are missing at random.")
    about = {"missing": gaps, "draws": copies, "rows_without_any_value": int((~kept).sum())}
    return Rows(np.ascontiguousarray(drawn[back]), np.ascontiguousarray(cards[back]), len(whole), copies, worth,
                (Remark("missing_expected", text, tuple(gaps), about),))


def _with_gaps(table: Table, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """uint8 (d, n) codes, 0 where missing; bool (d, n) whether there is a value; int32 (d,) levels that occur."""
    codes = np.zeros((len(names), len(table)), dtype=np.uint8)
    seen = np.empty(codes.shape, dtype=bool)
    cards = np.empty(len(names), dtype=np.int32)
    for i, name in enumerate(names):
        column = table.column(name)
        seen[i] = ~column.missing
        occurring, coded = np.unique(column.values[seen[i]], return_inverse=True)
        level_limit(name, len(occurring))
        codes[i, seen[i]], cards[i] = coded, len(occurring)
    return codes, seen, cards


@dataclass(frozen=True, eq=False)
class _Network:
    """parents: of each variable, ascending. tables: (combinations of their values, levels) logarithms of
    probabilities; the value of the first parent counts most slowly."""

    parents: list[list[int]]
    tables: list[np.ndarray]

    def strides(self, v: int, cards: np.ndarray) -> list[int]:
        out = [1]
        for z in reversed(self.parents[v]):
            out.append(out[-1] * int(cards[z]))
        return out[-2::-1]


def _drawn(x: np.ndarray, seen: np.ndarray, cards: np.ndarray, whole: int, names: tuple[str, ...]
           ) -> tuple[np.ndarray, int, int]:
    """The rows with their draws, the number of draws, and how many rows they are worth."""
    d, n = x.shape
    counts, starts = _pair_counts(x, seen, cards)
    joint = _blocks(counts, starts)
    _together(joint, names)
    rngs = [generator(0, "expected counts", name) for name in names]
    network, order = _forest(counts, starts, joint, cards)
    gaps = [np.flatnonzero(~row) for row in seen]
    for v in order:
        _draw(x, v, gaps[v], network, {}, cards, rngs[v])
    for k in range(ROUNDS + 1):
        network, before = (network if k == 0 else _Network(_learned(x, cards), [])), network.parents
        if k and network.parents == before:
            break
        for _ in range(SWEEPS):
            network = _fitted(x, network.parents, cards, whole, 1)
            _sweep(x, gaps, network, cards, rngs)
    copies = int(np.clip(MOST_VALUES // max(1, d * (n - whole)), 1, COPIES))
    x = np.concatenate([x[:, :whole], np.repeat(x[:, whole:], copies, axis=1)], axis=1)
    gaps = [(whole + (g[:, None] - whole) * copies + np.arange(copies)).ravel() for g in gaps]
    for _ in range(LAST):
        network = _fitted(x, network.parents, cards, whole, copies)
        _sweep(x, gaps, network, cards, rngs)
    worth = joint[np.triu_indices(d, 1)].mean() if d > 1 else joint[0, 0]
    return x, copies, round(float(worth))


def _pair_counts(x: np.ndarray, seen: np.ndarray, cards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(L, L) in how many rows two levels meet, levels of all variables after each other, and where each starts."""
    starts = np.concatenate([[0], np.cumsum(cards)[:-1]]).astype(np.int64)
    total = np.zeros((int(cards.sum()),) * 2)
    for first in range(0, x.shape[1], _ROWS):
        part, there = x[:, first : first + _ROWS], seen[:, first : first + _ROWS]
        level = np.zeros((len(total), part.shape[1]), dtype=np.float32)
        v, i = np.nonzero(there)
        level[starts[v] + part[v, i], i] = 1
        total += level @ level.T  # whole numbers below 2^24, exact
    return total, starts


def _blocks(of: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The sums over the levels of each pair of variables."""
    return np.add.reduceat(np.add.reduceat(of, starts, axis=0), starts, axis=1)


def _together(joint: np.ndarray, names: tuple[str, ...]) -> None:
    if joint.min() < 2:
        a, b = np.unravel_index(int(joint.argmin()), joint.shape)
        raise WhenceError(
            f"{names[a]!r} and {names[b]!r} are observed together in {joint.min():.0f} rows, so nothing is known about "
            "their relation.", code="never_together", value=[names[a], names[b]], hint="Leave one of them out.")


def _forest(counts: np.ndarray, starts: np.ndarray, joint: np.ndarray, cards: np.ndarray
            ) -> tuple[_Network, list[int]]:
    """The forest of highest BIC from the rows that each pair shares, and its variables, parents first."""
    d, ends = len(cards), starts + cards
    own = np.add.reduceat(counts, starts, axis=1)  # (levels, variables): of a level, in rows with the other variable
    fit = _blocks(_xlogx(counts), starts) + _xlogx(joint)
    one = np.add.reduceat(_xlogx(own), starts, axis=0)
    gain = fit - one - one.T - np.log(joint) / 2 * np.outer(cards - 1, cards - 1)
    parents: list[list[int]] = [[] for _ in range(d)]
    tables, order = [np.zeros((1, 1))] * d, []
    best, link = np.zeros(d), np.full(d, -1)
    for _ in range(d):
        left = np.setdiff1d(np.arange(d), order)
        v = int(left[np.argmax(best[left])])
        order.append(v)
        mine = slice(starts[v], ends[v])
        if link[v] >= 0:
            p = int(link[v])
            parents[v] = [p]
            tables[v] = _logs(counts[starts[p] : ends[p], mine])
        else:
            tables[v] = _logs(np.diag(counts)[mine][None])
        better = gain[v] > best
        best[better], link[better] = gain[v][better], v
    return _Network(parents, tables), order


def _xlogx(a: np.ndarray) -> np.ndarray:
    return a * np.log(np.maximum(a, 1.0))


def _logs(counts: np.ndarray) -> np.ndarray:
    """Logarithms of the probabilities in each row of counts, to which one more row is spread evenly."""
    return np.log((counts + 1 / counts.shape[1]) / (counts.sum(axis=1, keepdims=True) + 1))


def _learned(x: np.ndarray, cards: np.ndarray) -> list[list[int]]:
    """The parents of each variable in the best network that one order search finds."""
    d = len(x)
    kernel = discrete_score(x, cards, 1, LIBERAL, 0.0)
    none = np.zeros((d, d), dtype=np.uint8)
    arrows, order = none.copy(), np.arange(d, dtype=np.int32)
    boss(kernel, (1 - np.eye(d)).astype(np.uint8), none, none, np.zeros((0, 1, 2), dtype=np.int32), 20, order, arrows)
    return [np.flatnonzero(arrows[:, v]).tolist() for v in range(d)]


def _fitted(x: np.ndarray, parents: list[list[int]], cards: np.ndarray, whole: int, copies: int) -> _Network:
    """The network with these parents whose probabilities fit the rows."""
    out = _Network(parents, [])
    weights = np.ones(x.shape[1])
    weights[whole:] = 1 / copies
    for v, r in enumerate(cards.tolist()):
        q = int(np.prod([int(cards[z]) for z in parents[v]], initial=1))
        at = _combination(x, out, v, cards, slice(None)) * r + x[v]
        out.tables.append(_logs(np.bincount(at, weights, minlength=q * r).reshape(q, r)))
    return out


def _combination(x: np.ndarray, network: _Network, v: int, cards: np.ndarray, rows: slice | np.ndarray) -> np.ndarray:
    """int64: the number of the combination of v's parents' values in these rows."""
    out = np.zeros(x[v, rows].shape, dtype=np.int64)
    for z, stride in zip(network.parents[v], network.strides(v, cards), strict=True):
        out += stride * x[z, rows].astype(np.int64)
    return out


def _sweep(x: np.ndarray, gaps: list[np.ndarray], network: _Network, cards: np.ndarray,
           rngs: list[np.random.Generator]) -> None:
    """Draws each missing value given all others of its row (Gibbs sampling)."""
    children: list[dict[int, int]] = [{} for _ in cards]
    for c, parents in enumerate(network.parents):
        for z, stride in zip(parents, network.strides(c, cards), strict=True):
            children[z][c] = stride
    for v, rows in enumerate(gaps):
        _draw(x, v, rows, network, children[v], cards, rngs[v])


def _draw(x: np.ndarray, v: int, gaps: np.ndarray, network: _Network, children: dict[int, int], cards: np.ndarray,
          rng: np.random.Generator) -> None:
    """Draws v in the rows ``gaps`` given its parents and children (each with the stride of v among its parents)."""
    levels = np.arange(int(cards[v]))
    for rows in _pieces(gaps, len(levels)):
        logs = network.tables[v][_combination(x, network, v, cards, rows)]
        for c, stride in children.items():
            rest = _combination(x, network, c, cards, rows) - stride * x[v, rows].astype(np.int64)
            logs = logs + network.tables[c][rest[:, None] + stride * levels, x[c, rows][:, None]]
        chance = np.exp(logs - logs.max(axis=1, keepdims=True)).cumsum(axis=1)
        x[v, rows] = (chance < rng.random(len(rows))[:, None] * chance[:, -1:]).sum(axis=1)


def _pieces(rows: np.ndarray, levels: int) -> Iterator[np.ndarray]:
    step = max(1, _CHUNK // levels)
    for first in range(0, len(rows), step):
        yield rows[first : first + step]
