"""Randomisation inference: how the estimate would have come out had the lot fallen otherwise."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.core.rng import generator
from whence.estimation.inference import Answer, covariance_of
from whence.estimation.ipw import continuous_refusal
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.stratified import between_factors, within_strata
from whence.estimation.within import Adjusted, Blocks, complete_blocks
from whence.stats.assignment import Draws, every_assignment, observed_sums, random_assignments

TIE = 1e-9  # relative; statistics closer than this are the same up to rounding
GRID = 32  # effects looked at on either side of the estimate before the end of the interval is narrowed down
REACH = 4.0  # standard errors on either side that the grid covers first
FARTHEST = 1e6  # standard errors; an interval that goes further has no end
HALVINGS = 25
AT_ONCE = 1_000_000  # assignments times effects worked on at once

CARD = Card(
    name="randomisation",
    task="estimation",
    title="Randomisation inference",
    summary="The estimate against those of other ways the lot could have fallen, in strata and clusters as drawn.",
    data_kinds=("continuous", "count", "binary", "ordinal"),
    assumptions=(
        "Who was treated was decided by a lot that gave every choice of as many rows (or clusters), within strata, the "
        "same chance.",
    ),
    parameters=(
        Parameter("draws", "int", 2000, "Random assignments to compare with.", 99, 1_000_000),
        Parameter("exact_up_to", "int", 20_000, "When there are no more assignments than this, all of them are used.",
                  0, 1_000_000),
        Parameter("studentised", "bool", True, "Whether estimates are divided by their standard errors, which keeps "
                  "the test of no average effect valid (in large samples) when effects differ between rows."),
        LEVEL,
    ),
    output="Effect",
    cost="draws x rows.",
    citations=(
        "Fisher (1935), The design of experiments, chapter 2",
        "Chung and Romano (2013), Exact and asymptotically robust permutation tests, Annals of Statistics 41",
        "Wu and Ding (2021), Randomization tests for weak null hypotheses in randomized experiments, JASA 116",
        "Phipson and Smyth (2010), Permutation p-values should never be zero, Statistical Applications in Genetics and "
        "Molecular Biology 9",
    ),
    function="whence.estimation.randomisation:randomisation",
    strategies=("rct",),
    quantities=("ATE",),
)


@dataclass(frozen=True)
class _Units:
    """What was drawn: rows or clusters. draws: the rule. columns: (u, 3), sums over the unit's rows of 1, the outcome
    and the treatment as it came out, the last two less their stratum's mean per row."""

    draws: Draws
    columns: np.ndarray


@dataclass(frozen=True)
class Statistics:
    """Of each assignment (a,): the estimate with the outcome, and with the treatment as it came out in its place; the
    variance of the first, of the second, and their covariance. With effect b taken off, the estimate is
    effect - b * slope and its variance var - 2 b cov + b^2 var_slope."""

    effect: np.ndarray
    slope: np.ndarray
    var: np.ndarray
    cov: np.ndarray
    var_slope: np.ndarray

    def squared(self, b: np.ndarray) -> np.ndarray:
        """Squared t-values (a, g) of no effect beyond ``b`` (g,)."""
        top = (self.effect[:, None] - b * self.slope[:, None]) ** 2
        below = self.var[:, None] - 2 * b * self.cov[:, None] + b**2 * self.var_slope[:, None]
        flat = below <= TIE**2 * np.maximum(top, 1e-300)
        return np.where(flat, np.where(top > 0, np.inf, 0.0), top / np.where(flat, 1.0, below))


def randomisation(
    data: Prepared, *, draws: int = 2000, exact_up_to: int = 20_000, studentised: bool = True, level: float = 0.95,
    seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Fisher's test of no effect on anyone, and the interval of constant effects that it does not reject.

    The assignments: every choice, within each stratum of ``spec.strata``, of as many treated rows as there were; with
    a cluster column, of as many clusters. All of them when there are few, otherwise random ones, with the p-value
    (1 + beyond) / (1 + draws). The statistic is the difference in means, weighted over strata, over its standard error
    (Neyman's, as in ``stratified``). For an effect b the treated rows' outcomes less b take the outcomes' place; as
    estimate and variance are polynomials in b, one pass over the draws serves every b. The interval's ends are the
    outermost b with a p-value above 1 - level. The standard error reported is Neyman's. Controls have no part in it.

    Refused: ``continuous_treatment``, ``weights_unused``, ``assignment_unclear``, ``too_few_assignments`` (the
    interval has no end), those of ``stratified``.
    """
    if not data.treatment.discrete:
        return continuous_refusal(data, "randomisation")
    if data.weights is not None:
        return Refused("weights_unused", "A draw by lot gives every row the same part, so weights have no place here.",
                       {"column": data.spec.weights}, "Leave the weights out, or use method='stratified'.")
    remarks = []
    if len(data.treatment.arms) > 2:
        data, said = _two_arms(data)
        remarks.append(said)
    if data.spec.controls:
        remarks.append(Remark("controls_unused", "The groups are compared as they were drawn; the controls have no "
                              "part in it.", data.spec.controls))
    found = complete_blocks(data)
    if isinstance(found, Refused):
        return found
    units = _units(found)
    if isinstance(units, Refused):
        return units
    answer = within_strata(found, Adjusted(found.data.outcome))
    if isinstance(answer, Refused):
        return answer
    weights = np.bincount(found.strata) / found.data.n
    exact = units.draws.log_count() <= math.log(max(exact_up_to, 0.5)) + TIE
    observed, drawn = _drawn(units, weights, studentised, draws, exact, seed, progress)
    error = float(np.sqrt(covariance_of(answer)[0, 0]))
    interval = _interval(observed, drawn, error, 1 - level + TIE, exact)
    count = units.draws.count() if exact else None
    if interval is None:
        return Refused(
            "too_few_assignments", f"The lot could have fallen in only {count if exact else draws:,} ways, too few to "
            f"rule out any effect at {level:.0%}.", {"assignments": count, "draws": draws, "level": level},
            "Ask for a lower level, or use a method that relies on more than the draw.")
    p_value = float(_p_values(observed, drawn, np.zeros(1), exact)[0])
    return dataclasses.replace(
        answer, interval=interval, p_value=p_value, remarks=(*answer.remarks, *remarks, _told(found, draws, count)),
        diagnostics=dict(answer.diagnostics) | {
            "assignments": count, "exact": exact, "draws": None if exact else draws, "studentised": studentised,
            "units": len(units.draws.strata),
            "monte_carlo_error": 0.0 if exact else math.sqrt(p_value * (1 - p_value) / draws),
        },
    )


def _two_arms(data: Prepared) -> tuple[Prepared, Remark]:
    t = data.treatment
    data = data.take(t.codes < 2)
    arms = dataclasses.replace(data.treatment, arms=t.arms[:2])
    return dataclasses.replace(data, treatment=arms), Remark(
        "arms_set_aside", f"Only {t.arms[1]} and {t.arms[0]} are compared; the lot is redrawn between these two.",
        (t.name,), {"arms": list(t.arms[2:]), "used": data.n})


def _units(found: Blocks) -> _Units | Refused:
    """Rows, or clusters when there are any: each must lie in one stratum and one arm."""
    data = found.data
    treated = (data.treatment.codes == 1).astype(float)
    size = np.bincount(found.strata)
    rows = np.column_stack([np.ones(data.n), *(
        v - (np.bincount(found.strata, v) / size)[found.strata] for v in (data.outcome, treated))])
    if data.clusters is None:
        return _Units(Draws(found.strata, treated > 0), rows)
    _, first, group = np.unique(data.clusters, return_index=True, return_inverse=True)
    group = group.ravel()
    if (found.strata != found.strata[first][group]).any() or (treated != treated[first][group]).any():
        return Refused(
            "assignment_unclear", f"Some clusters of {data.spec.cluster!r} lie in both arms or in several strata, so "
            "the lot was not drawn by cluster.", {"cluster": data.spec.cluster},
            "Name as cluster the column whose values were drawn as one, or as strata those within which rows were.")
    columns = np.column_stack([np.bincount(group, c) for c in rows.T])
    return _Units(Draws(found.strata[first], treated[first] > 0), columns)


def _drawn(
    units: _Units, weights: np.ndarray, studentised: bool, draws: int, exact: bool, seed: int, progress: Progress
) -> tuple[Statistics, Statistics]:
    """The statistics of the assignment that came out (1,), and of all or random ones."""
    n, y, z = units.columns.T
    products = np.column_stack([n, y, z, n * n, n * y, n * z, y * y, y * z, z * z])
    totals = np.column_stack([np.bincount(units.draws.strata, c) for c in products.T])
    rule = units.draws
    alone = not ((rule.chosen > 1) & (rule.sizes - rule.chosen > 1)).any()  # single units everywhere need no squares
    single = np.ptp(n) == 0  # rows: sums of n are counts, those of its products are the others
    kept = np.array([1, 2] if alone else [1, 2, 6, 7, 8] if single else range(9))
    kept = kept if single else np.union1d(0, kept)

    def statistics(sums: np.ndarray) -> Statistics:
        parts: list[np.ndarray | None] = [None] * 9
        for place, column in enumerate(kept.tolist()):
            parts[column] = sums[:, :, place]
        if single:
            counts = np.broadcast_to(rule.chosen.astype(float), sums.shape[:2])
            parts = [counts, *parts[1:3], counts, *parts[1:3], *parts[6:]]
        return _statistics(parts, totals, rule, weights, studentised)

    observed = statistics(observed_sums(rule, products[:, kept]))
    if exact:
        return observed, statistics(every_assignment(rule, products[:, kept]))
    progress.begin("drawing lots", draws)
    try:
        drawn = [statistics(sums) for sums in
                 random_assignments(rule, products[:, kept], draws, generator(seed, "randomisation"), progress)]
    finally:
        progress.end()
    fields = [f.name for f in dataclasses.fields(Statistics)]
    return observed, Statistics(**{f: np.concatenate([getattr(p, f) for p in drawn]) for f in fields})


def _statistics(
    treated: Sequence[Any], totals: np.ndarray, draws: Draws, weights: np.ndarray, studentised: bool
) -> Statistics:
    """From sums over the treated of n, y, z, nn, ny, nz, yy, yz, zz, (a, s) each, and those over all (s, 9). Products
    may be None where every stratum has an arm of a single unit."""
    chosen, left = draws.chosen, draws.sizes - draws.chosen
    n1, n0 = treated[0], totals[:, 0] - treated[0]
    gap_y, gap_z = (treated[c] / n1 - (totals[:, c] - treated[c]) / n0 for c in (1, 2))
    effect, slope = gap_y @ weights, gap_z @ weights
    plain = Statistics(effect, slope, np.ones(len(effect)), np.zeros(len(effect)), np.zeros(len(effect)))
    if not studentised:
        return plain
    small = (chosen < 2) | (left < 2)
    var, cov, var_slope = (np.zeros(len(effect)) for _ in range(3))
    if small.any():
        factors = between_factors(weights[small])
        if factors is None:  # no variance to be had: the plain estimate is as exact a test, if not as robust
            return plain
        share = weights[small] / weights[small].sum()
        a, b = (factors * (g - (g @ share)[:, None]) for g in (gap_y[:, small], gap_z[:, small]))
        var, cov, var_slope = (np.einsum("as,as->a", *pair) for pair in ((a, a), (a, b), (b, b)))
    for side, units in ((1, chosen), (0, left)):
        if small.all():
            break
        at = slice(None) if not small.any() else ~small
        n, y, z, nn, ny, nz, yy, yz, zz = (
            c[:, at] if side else totals[at, j] - c[:, at] for j, c in enumerate(treated))
        u = units[at]
        factor = weights[at] ** 2 * u / (u - 1) / n**2
        m, k = y / n, z / n
        var = var + (factor * (yy - m * (2 * ny - m * nn))).sum(axis=1)
        cov = cov + (factor * (yz - m * nz - k * (ny - m * nn))).sum(axis=1)
        var_slope = var_slope + (factor * (zz - k * (2 * nz - k * nn))).sum(axis=1)
    return Statistics(effect, slope, np.maximum(var, 0.0), cov, np.maximum(var_slope, 0.0))


def _p_values(observed: Statistics, drawn: Statistics, effects: np.ndarray, exact: bool) -> np.ndarray:
    """p-value (g,) of each effect."""
    step = max(1, AT_ONCE // len(drawn.effect))
    beyond = np.concatenate([
        (drawn.squared(part) >= observed.squared(part) * (1 - TIE)).sum(axis=0)
        for part in (effects[g : g + step] for g in range(0, len(effects), step))])
    return beyond / len(drawn.effect) if exact else (1 + beyond) / (1 + len(drawn.effect))


def _interval(
    observed: Statistics, drawn: Statistics, error: float, alpha: float, exact: bool
) -> tuple[float, float] | None:
    """The outermost effects with a p-value above ``alpha``; None when one side has no end."""
    estimate = float(observed.effect[0])
    if error == 0:
        return estimate, estimate
    ends = []
    for sign in (-1, 1):
        reach = REACH * error
        while True:
            grid = estimate + sign * reach * np.arange(1, GRID + 1) / GRID
            inside = np.flatnonzero(_p_values(observed, drawn, grid, exact) > alpha)
            if not len(inside) or inside[-1] < GRID - 1:
                break
            reach *= 10
            if reach > FARTHEST * error:
                return None
        last = inside[-1] if len(inside) else -1
        near, far = (grid[last] if last >= 0 else estimate), grid[last + 1]
        for _ in range(HALVINGS):
            middle = (near + far) / 2
            held = _p_values(observed, drawn, np.array([middle]), exact)[0] > alpha
            near, far = (middle, far) if held else (near, middle)
        ends.append(float(near))
    return ends[0], ends[1]


def _told(found: Blocks, draws: int, count: int | None) -> Remark:
    units = "rows" if found.data.clusters is None else f"clusters of {found.data.spec.cluster}"
    where = f" within {len(found.names):,} strata" if len(found.names) > 1 else ""
    how = f"all {count:,} ways" if count is not None else f"{draws:,} random ways"
    return Remark(
        "randomisation", f"The p-value compares the estimate with {how} in which the lot could have fallen, by "
        f"{units}{where}; the interval holds the effects, the same for everyone, that this test does not reject.",
        (found.data.treatment.name,), {"assignments": count, "draws": draws})
