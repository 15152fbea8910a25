"""Causes chosen among what comes earlier, each comparison on all rows that can make it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Remark
from whence.discovery.columns import Columns
from whence.discovery.learned import EdgeScore, EdgeScores, Learned, class_under, constraints
from whence.graphs.graph import ARROW, TAIL
from whence.graphs.knowledge import Knowledge
from whence.stats.family_moments import FamilyMoments

LARGEST_TIER = 8
_LEFT = 1e-10  # a share of variance below this is rounding error

CARD = Card(
    name="ordered_selection",
    task="discovery",
    title="Selection of causes along a known order",
    summary="For columns that come in stages, such as the steps of a factory line, where whole groups of columns are "
    "missing by design: each column's causes are chosen step by step among earlier ones, every comparison on all rows "
    "that have the columns it needs.",
    data_kinds=("continuous", "count"),
    assumptions=(
        "The order of the tiers is right: nothing causes a column of an earlier tier.",
        "No unmeasured variable causes two measured ones.",
        "Each variable is a linear function of its causes plus noise.",
        "Which columns a row has does not depend on their values.",
    ),
    parameters=(
        Parameter("penalty", "float", 2.0, "a cause has to add at least penalty log(n) to twice the log-likelihood of "
                  "the n rows that have it; 1 is BIC", low=0.0),
        Parameter("fewest_rows", "int", 40, "comparisons on fewer rows are not made", low=10),
        Parameter("stability", "int", 0, "bootstrap samples that show how often each edge is found; 0 for none",
                  low=0, high=100_000),
    ),
    output="MPDAG",
    cost="d^2 comparisons per cause found, each linear in the patterns of missing values; within a tier of t columns "
    "2^t times as many",
    citations=(
        "Schwarz, G. (1978). Estimating the dimension of a model. Annals of Statistics 6:461-464.",
        "Silander, T. and Myllymäki, P. (2006). A simple approach for finding the globally optimal Bayesian network "
        "structure. Uncertainty in Artificial Intelligence 22:445-452.",
    ),
    function="whence.discovery.ordered_selection:ordered_selection",
)


def ordered_selection(asked: Columns, knowledge: Knowledge | None, parameters: Mapping[str, Any], seed: int,
                      progress: Progress = SILENT) -> Learned:
    """Learns an MPDAG that agrees with the tiers of ``knowledge``.

    A cause z joins the causes P of y when n log(RSS(P) / RSS(P, z)) > penalty log(n) on the n rows that have y, P and
    z; the best first, and after each the ones that no longer pay are taken away. Both sums of squares are of the same
    rows: covariances taken pair by pair would mix populations. Within a tier, or among all columns where there are no
    tiers, the best order is searched exactly, as the sum over its columns of what their causes add (Silander and
    Myllymäki 2006); these sums are of different rows where columns of one tier are missing separately.

    Raises ``WhenceError`` (``order_needed``) when only some columns are in tiers, or more than 8 in the same.
    """
    names = asked.names
    tiers = _tiers(names, knowledge)
    may, required = constraints(names, knowledge)
    moments = FamilyMoments.of(asked.table.matrix(names))
    select = _Selection(moments, may, required, parameters["penalty"], parameters["fewest_rows"])
    parents: dict[int, _Chosen] = {}
    earlier: list[int] = []
    progress.begin("choosing causes", len(names))
    try:
        for tier in tiers:
            parents |= _best_within(tier, earlier, select)
            earlier += tier
            progress.step(len(tier))
    finally:
        progress.end()
    return _learned(names, parents, required, may, knowledge, select)


def _tiers(names: tuple[str, ...], knowledge: Knowledge | None) -> list[list[int]]:
    """Nodes in groups by time."""
    groups = [[i for i, n in enumerate(names) if n in tier] for tier in map(set, knowledge.tiers)] if knowledge else []
    groups = [g for g in groups if g]
    placed = {i for g in groups for i in g}
    free = [i for i in range(len(names)) if i not in placed]
    if free and groups:
        left = ", ".join(names[i] for i in free[:5]) + ("..." if len(free) > 5 else "")
        raise WhenceError(f"Every column needs a place in the order; these have none: {left}.", code="order_needed",
                          value=[names[i] for i in free], hint="Put them in a tier, or leave them out.")
    groups = groups or [free]
    largest = max(groups, key=len)
    if len(largest) > LARGEST_TIER:
        raise WhenceError(
            f"{len(largest)} columns stand in no order among themselves; this method orders at most {LARGEST_TIER}.",
            code="order_needed", value=[names[i] for i in largest], allowed=f"tiers of at most {LARGEST_TIER} columns",
            hint="Say which columns come first, as in Knowledge(tiers=[['a', 'b'], ['c']]), or use method='boss'.",
        )
    return groups


@dataclass(frozen=True)
class _Chosen:
    """The causes of a column, and what they add to twice the log-likelihood beyond their price."""

    parents: tuple[int, ...]
    gain: float


@dataclass(frozen=True, eq=False)
class _Selection:
    moments: FamilyMoments
    may: np.ndarray
    required: np.ndarray
    penalty: float
    fewest_rows: int

    def additions(self, y: int, parents: Sequence[int], others: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """What each of the others adds to twice the log-likelihood of y given the parents, less its price, and on how
        many rows. Minus infinity where rows are too few, or it or y is determined by the parents."""
        k = len(parents)
        cov, n = self.moments.covariances((*parents, y), others)
        order = [*range(k), k + 1, k]  # parents, the new one, y
        factor, ok = _factors(cov[:, order][:, :, order])
        ok &= n >= max(self.fewest_rows, k + 5)
        after, new = np.where(ok, factor[:, k + 1, k + 1], 1.0), np.where(ok, factor[:, k + 1, k], 0.0)
        gain = n * np.log1p((new / after) ** 2) - self.penalty * np.log(np.maximum(n, 1))
        return np.where(ok, gain, -np.inf), n

    def added(self, y: int, parents: Sequence[int], z: int) -> tuple[float, int]:
        """The same for one."""
        gain, n = self.additions(y, parents, (z,))
        return float(gain[0]), int(n[0])

    def determined(self, y: int, parents: Sequence[int]) -> tuple[list[int], list[int]]:
        """The other candidates that the parents determine exactly, and those that with the parents determine y."""
        others = [z for z in np.flatnonzero(self.may[:, y]).tolist() if z not in parents]
        if not others:
            return [], []
        k = len(parents)
        cov, n = self.moments.covariances((*parents, y), others)
        order = [*range(k), k + 1, k]  # parents, the new one, y
        cov = cov[:, order][:, :, order]
        enough = n >= max(self.fewest_rows, k + 5)
        free = _factors(cov[:, : k + 1, : k + 1])[1]
        whole = _factors(cov)[1]
        varies = cov.diagonal(axis1=1, axis2=2)[:, k] > 1e-24
        return ([z for z, bad in zip(others, enough & ~free & varies, strict=True) if bad],
                [z for z, bad in zip(others, enough & free & ~whole, strict=True) if bad])

    def causes(self, y: int, candidates: Sequence[int]) -> _Chosen:
        """Forward selection with a look back after every step."""
        allowed = [z for z in candidates if self.may[z, y]]
        held = [z for z in allowed if self.required[z, y]]
        chosen, total = list(held), sum(max(self.added(y, held[:k], z)[0], -1e6) for k, z in enumerate(held))
        while len(chosen) < len(allowed):
            others = [z for z in allowed if z not in chosen]
            gains, _ = self.additions(y, chosen, others)
            best = int(gains.argmax())
            if gains[best] <= 0:
                break
            chosen.append(others[best])
            total += float(gains[best])
            total += self._look_back(y, chosen, held)
        return _Chosen(tuple(sorted(chosen)), total)

    def _look_back(self, y: int, chosen: list[int], held: Sequence[int]) -> float:
        """Takes away, in place, the causes that no longer pay; what this adds."""
        gained = 0.0
        while len(chosen) > 1:
            worth = [(self.added(y, [p for p in chosen if p != z], z)[0], z) for z in chosen[:-1] if z not in held]
            worst, z = min(worth, default=(0.0, -1))
            if worst >= 0 or not math.isfinite(worst):
                break
            chosen.remove(z)
            gained -= worst
        return gained


def _factors(cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cholesky factors of the correlations of (m, k, k) covariances, and which of them are regular."""
    scale = np.sqrt(np.maximum(cov.diagonal(axis1=1, axis2=2), 0.0))
    ok = np.asarray((scale > 1e-12).all(axis=1))
    scale = np.where(scale > 1e-12, scale, 1.0)
    corr = cov / (scale[:, :, None] * scale[:, None, :])
    factor = np.zeros_like(corr)
    for i in range(corr.shape[1]):
        for j in range(i):
            factor[:, i, j] = (corr[:, i, j] - (factor[:, i, :j] * factor[:, j, :j]).sum(axis=1)) / factor[:, j, j]
        rest = corr[:, i, i] - (factor[:, i, :i] ** 2).sum(axis=1)
        ok = np.logical_and(ok, rest >= _LEFT)
        factor[:, i, i] = np.sqrt(np.where(rest >= _LEFT, rest, 1.0))
    return factor, ok


def _best_within(tier: list[int], earlier: list[int], select: _Selection) -> dict[int, _Chosen]:
    """The causes of the columns of one tier, from the order within it that explains most: over its subsets, the best
    last column of each."""
    best: dict[frozenset[int], tuple[float, dict[int, _Chosen]]] = {frozenset(): (0.0, {})}
    for size in range(1, len(tier) + 1):
        for some in itertools.combinations(tier, size):
            options = []
            for last in some:
                before = frozenset(some) - {last}
                if any(select.required[last, v] for v in before) or before not in best:
                    continue
                total, chosen = best[before]
                own = select.causes(last, earlier + sorted(before))
                options.append((total + own.gain, last, {**chosen, last: own}))
            if options:
                gain, _, chosen = max(options, key=lambda o: (round(o[0], 6), -o[1]))
                best[frozenset(some)] = gain, chosen
    return best[frozenset(tier)][1]


def _learned(names: tuple[str, ...], parents: Mapping[int, _Chosen], required: np.ndarray, may: np.ndarray,
             knowledge: Knowledge | None, select: _Selection) -> Learned:
    d = len(names)
    marks = np.zeros((d, d), dtype=np.int8)
    rows: list[EdgeScore] = []
    used: list[int] = []
    for y, chosen in sorted(parents.items()):
        for z in chosen.parents:
            marks[z, y], marks[y, z] = ARROW, TAIL
            worth, n = select.added(y, [p for p in chosen.parents if p != z], z)
            used.append(n)
            a, b = sorted((names[z], names[y]))
            by = "knowledge" if required[z, y] else "score"
            rows.append(EdgeScore(a, b, (names[z], names[y]), worth if math.isfinite(worth) else None, by))
    rows.sort(key=lambda row: (row.a, row.b))
    graph = class_under(names, marks, may, knowledge)
    details = {"rows_per_family": [min(used), max(used)] if used else []}
    remarks = (*_remarks(names, used, may, select), *_determined(names, parents, select))
    return Learned(graph, EdgeScores(tuple(rows)), (), remarks,
                   sum(c.gain for c in parents.values()), details)


def _determined(names: tuple[str, ...], parents: Mapping[int, _Chosen], select: _Selection) -> list[Remark]:
    """Causes that exact relations between columns hide from the comparison."""
    by_causes, with_causes = [], []
    for y, chosen in sorted(parents.items()):
        earlier, exact = select.determined(y, chosen.parents)
        by_causes += [[names[z], names[y], *(names[p] for p in chosen.parents)] for z in earlier]
        with_causes += [[names[z], names[y], *(names[p] for p in chosen.parents)] for z in exact]
    out = []
    for code, found, text in (
        ("determined_cause", by_causes, "{z} is determined exactly by the causes found for {y} ({causes}); the data "
         "cannot say whether {z} is one of them, or stands in the place of one."),
        ("exact_relation", with_causes, "{causes}{z} determine{s} {y} exactly, without noise; whether {z} is a cause "
         "of {y} was not asked, since nothing is left to compare."),
    ):
        if found:
            z, y, *causes = found[0]
            told = ", ".join(causes)
            with_z = f"{told} and " if causes and code == "exact_relation" else told
            first = text.format(z=z, y=y, causes=with_z, s="" if causes else "s")
            more = f" So it is for {len(found) - 1} more." if len(found) > 1 else ""
            about = tuple(sorted({n for row in found for n in row}))
            out.append(Remark(code, first + more, about, {"cases": found[:50]}))
    return out


def _remarks(names: tuple[str, ...], used: list[int], may: np.ndarray, select: _Selection) -> list[Remark]:
    """On how many rows the edges rest, and which pairs could not be compared."""
    out = []
    total = int(select.moments.count.sum())
    if used and min(used) < total:
        text = (f"Each edge rests on the rows that have all causes of its column: {min(used):,} to {max(used):,} of "
                f"{total:,}.")
        out.append(Remark("rows_per_family", text, (), {"fewest": min(used), "most": max(used)}))
    seen = select.moments.patterns.astype(np.float64)
    together = (seen * select.moments.count[:, None]).T @ seen
    never = np.argwhere(np.triu((together < select.fewest_rows) & (may | may.T), 1))
    if len(never):
        pairs = [[names[i], names[j]] for i, j in never.tolist()]
        text = (f"{len(pairs):,} pairs, such as {pairs[0][0]} and {pairs[0][1]}, are seen together in fewer than "
                f"{select.fewest_rows} rows; whether one causes the other was not asked.")
        about = tuple(sorted({n for pair in pairs for n in pair}))
        out.append(Remark("never_together", text, about, {"pairs": pairs[:50]}))
    return out
