"""Strata and the cells they form with the arms of an experiment: means, variances, and adjustment within strata."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from whence.core.result import Refused, Remark
from whence.estimation.prepare import Prepared
from whence.estimation.treatment import Treatment
from whence.stats.features import level_codes
from whence.stats.regress import ols

UNITS_PER_COLUMN = 3  # spare rows (or clusters) per control column that a slope of its own needs
NAMED = 5  # strata named in a remark


@dataclass(frozen=True)
class Cells:
    """Strata (s) by arms (a).

    units: int (s, a), rows or clusters. mass: (s, a), sums of weights. means: (s, a), 0 where empty. variances: (s, a)
    of the means, 0 with fewer than two units. parts: (n,), each row's part of its cell's deviation, factors included,
    whose squares (of cluster sums, with clusters) add up to the variance.
    """

    units: np.ndarray
    mass: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    parts: np.ndarray


@dataclass(frozen=True)
class Adjusted:
    """outcome: (n,), less what the controls explain. factor: on standard errors, for the slopes fitted. spare: degrees
    of freedom left, None without controls. slopes: ``"none"``, ``"by arm"`` or ``"common"``."""

    outcome: np.ndarray
    factor: float = 1.0
    spare: int | None = None
    slopes: str = "none"
    labels: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class Blocks:
    """The rows of strata in which arms can be compared, and each row's stratum (int (n,), 0 .. names - 1)."""

    data: Prepared
    strata: np.ndarray
    names: tuple[str, ...]
    remarks: tuple[Remark, ...] = ()
    evidence: Mapping[str, int] = field(default_factory=dict)


def blocks(data: Prepared) -> Blocks:
    """Every row's stratum: the combination of its values of ``spec.strata``; one stratum when there are none."""
    columns = sorted(data.spec.strata)
    if not columns:
        return Blocks(data, np.zeros(data.n, dtype=np.int64), ("all rows",))
    parts = [level_codes(data.table.column(name), data.rows) for name in columns]
    found, strata = np.unique(np.column_stack([codes for codes, _ in parts]), axis=0, return_inverse=True)
    names = tuple(
        ", ".join(f"{name} = {labels[code]}" for name, (_, labels), code in zip(columns, parts, row, strict=True))
        for row in found
    )
    return Blocks(data, strata.ravel(), names)


def complete_blocks(data: Prepared) -> Blocks | Refused:
    """The strata that hold both arms of some comparison; the rest are set aside, with a remark.

    Refused: ``no_complete_stratum`` when none holds both arms of the comparison asked for.
    """
    whole = blocks(data)
    t, remarks = data.treatment, []
    there = np.zeros((len(whole.names), len(t.arms)), dtype=bool)
    there[whole.strata, t.codes] = True
    both = there[:, 1:] & there[:, [0]]
    if not both[:, 0].any():
        return Refused(
            "no_complete_stratum", f"No stratum has rows with both {t.name} = {t.arms[1]} and {t.name} = {t.arms[0]}, "
            "so nobody can be compared within a stratum.", {"strata": len(whole.names), "rows": data.n},
            "Use coarser strata: the columns within whose values the treatment was drawn by lot.",
        )
    alone = [arm for arm in range(1, len(t.arms)) if not both[:, arm - 1].any()]
    keep = both[whole.strata].any(axis=1) & ~np.isin(t.codes, alone)
    if alone:
        remarks.append(Remark(
            "arms_dropped", f"Rows with {t.name} = {', '.join(t.arms[a] for a in alone)} are left out: no stratum has "
            f"them beside {t.arms[0]}.", (t.name,), {"dropped": [t.arms[a] for a in alone]}))
    lost = np.flatnonzero(~both.any(axis=1))
    if len(lost):
        rows = int(np.isin(whole.strata, lost).sum())
        named = "; ".join(whole.names[s] for s in lost[:NAMED]) + ("; ..." if len(lost) > NAMED else "")
        remarks.append(Remark(
            "strata_set_aside", f"{len(lost):,} of {len(whole.names):,} strata ({rows:,} of {data.n:,} rows) do not "
            f"have both arms and are set aside; the effect is about the others: {named}.",
            tuple(sorted(data.spec.strata)),
            {"strata": len(lost), "of": len(whole.names), "rows": rows, "used": int(keep.sum())}))
    remarks += _partial(whole, both, t, alone)
    if not keep.all():
        data = _without(data.take(keep), alone)
    return dataclasses.replace(blocks(data), remarks=tuple(remarks))


def _partial(whole: Blocks, both: np.ndarray, t: Treatment, alone: list[int]) -> list[Remark]:
    """Strata that serve some comparisons and not others."""
    said = []
    for arm in range(1, len(t.arms)):
        lacking = int((both.any(axis=1) & ~both[:, arm - 1]).sum())
        if lacking and arm not in alone:
            said.append(Remark(
                "strata_left_out", f"{t.labels[arm - 1]}: {lacking:,} of {len(whole.names):,} strata lack one of the "
                "two and do not count in this comparison.", (t.name,),
                {"strata": lacking, "comparison": t.labels[arm - 1]}))
    return said


def _without(data: Prepared, arms: list[int]) -> Prepared:
    """The treatment without arms that no row is in any more."""
    t = data.treatment
    stay = [arm for arm in range(len(t.arms)) if arm not in arms]
    codes = np.searchsorted(stay, t.codes)
    return dataclasses.replace(
        data, treatment=Treatment(t.name, tuple(t.arms[a] for a in stay), codes, codes.astype(float)))


def cells(data: Prepared, strata: np.ndarray, outcome: np.ndarray) -> Cells:
    """Means of ``outcome`` (n,) and their variances by stratum and arm.

    Rows independent: s^2 / n with equal weights; a row's leverage is its share of its cell's weight. With clusters:
    sums of deviations by cluster, times u / (u - 1) for u clusters in the cell.
    """
    shape = (int(strata.max()) + 1, len(data.treatment.arms))
    key, size = strata * shape[1] + data.treatment.codes, shape[0] * shape[1]
    mass = np.bincount(key, data.w, size)
    share = data.w / mass[key]
    means = np.bincount(key, share * outcome, size)
    parts = share * (outcome - means[key])
    if data.clusters is None:
        units = np.bincount(key, minlength=size)
        single = units[key] < 2
        parts = np.where(single, 0.0, parts / np.sqrt(np.where(single, 1.0, 1 - share)))
        variances = np.bincount(key, parts**2, size)
    else:
        groups, which = np.unique(np.column_stack([key, data.clusters]), axis=0, return_inverse=True)
        units = np.bincount(groups[:, 0], minlength=size)
        parts = parts * np.sqrt(np.where(units > 1, units / np.maximum(units - 1, 1), 0.0))[key]
        variances = np.bincount(groups[:, 0], np.bincount(which.ravel(), parts) ** 2, size)
    units, mass, means, variances = (a.reshape(shape) for a in (units, mass, means, variances))
    return Cells(units, mass, means, variances, parts)


def adjust(data: Prepared, strata: np.ndarray) -> Adjusted | Refused:
    """The outcome less slopes times the controls' deviations from their stratum's mean.

    One slope per column and arm from deviations within cells (Liu and Yang 2020) when every arm has three spare units
    per column; else one slope for all arms from deviations within strata; else none, with a remark. The difference in
    means within a stratum stays valid whatever the slopes, since the treatment was drawn within it.
    """
    made = data.features()
    if isinstance(made, Refused):
        return made
    x, arms = made.matrix, len(data.treatment.arms)
    k = x.shape[1]
    if k == 0:
        return Adjusted(data.outcome)
    units = cells(data, strata, data.outcome).units
    by_arm = units.sum(axis=0) - (units > 0).sum(axis=0)
    spare = int(units.sum()) - len(units) - (arms - 1)
    centred = x - _means(x, strata, data.w)
    if by_arm.min() >= UNITS_PER_COLUMN * (k + 1):
        cell = strata * arms + data.treatment.codes
        within, y = x - _means(x, cell, data.w), data.outcome - _means(data.outcome[:, None], cell, data.w)[:, 0]
        outcome = data.outcome.copy()
        for arm in range(arms):
            inside = data.treatment.codes == arm
            slopes = ols(within[inside], y[inside], data.w[inside]).coefficients
            outcome[inside] -= centred[inside] @ slopes
        left = int(by_arm.sum()) - k * arms
        return Adjusted(outcome, float(np.sqrt((left + k * arms) / left)), left, "by arm", made.labels)
    if spare >= UNITS_PER_COLUMN * (k + 1):
        dummies = (data.treatment.codes[:, None] == np.arange(1, arms)).astype(float)
        design = np.column_stack([dummies - _means(dummies, strata, data.w), centred])
        y = data.outcome - _means(data.outcome[:, None], strata, data.w)[:, 0]
        slopes = ols(design, y, data.weights).coefficients[arms - 1:]
        return Adjusted(data.outcome - centred @ slopes, float(np.sqrt(spare / (spare - k))), spare - k, "common",
                        made.labels)
    said = Remark("controls_unused", f"The strata leave {spare:,} rows to spare for {k} control columns, too few to "
                  "adjust for them; the groups are compared as they are.", data.spec.controls,
                  {"spare": spare, "columns": k})
    return Adjusted(data.outcome, remarks=(said,))


def _means(columns: np.ndarray, groups: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Each row's weighted group mean of ``columns`` (n, k)."""
    mass = np.bincount(groups, w)
    mass = np.where(mass > 0, mass, 1.0)
    return np.column_stack([(np.bincount(groups, w * c) / mass)[groups] for c in columns.T])
