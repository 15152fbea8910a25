"""NumPy references of the native kernels. They stay for ever: fallback and oracle."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

COLLINEAR = 1e-10  # a share of variance below this is rounding error
NO_TEST = 2.0  # no correlation is this large
_BATCH = 2048  # conditioning sets worked on at once


def counts(codes: np.ndarray, cards: np.ndarray, out: np.ndarray) -> None:
    """Contingency counts into ``out``.

    codes: int32 (k, n), values in [0, cards[k]) or -1 for missing; rows of data with a missing value are
    not counted. cards: int64 (k,). out: int64 (prod(cards),), zeros; the first variable varies slowest.
    """
    if (codes >= cards[:, None]).any():
        raise ValueError("a code is not below its cardinality")
    whole = (codes >= 0).all(axis=0)
    cell = np.zeros(int(whole.sum()), dtype=np.int64)
    for row, card in zip(codes[:, whole], cards, strict=True):
        cell = cell * card + row
    out += np.bincount(cell, minlength=len(out))


def gaussian_level(
    corr: np.ndarray, starts: np.ndarray, candidates: np.ndarray, pairs: np.ndarray, size: int,
    critical: float, threads: int, removed: np.ndarray, weakest: np.ndarray, sets: np.ndarray,
    tests: np.ndarray,
) -> None:
    """One level of PC-stable (Colombo and Maathuis 2014, algorithm 4.1) on a correlation matrix.

    For each pair, conditions on every set of ``size`` nodes from the candidates of its first end, then of
    its second end (sets within the first's candidates are not repeated), in lexicographic order, until
    a partial correlation is at most ``critical`` in size.

    corr: float64 (d, d). starts: int64 (d + 1,), candidates: int32; those of node i, ascending, are
    ``candidates[starts[i]:starts[i + 1]]``. pairs: int32 (m, 2). threads: does not change the answer.
    Out: removed uint8 (m,); weakest float64 (m,), the partial correlation of smallest size, 2 when no
    test was possible; sets int32 (m, size), its conditioning set; tests int64 (m, 2), how many were made
    and how many were impossible because variables determine each other.
    """
    for p, (x, y) in enumerate(pairs):
        best, done, undefined = NO_TEST, 0, 0
        for batch in _batches(starts, candidates, x, y, size):
            r, ok = _partial(corr, x, y, batch)
            small = np.flatnonzero(ok & (np.abs(r) <= critical))
            end = small[0] + 1 if len(small) else len(batch)
            done += int(ok[:end].sum())
            undefined += int((~ok[:end]).sum())
            strength = np.where(ok[:end], np.abs(r[:end]), NO_TEST)
            k = int(strength.argmin())
            if strength[k] < abs(best):
                best, sets[p] = r[k], batch[k]
            if len(small):
                removed[p] = 1
                break
        weakest[p], tests[p] = best, (done, undefined)


def gaussian_triples(
    corr: np.ndarray, starts: np.ndarray, candidates: np.ndarray, pairs: np.ndarray,
    middle_starts: np.ndarray, middles: np.ndarray, critical: np.ndarray, scale: np.ndarray, threads: int,
    separating: np.ndarray, smallest: np.ndarray,
) -> None:
    """For each pair and each of its middle nodes, the evidence that the middle node is a collider.

    Over all sets of candidates of either end of size 0, 1, ..., len(critical) - 1. corr, starts,
    candidates, pairs as in ``gaussian_level``. middles int32 (t,): those of pair p are
    ``middles[middle_starts[p]:middle_starts[p + 1]]``. critical, scale: per size, the largest partial
    correlation that counts as separation and sqrt(n - size - 3).
    Out: separating int64 (t, 2), zeros before: sets that separate, with and without the middle node;
    smallest float64 (t, 2), infinity before: the smallest Fisher z statistic, with and without it.
    """
    for p, (x, y) in enumerate(pairs):
        span = range(middle_starts[p], middle_starts[p + 1])
        for size, limit in enumerate(critical):
            for batch in _batches(starts, candidates, x, y, size):
                r, ok = _partial(corr, x, y, batch)
                strength, batch = np.abs(r[ok]), batch[ok]
                with np.errstate(divide="ignore"):
                    z = np.arctanh(strength) * scale[size]
                for q in span:
                    inside = (batch == middles[q]).any(axis=1)
                    for column, chosen in enumerate((inside, ~inside)):
                        separating[q, column] += int((strength[chosen] <= limit).sum())
                        smallest[q, column] = min(smallest[q, column], z[chosen].min(initial=np.inf))


def _batches(starts: np.ndarray, candidates: np.ndarray, x: int, y: int, size: int) -> Iterator[np.ndarray]:
    """Conditioning sets, int (b, size): subsets of x's candidates, then those only y's candidates give."""
    first = [c for c in candidates[starts[x] : starts[x + 1]] if c != y]
    second = [c for c in candidates[starts[y] : starts[y + 1]] if c != x]
    known = set(first)
    new = (s for s in itertools.combinations(second, size) if not known.issuperset(s))
    every = itertools.chain(itertools.combinations(first, size), new)
    while chunk := list(itertools.islice(every, _BATCH)):
        yield np.array(chunk, dtype=np.int64).reshape(len(chunk), size)


def _partial(corr: np.ndarray, x: int, y: int, sets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Partial correlation of x and y given each row of ``sets``, and which of them are defined.

    Cholesky factors of all sets at once, row by row; a, b are the factors' rows of x and y.
    """
    b, k = sets.shape
    factor, ends = np.zeros((b, k, k)), np.zeros((b, 2, k))
    ok = np.ones(b, dtype=bool)
    for m in range(k):
        s = sets[:, m]
        for t in range(m):
            within = (factor[:, m, :t] * factor[:, t, :t]).sum(axis=1)
            factor[:, m, t] = (corr[s, sets[:, t]] - within) / factor[:, t, t]
        rest = 1.0 - (factor[:, m, :m] ** 2).sum(axis=1)
        ok &= rest >= COLLINEAR
        factor[:, m, m] = np.sqrt(np.where(ok, rest, 1.0))
        for e, end in enumerate((x, y)):
            within = (factor[:, m, :m] * ends[:, e, :m]).sum(axis=1)
            ends[:, e, m] = (corr[s, end] - within) / factor[:, m, m]
    left = 1.0 - (ends**2).sum(axis=2)
    ok &= (left >= COLLINEAR).all(axis=1)
    shared = corr[x, y] - (ends[:, 0] * ends[:, 1]).sum(axis=1)
    r = shared / np.sqrt(np.where(ok, left.prod(axis=1), 1.0))
    return np.clip(np.where(ok, r, 0.0), -1.0, 1.0), ok
