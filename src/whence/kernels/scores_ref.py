"""Decomposable scores and the order search over them in NumPy: the reference of ``cpp/scores.cpp`` and ``boss.cpp``.

A score has ``size`` variables, ``local(y, parents)`` and ``additions(y, parents, out)``, which fills ``out[z]`` with
the score of y when z joins its parents; minus infinity where z cannot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

COLLINEAR = 1e-10
TREE_TOLERANCE, MOVE_TOLERANCE = 1e-9, 1e-7


class _Score:
    """``additions`` from ``local``; the other members as in the module's docstring."""

    def __init__(self, size: int, local: Callable[[int, list[int]], float]) -> None:
        self.size, self._local = size, local
        self._known: dict[tuple[int, tuple[int, ...]], float] = {}

    def local(self, y: int, parents: np.ndarray) -> float:
        key = y, tuple(sorted(int(z) for z in parents))
        if y in key[1] or not all(0 <= v < self.size for v in (y, *key[1])):
            raise ValueError("parents must be variables other than the child")
        if key not in self._known:
            self._known[key] = float(self._local(y, list(key[1])))
        return self._known[key]

    def additions(self, y: int, parents: np.ndarray, out: np.ndarray) -> None:
        held = {y, *(int(z) for z in parents)}
        for z in range(self.size):
            out[z] = -math.inf if z in held else self.local(y, np.array([*parents, z], dtype=np.int32))


def gaussian_score(r: np.ndarray, level: np.ndarray, slope: np.ndarray, weight: float) -> _Score:
    """level[k] - slope[k] log(variance of y given its k parents) + weight log det r[parents, parents].

    r: (d, d) covariance, correlation or posterior matrix; level, slope: by the number of parents.
    """

    def local(y: int, parents: list[int]) -> float:
        k = len(parents)
        if k >= len(level):
            return -math.inf
        block = r[np.ix_(parents, parents)]
        logdet = 0.0
        for m in range(k):  # the variance of each parent given those before it
            rest = block[m, m] - (block[m, :m] @ np.linalg.solve(block[:m, :m], block[:m, m]) if m else 0.0)
            if rest < COLLINEAR * block[m, m]:
                return -math.inf
            logdet += math.log(rest)
        rest = r[y, y] - (r[y, parents] @ np.linalg.solve(block, r[parents, y]) if k else 0.0)
        return float(level[k] - slope[k] * math.log(max(rest, COLLINEAR * r[y, y])) + weight * logdet)

    return _Score(len(r), local)


def discrete_score(codes: np.ndarray, cards: np.ndarray, kind: int, strength: float, structure: float, whole: int = -1,
                   copies: int = 1, regret: Sequence[float] = (), worth: float = 0.0) -> _Score:
    """BDeu (kind 0, strength its equivalent sample size), BIC (1, strength its penalty) or qNML (2) from (d, n) codes.

    structure: added for each parent, as a log prior. The first ``whole`` rows count once (-1: all), each of the others
    counts 1 / copies. regret: of qNML, by number of values. worth: as how many rows all together count, if above 0.
    """
    weights = np.ones(codes.shape[1])
    weights[whole if whole >= 0 else len(weights):] = 1 / copies
    n = worth if worth > 0 else float(weights.sum())
    weights *= n / weights.sum()

    def local(y: int, parents: list[int]) -> float:
        r, q = int(cards[y]), math.prod(float(cards[z]) for z in parents)
        config = np.zeros(codes.shape[1], dtype=np.int64)
        for z in parents:
            config = np.unique(config * int(cards[z]) + codes[z], return_inverse=True)[1]
        table = np.bincount(config * r + codes[y], weights, minlength=(config.max() + 1) * r).reshape(-1, r)
        totals = table.sum(axis=1)
        if kind == 0:
            a, group = strength / (q * r), strength / q
            fit = sum(math.lgamma(c + a) - math.lgamma(a) for c in table[table > 0].tolist())
            fit -= sum(math.lgamma(t + group) - math.lgamma(group) for t in totals.tolist())
        else:
            filled = table[table > 0]
            fit = float((filled * np.log(filled)).sum() - (totals * np.log(totals)).sum())
            fit -= strength / 2 * math.log(n) * (r - 1) * q if kind == 1 else _regret(q * r) - _regret(q)
        return fit + structure * len(parents)

    def _regret(values: float) -> float:
        if values < len(regret):
            return regret[int(values)]
        a = values / n
        above = 2 / a / (1 + math.sqrt(1 + 4 / a))
        return n * (math.log(a) + (a + 2) * math.log1p(above) - 1 / (1 + above)) - math.log(1 + above + 2 / a) / 2

    return _Score(len(cards), local)


def cells_score(codes: np.ndarray, cards: np.ndarray, values: np.ndarray, price: float, structure: float) -> _Score:
    """The log-likelihood of numbers jointly normal within every combination of levels, less ``price`` per parameter.

    codes, values: (d, n), read where cards is above 0 and where it is 0. structure: added for each parent. See
    ``cpp/score_cells.hpp``.
    """
    n = codes.shape[1]

    def joint(of: list[int], strict: bool) -> float:
        coded, number = [v for v in of if cards[v]], [v for v in of if not cards[v]]
        cell = np.unique(codes[coded], axis=1, return_inverse=True)[1].ravel() if coded else np.zeros(n, dtype=np.int64)
        x, count, c = values[number].T, np.bincount(cell), len(number)
        cells = math.prod(float(cards[v]) for v in coded)
        total = float((count * np.log(count / n)).sum()) - price * (cells * (c + c * (c + 1) / 2) + cells - 1)
        if not c:
            return total
        away = np.vstack([x[cell == g] - x[cell == g].mean(axis=0) for g in range(len(count))])
        pooled, lost = _cholesky(away.T @ away / n)
        if lost and strict:
            return -math.inf
        total -= n * c / 2 * math.log(2 * math.pi)
        for g in range(len(count)):
            own = x[cell == g] - x[cell == g].mean(axis=0)
            factor, lost = _cholesky(own.T @ own / len(own))
            factor = pooled if lost or len(own) <= c + 1 else factor
            away = np.linalg.solve(factor, own.T)
            total -= len(own) * float(np.log(np.diag(factor)).sum()) + float((away**2).sum()) / 2
        return total

    def local(y: int, parents: list[int]) -> float:
        given = joint(parents, True)
        return given if given == -math.inf else joint(sorted([*parents, y]), False) - given + structure * len(parents)

    return _Score(len(cards), local)


def _cholesky(matrix: np.ndarray) -> tuple[np.ndarray, int]:
    """The factor, with the least variance that is no rounding error, and how many variables the others determine."""
    out, lost = np.zeros_like(matrix), 0
    for j in range(len(matrix)):
        out[j, :j] = np.linalg.solve(out[:j, :j], matrix[j, :j]) if j else 0.0
        left, least = matrix[j, j] - out[j, :j] @ out[j, :j], COLLINEAR * max(matrix[j, j], COLLINEAR)
        lost += bool(left < least)
        out[j, j] = math.sqrt(max(left, least))
    return out, lost


def block_score(r: np.ndarray, starts: np.ndarray, n: float, price: float, structure: float) -> _Score:
    """-n/2 log det of the columns of y given those of its parents, less ``price`` per coefficient.

    r: (c, c) correlations of the columns; those of variable v are starts[v] up to starts[v + 1]. structure: added
    for each parent, as a log prior.
    """

    def local(y: int, parents: list[int]) -> float:
        given = [c for z in parents for c in range(starts[z], starts[z + 1])]
        own = list(range(starts[y], starts[y + 1]))
        if len(given) + len(own) >= n:
            return -math.inf
        logdet, before = 0.0, []
        for c in given + own:  # the variance of each column given those before it
            part = np.linalg.solve(r[np.ix_(before, before)], r[before, c]) if before else np.zeros(0)
            rest = float(r[c, c] - r[c, before] @ part)
            if rest < COLLINEAR and c in given:
                return -math.inf
            if c in own:
                logdet += math.log(max(rest, COLLINEAR))
            before.append(c)
        return -n / 2 * logdet - price * len(given) * len(own) + structure * len(parents)

    return _Score(len(starts) - 1, local)


def called_score(size: int, call: Callable[[int, tuple[int, ...]], float]) -> _Score:
    """A score computed by ``call(y, parents)``, parents ascending; each set is asked for once."""
    return _Score(size, lambda y, parents: call(y, tuple(parents)))


def score_by_child(parts: list[_Score], which: np.ndarray) -> _Score:
    """Each child y is scored by ``parts[which[y]]``."""
    return _Score(len(which), lambda y, parents: parts[which[y]].local(y, np.array(parents, dtype=np.int32)))


class _Trees:
    """The parents of each variable among those that precede it (grow-shrink trees, without keeping the branches)."""

    def __init__(self, score: _Score, may: np.ndarray, required: np.ndarray) -> None:
        self.score, self.may = score, may
        self.required = [np.flatnonzero(row).tolist() for row in required]
        self._found: dict[tuple[int, bytes], tuple[float, list[int]]] = {}

    def find(self, y: int, prefix: np.ndarray) -> tuple[float, list[int]]:
        """The score of y and its parents, from those flagged in ``prefix`` (d,)."""
        key = y, prefix.tobytes()
        if key not in self._found:
            self._found[key] = self._shrunk(y, *self._grown(y, prefix))
        return self._found[key]

    def _grown(self, y: int, prefix: np.ndarray) -> tuple[float, list[int]]:
        path = list(self.required[y])
        best = self.score.local(y, np.array(path, dtype=np.int32))
        values = np.empty(self.score.size)
        while True:
            self.score.additions(y, np.array(path, dtype=np.int32), values)
            values[~(prefix & self.may[y]).astype(bool)] = -math.inf
            z = int(np.argmax(values))
            if values[z] <= best + TREE_TOLERANCE:
                return best, path
            best = float(values[z])
            path.append(z)

    def _shrunk(self, y: int, best: float, path: list[int]) -> tuple[float, list[int]]:
        kept = sorted(path)
        while True:
            drop = -1
            for j, z in enumerate(kept):
                value = self.score.local(y, np.array(kept[:j] + kept[j + 1 :], dtype=np.int32))
                if z not in self.required[y] and value > best + TREE_TOLERANCE:
                    best, drop = value, j
            if drop < 0:
                return best, kept
            del kept[drop]


def boss(score: _Score, may: np.ndarray, before: np.ndarray, required: np.ndarray, shakes: np.ndarray, sweeps: int,
         order: np.ndarray, arrows: np.ndarray) -> tuple[float, int]:
    """Best order score search; see ``cpp/boss.cpp`` for the arguments. The second value is that of no tree kept: 0."""
    trees = _Trees(score, may, required)
    chosen, turn = order.tolist(), order.tolist()
    best = _improve(trees, chosen, turn, before, sweeps)
    for moves in shakes:
        other = list(chosen)
        for i, j in moves.tolist():
            _shift(other, i, j, before)
        value = _improve(trees, other, turn, before, sweeps)
        if value > best + MOVE_TOLERANCE:
            best, chosen = value, other
    order[:] = chosen
    for y, prefix in _prefixes(chosen):
        arrows[trees.find(y, prefix)[1], y] = 1
    return best, 0


def _prefixes(order: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    prefix = np.zeros(len(order), dtype=np.uint8)
    for y in order:
        yield y, prefix
        prefix[y] = 1


def _total(trees: _Trees, order: list[int]) -> float:
    return sum(trees.find(y, prefix)[0] for y, prefix in _prefixes(order))


def _improve(trees: _Trees, order: list[int], turn: list[int], before: np.ndarray, sweeps: int) -> float:
    total = _total(trees, order)
    for _ in range(sweeps):
        moved = False
        for x in turn:
            at = order.index(x)
            rest = order[:at] + order[at + 1 :]
            low = max((i + 1 for i, y in enumerate(rest) if before[y, x]), default=0)
            high = min((i for i, y in enumerate(rest) if before[x, y]), default=len(rest))
            best, place = -math.inf, at
            for i in range(low, high + 1):
                value = _total(trees, [*rest[:i], x, *rest[i:]])
                if value > best + MOVE_TOLERANCE:
                    best, place = value, i
            if best > total + MOVE_TOLERANCE:
                order[:] = [*rest[:place], x, *rest[place:]]
                total, moved = best, True
        if not moved:
            break
    return total


def _shift(order: list[int], start: int, end: int, before: np.ndarray) -> None:
    x = order[start]
    passed = order[min(start, end) : max(start, end) + 1]
    if any(before[x, y] if start < end else before[y, x] for y in passed):
        return
    order.insert(end, order.pop(start))


