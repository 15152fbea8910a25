"""NumPy references of the native kernels. They stay for ever: fallback and oracle."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

COLLINEAR = 1e-10  # a share of variance below this is rounding error
NO_TEST = 2.0  # no correlation is this large
MISSING = 65535  # the code of a missing category
MOST_CELLS = 1 << 26  # a table of more cells is not tested
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


def discrete_level(
    codes: np.ndarray, weight: np.ndarray, levels: np.ndarray, likelihood: bool, starts: np.ndarray,
    candidates: np.ndarray, pairs: np.ndarray, size: int, alpha: float, threads: int, removed: np.ndarray,
    numbers: np.ndarray, rows: np.ndarray, sets: np.ndarray, tests: np.ndarray,
) -> None:
    """One level of PC-stable on categories: the sets and their order are those of ``gaussian_level``, and a pair
    is separated by the first p-value above alpha.

    codes: uint16 (d, n), 65535 for missing. weight: int32 (n,), how many rows of data each row stands for.
    levels: int64 (d,), codes of variable j are below ``levels[j]``. likelihood: G2, else Pearson's chi-square.
    Out: removed uint8 (m,); of the largest p-value, numbers float64 (m, 3), p-value, statistic and degrees of
    freedom, rows int64 (m,) of data counted, sets int32 (m, size), all unchanged when no test was possible;
    tests int64 (m, 2), zeros before: how many were made and how many were impossible.
    """
    data = codes, weight, levels, likelihood
    for p, (x, y) in enumerate(pairs):
        best = -1.0
        for given in (s for batch in _batches(starts, candidates, x, y, size) for s in batch):
            found, n = _stratified(data, x, y, given)
            tests[p, 0 if found else 1] += 1
            if found and found[0] > best:
                best = found[0]
                numbers[p], rows[p], sets[p] = found, n, given
                if best > alpha:
                    removed[p] = 1
                    break


def discrete_triples(
    codes: np.ndarray, weight: np.ndarray, levels: np.ndarray, likelihood: bool, starts: np.ndarray,
    candidates: np.ndarray, pairs: np.ndarray, middle_starts: np.ndarray, middles: np.ndarray, largest: int,
    alpha: float, threads: int, separating: np.ndarray, p_value: np.ndarray,
) -> None:
    """For each pair and each of its middle nodes, as in ``gaussian_triples``, over all sets of at most
    ``largest`` candidates: separating int64 (t, 2), zeros before, how many sets separate with and without the
    middle node; p_value float64 (t, 2), NaN before, the largest p-value with and without it."""
    data = codes, weight, levels, likelihood
    for p, (x, y) in enumerate(pairs):
        for size in range(largest + 1):
            for given in (s for batch in _batches(starts, candidates, x, y, size) for s in batch):
                found, _ = _stratified(data, x, y, given)
                if not found:
                    continue
                for q in range(middle_starts[p], middle_starts[p + 1]):
                    without = int(middles[q] not in given)
                    separating[q, without] += found[0] > alpha
                    p_value[q, without] = np.fmax(p_value[q, without], found[0])


def _stratified(
    data: tuple[np.ndarray, np.ndarray, np.ndarray, bool], x: int, y: int, given: np.ndarray
) -> tuple[tuple[float, float, float] | None, int]:
    """(p-value, statistic, df) of x and y within strata of ``given``, None when there is nothing to test, and
    rows. See ``whence.stats.citest.chi2.chi2`` for the strata that speak and their degrees of freedom."""
    from scipy.special import chdtrc

    codes, weight, levels, likelihood = data
    chosen = codes[[x, y, *given]]
    whole = (chosen != MISSING).all(axis=0)
    n = int(weight[whole].sum())
    shape = int(levels[x]), int(levels[y])
    if not n or shape[0] * shape[1] >= MOST_CELLS:
        return None, n
    stratum = np.zeros(int(whole.sum()), dtype=np.int64)
    for row in chosen[2:, whole]:
        stratum = np.unique(stratum * MISSING + row, return_inverse=True)[1]
    strata = int(stratum.max()) + 1
    if strata * shape[0] * shape[1] >= MOST_CELLS:
        return None, n
    cell = (stratum * shape[0] + chosen[0, whole]) * shape[1] + chosen[1, whole]
    table = np.bincount(cell, weight[whole], strata * shape[0] * shape[1]).reshape(strata, *shape)
    by_row, by_column = table.sum(axis=2), table.sum(axis=1)
    speaks = (by_row > 1).any(axis=1) & (by_column > 1).any(axis=1)
    table, by_row, by_column = table[speaks], by_row[speaks], by_column[speaks]
    df = int((((by_row > 0).sum(axis=1) - 1) * ((by_column > 0).sum(axis=1) - 1)).sum())
    if not df:
        return None, n
    if likelihood:
        value = _likelihood_ratio(table, by_row, by_column)
    else:
        product = by_row[:, :, None] * by_column[:, None, :]
        shares = np.divide(table**2, product, out=np.zeros_like(table), where=product > 0).sum(axis=(1, 2))
        value = ((by_row.sum(axis=1) - 1) * (shares - 1)).sum()
    value = max(float(value), 0.0)
    return (float(chdtrc(df, value)), value, float(df)), n


MOST_FACTOR = 1.5


def _likelihood_ratio(table: np.ndarray, by_row: np.ndarray, by_column: np.ndarray) -> float:
    """The sum over strata of G2, each divided by Williams' factor, at most ``MOST_FACTOR``."""
    from scipy.special import xlogy

    value = 0.0
    for counts, rows, columns in zip(table, by_row, by_column, strict=True):
        rows, columns, n = rows[rows > 0], columns[columns > 0], rows.sum()
        df = (len(rows) - 1) * (len(columns) - 1)
        if df:
            ratio = xlogy(counts, counts).sum() - xlogy(rows, rows).sum() - xlogy(columns, columns).sum() + xlogy(n, n)
            williams = 1 + ((n / rows).sum() - 1) * ((n / columns).sum() - 1) / (6 * n * df)
            value += 2 * ratio / min(williams, MOST_FACTOR)
    return value


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
