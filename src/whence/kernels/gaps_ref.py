"""Reference of the kernels in ``gaps``: tests of partial correlation where values are missing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

COLLINEAR = 1e-10  # a share of variance below this is rounding error


def gaps_level(
    values: np.ndarray, present: np.ndarray, cause_starts: np.ndarray, causes: np.ndarray, starts: np.ndarray,
    candidates: np.ndarray, pairs: np.ndarray, size: int, alpha: float, threads: int, removed: np.ndarray,
    numbers: np.ndarray, rows: np.ndarray, sets: np.ndarray, tests: np.ndarray,
) -> None:
    """One level of PC-stable: the sets and their order are those of ``numpy_ref.gaussian_level``; a pair is separated
    by the first p-value above alpha.

    values: float64 (d, n), 0 where missing. present: uint64 (d, ceil(n / 64)), a bit per row, lowest first.
    cause_starts int64 (d + 1,), causes int32: the missingness of variable j depends on
    ``causes[cause_starts[j]:cause_starts[j + 1]]``; none of any means plain test-wise deletion.
    Out: removed uint8 (m,); of the largest p-value, numbers float64 (m, 2), p-value and Fisher's z, rows int64 (m,)
    without gaps, sets int32 (m, size), all unchanged when no test was possible; tests int64 (m, 2), zeros before: how
    many were made and how many were impossible.
    """
    data = _Data.of(values, present, cause_starts, causes)
    for p, (x, y) in enumerate(pairs.tolist()):
        best = -1.0
        for given in _sets(starts, candidates, x, y, size):
            found, n = data.test(x, y, given)
            tests[p, 0 if found else 1] += 1
            if found and found[0] > best:
                best = found[0]
                numbers[p], rows[p], sets[p] = found, n, given
                if best > alpha:
                    removed[p] = 1
                    break


def gaps_triples(
    values: np.ndarray, present: np.ndarray, cause_starts: np.ndarray, causes: np.ndarray, starts: np.ndarray,
    candidates: np.ndarray, pairs: np.ndarray, middle_starts: np.ndarray, middles: np.ndarray, largest: int,
    alpha: float, threads: int, separating: np.ndarray, p_value: np.ndarray,
) -> None:
    """For each pair and each of its middle nodes, over all sets of at most ``largest`` candidates: separating int64
    (t, 2), zeros before, how many sets separate with and without the middle node; p_value float64 (t, 2), NaN before,
    the largest p-value with and without it."""
    data = _Data.of(values, present, cause_starts, causes)
    for p, (x, y) in enumerate(pairs.tolist()):
        for given in (s for k in range(largest + 1) for s in _sets(starts, candidates, x, y, k)):
            found, _ = data.test(x, y, given)
            if not found:
                continue
            for q in range(middle_starts[p], middle_starts[p + 1]):
                without = int(middles[q] not in given)
                separating[q, without] += found[0] > alpha
                p_value[q, without] = np.fmax(p_value[q, without], found[0])


def _sets(starts: np.ndarray, candidates: np.ndarray, x: int, y: int, size: int) -> Iterator[tuple[int, ...]]:
    first = [c for c in candidates[starts[x] : starts[x + 1]].tolist() if c != y]
    second = [c for c in candidates[starts[y] : starts[y + 1]].tolist() if c != x]
    known = set(first)
    yield from itertools.combinations(first, size)
    yield from (s for s in itertools.combinations(second, size) if not known.issuperset(s))


@dataclass(frozen=True, eq=False)
class _Recovered:
    """Covariances as they would be without missing values.

    nodes: causes of missingness first. joint: their covariance; seen: the same in the n complete rows. slopes: of the
    others on the causes. wide: rows behind the covariance of the causes.
    """

    nodes: list[int]
    causes: int
    joint: np.ndarray
    seen: np.ndarray
    slopes: np.ndarray
    n: int
    wide: int


@dataclass(frozen=True, eq=False)
class _Data:
    values: np.ndarray
    present: np.ndarray
    causes: list[list[int]]

    @staticmethod
    def of(values: np.ndarray, present: np.ndarray, cause_starts: np.ndarray, causes: np.ndarray) -> _Data:
        bits = np.unpackbits(present.view(np.uint8), axis=1, bitorder="little")[:, : values.shape[1]]
        split = [causes[cause_starts[j] : cause_starts[j + 1]].tolist() for j in range(len(values))]
        return _Data(values, bits.astype(bool), split)

    def closure(self, nodes: list[int]) -> list[int]:
        """What the missingness of these depends on, and the missingness of that, and so on."""
        out: set[int] = set()
        todo = list(nodes)
        while todo:
            new = set(self.causes[todo.pop()]) - out
            out |= new
            todo += new
        return sorted(out)

    def complete(self, nodes: list[int]) -> tuple[np.ndarray, int]:
        rows = self.present[nodes].all(axis=0)
        n = int(rows.sum())
        x = self.values[nodes][:, rows]
        x = x - x.mean(axis=1, keepdims=True) if n else x
        return x @ x.T / max(n, 1), n

    def recover(self, nodes: list[int]) -> _Recovered | int:
        """The nodes given the causes of their missingness from the complete rows, the causes themselves from all rows
        that have them, in the same way; or how many complete rows there are when these are too few."""
        causes = self.closure(nodes)
        if not causes or causes == sorted(nodes):
            seen, n = self.complete(nodes)
            return _Recovered(nodes, 0, seen, seen, np.empty((0, len(nodes))), n, n) if n > len(nodes) + 1 else n
        above = self.recover(causes)
        if isinstance(above, int):
            return 0
        every = causes + [v for v in nodes if v not in causes]
        c = len(causes)
        seen, n = self.complete(every)
        if n <= len(every) + 1 or not _regular(seen[:c, :c]):
            return n
        place = [above.nodes.index(v) for v in causes]
        wide = above.joint[np.ix_(place, place)]
        slopes = np.linalg.solve(seen[:c, :c], seen[:c, c:])
        rest = seen[c:, c:] - seen[c:, :c] @ slopes
        joint = np.block([[wide, wide @ slopes], [slopes.T @ wide, rest + slopes.T @ wide @ slopes]])
        return _Recovered(every, c, joint, seen, slopes, n, above.n)

    def test(self, x: int, y: int, given: tuple[int, ...]) -> tuple[tuple[float, float] | None, int]:
        """(p-value, z), None when there is nothing to test, and the rows without gaps."""
        k, found = len(given), self.recover([*given, x, y])
        if isinstance(found, int):
            return None, found
        place = [found.nodes.index(v) for v in (*given, x, y)]
        own = found.joint[np.ix_(place, place)]
        if found.n <= k + found.causes + 3 or not _regular(own[:k, :k]) or (own.diagonal() <= 1e-24).any():
            return None, found.n
        slopes = np.linalg.solve(own[:k, :k], own[:k, k:]) if k else np.empty((0, 2))
        left = own[k:, k:] - own[k:, :k] @ slopes
        if (left.diagonal() < COLLINEAR * own[k:, k:].diagonal()).any():
            return None, found.n
        worth = float(found.n)
        if found.causes:
            weights = np.zeros((2, len(found.nodes)))
            weights[[0, 1], place[k:]] = 1
            weights[:, place[:k]] -= slopes.T
            worth = _effective(found, weights, left)
        if worth <= k + 3:
            return None, found.n
        r = float(np.clip(left[0, 1] / math.sqrt(left[0, 0] * left[1, 1]), -1 + 1e-15, 1 - 1e-15))
        z = math.atanh(r) * math.sqrt(worth - k - 3)
        return (math.erfc(abs(z) / math.sqrt(2)), z), found.n


def _regular(cov: np.ndarray) -> bool:
    """Whether no variable is determined by the others."""
    scale = np.sqrt(cov.diagonal())
    if not (scale > 0).all():
        return False
    try:
        factor = np.linalg.cholesky(cov / np.outer(scale, scale))
    except np.linalg.LinAlgError:
        return False
    return bool((factor.diagonal() ** 2 >= COLLINEAR).all())


def _effective(found: _Recovered, weights: np.ndarray, left: np.ndarray) -> float:
    """How many rows without gaps would tell as much about the covariance of what is left of x and of y.

    weights: (2, q), what is left of each as a sum of the nodes. Delta method for normal variables: slopes and
    residuals vary as in the n complete rows, the causes' covariance as in the rows that have them.
    """
    c = found.causes
    parts = weights[:, :c] + weights[:, c:] @ found.slopes.T  # of the causes in what is left
    to_cause = found.joint[:c, :c] @ parts.T
    w = parts @ to_cause
    e = left - w
    q = to_cause.T @ np.linalg.solve(found.seen[:c, :c], to_cause)
    own = e[0, 0] * q[1, 1] + e[1, 1] * q[0, 0] + 2 * e[0, 1] * q[0, 1] + e[0, 0] * e[1, 1] + e[0, 1] ** 2
    variance = own / found.n + (w[0, 0] * w[1, 1] + w[0, 1] ** 2) / found.wide
    return (left[0, 0] * left[1, 1] + left[0, 1] ** 2) / variance
