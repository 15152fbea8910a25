"""Was the treatment assigned by chance? Its independence of what came before, also within strata or by clusters."""

from __future__ import annotations

import numpy as np

from whence.stats.features import codes_of
from whence.studies.evidence.balance import explained, log_dependence
from whence.studies.evidence.evidence import Evidence
from whence.studies.evidence.hints import ASSIGNED, CODE, TRAIT, hint, said_of
from whence.studies.evidence.sheet import MOST_LEVELS, Sheet

MOST = 4.0  # nats: balance is what chance gives, but other things can give it as well
MOST_WITHIN = 2.0  # within strata: adjusting for them is right as well
FEWEST_TRAITS = 3
FEWEST_CLUSTERS = 8
FEWEST_IN_STRATUM = 8
MOST_STRATA = 60


def chance(sheet: Sheet, moved: bool = False) -> tuple[Evidence, ...]:
    """Evidence for or against random assignment from the treatment's independence of the columns before it.

    moved: whether something else, such as an offer, is seen to move the treatment; then it was not itself drawn by lot,
    however balanced. Where the treatment is the same for all of a group, groups are what is compared. In a small table,
    balance says little; the Bayes factor knows.
    """
    names = earlier(sheet)
    if not names or sheet.n < 20:
        return ()
    cluster = _cluster(sheet)
    groups = None if cluster is None else codes_of(sheet.table.column(cluster), sheet.rows)
    names = tuple(n for n in names if n != cluster)
    against, r2, k = dependence(sheet, names, groups)
    seen = {"r2": r2, "columns": k}
    roles = {"cluster": (cluster,)} if cluster else {}
    by = f", compared by {cluster}" if cluster else ""
    if against <= 0:
        text = f"The treatment is independent of the {len(names)} columns before it{by}, as chance would make it."
        return () if moved else (Evidence("rct", min(-against, MOST), "data", text, roles, None, "", seen),)
    within = None if moved or cluster else _within(sheet, names)
    if within is not None:
        return (within,)
    text = f"The treatment goes with the columns before it (they explain {r2:.1%} of it{by}): not left to chance."
    # An offer, a cutoff or a policy leaves the treatment dependent as well: only chance is spoken against.
    return (Evidence("rct", -min(against, MOST), "data", text, {"controls": names, **roles}, None, "", seen),)


def earlier(sheet: Sheet) -> tuple[str, ...]:
    """The covariates that balance is judged by: the traits among them where there are some, or else all."""
    names = tuple(n for n in sheet.covariates if hint(said_of(n, sheet.described), ASSIGNED)[0] < 2.5)
    traits = tuple(n for n in names if hint(said_of(n, sheet.described), TRAIT)[0])
    return traits if len(traits) >= FEWEST_TRAITS else names


def dependence(
    sheet: Sheet, names: tuple[str, ...], groups: np.ndarray | None = None
) -> tuple[float, float, int]:
    """Log Bayes factor for dependence of the treatment on ``names``, R squared and columns used.

    groups: codes (n,); the treatment is then compared between their means. Of a treatment in words, its most dependent
    level, less the logarithm of their number.
    """
    matrix, _ = sheet.matrix(names)
    found = [_of_one(t, matrix, groups) for t in _targets(sheet)]
    best = max(found)
    return best[0] - float(np.log(len(found))), best[1], best[2]


def _targets(sheet: Sheet) -> list[np.ndarray]:
    if sheet.numbers(sheet.treatment or "") is not None:
        return [sheet.filled_treatment]
    return [(sheet.t == level).astype(float) for level in np.unique(sheet.t)[:MOST_LEVELS]]


def _of_one(t: np.ndarray, matrix: np.ndarray, groups: np.ndarray | None) -> tuple[float, float, int]:
    if groups is not None:
        index = np.unique(groups, return_inverse=True)[1].ravel()
        size = np.bincount(index)
        t = np.bincount(index, t) / size
        matrix = np.array([np.bincount(index, c) / size for c in matrix.T]).reshape(-1, len(size)).T
    matrix = matrix[:, : max(1, len(t) // 10)]
    r2, k = explained(t, matrix)
    return log_dependence(r2, len(t), k), r2, k


def _cluster(sheet: Sheet) -> str | None:
    """The column with the fewest values, of those that may name groups, within which the treatment does not change."""
    found = []
    for name in sheet.others_and_words:
        column = sheet.table.column(name)
        called = column.kind in ("text", "categorical") or (
            CODE.search(said_of(name, sheet.described)) and sheet.whole_numbers(name))
        if column.missing.any() or not called:
            continue
        codes = np.unique(codes_of(column, sheet.rows), return_inverse=True)[1].ravel()
        levels = int(codes.max()) + 1
        if not FEWEST_CLUSTERS <= levels <= sheet.n // 2:
            continue
        low, high = np.full(levels, np.inf), np.full(levels, -np.inf)
        np.minimum.at(low, codes, sheet.t)
        np.maximum.at(high, codes, sheet.t)
        if (low == high).all():
            found.append((levels, name))
    return min(found)[1] if found else None


def _within(sheet: Sheet, names: tuple[str, ...]) -> Evidence | None:
    """Evidence for an experiment in strata: within the levels of the column that the treatment depends on most, it is
    independent of at least two others."""
    if sheet.numbers(sheet.treatment or "") is None:
        return None
    best: tuple[float, str, np.ndarray] | None = None
    for name in names:
        codes = np.unique(codes_of(sheet.table.column(name), sheet.rows), return_inverse=True)[1].ravel()
        size = np.bincount(codes)
        if not 2 <= len(size) <= MOST_STRATA or size.min() < FEWEST_IN_STRATUM:
            continue
        means = np.bincount(codes, sheet.filled_treatment) / size
        gain = log_dependence(float(means[codes].var() / sheet.filled_treatment.var()), sheet.n, len(size) - 1)
        if best is None or gain > best[0]:
            best = gain, name, codes
    rest = () if best is None else tuple(n for n in names if n != best[1])
    if best is None or best[0] <= 0 or len(rest) < 2:
        return None
    codes, size = best[2], np.bincount(best[2])
    matrix, _ = sheet.matrix(rest)
    matrix, t = (v - (np.stack([np.bincount(codes, c) for c in v.T]) / size).T[codes]
                 for v in (matrix, sheet.filled_treatment[:, None]))
    r2, k = explained(t[:, 0], matrix[:, : max(1, sheet.n // 10)])
    strength = -log_dependence(r2, sheet.n - len(size) + 1, k)
    if strength <= 0:
        return None
    text = f"Within {best[1]}, the treatment is independent of the columns before it, as chance would make it."
    return Evidence("rct", min(strength, MOST_WITHIN), "data", text, {"strata": (best[1],)}, None, "", {"r2": r2})
