"""Effects by group and time when treatment starts at different times (Callaway and Sant'Anna)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.adoption import Adoption, adoption
from whence.estimation.inference import Answer
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.stats.panel_change import changes

FEWEST = 5  # units of a group below which its effects are said to rest on few
AVERAGES = ("simple", "dynamic", "group", "calendar")

CARD = Card(
    name="group_time",
    task="estimation",
    title="Group-time effects (Callaway and Sant'Anna difference in differences)",
    summary="For units that start together, the change since just before the start, less that of units not treated; "
    "then averaged. Right when effects differ between units and grow or fade with time.",
    data_kinds=("continuous", "count", "binary", "ordinal"),
    assumptions=(
        "Without treatment, the outcomes of those that start together and of those they are compared with would have "
        "moved in parallel (among units alike in the controls).",
        "Nobody reacts before treatment starts.",
    ),
    parameters=(
        Parameter("average", "choice", "simple", "What the effect averages. 'simple': treated units and times; "
                  "'dynamic': times since the start; 'group': units, each over its own time; 'calendar': periods.",
                  choices=AVERAGES),
        Parameter("compared_with", "choice", "never", "'never': units never treated; 'not_yet': also those that start "
                  "later, until they do. Without any never treated, 'not_yet' is used.", choices=("never", "not_yet")),
        Parameter("base", "choice", "varying", "Effects before the start: 'varying', each change from one period to "
                  "the next; 'universal', all against the period just before.", choices=("varying", "universal")),
        LEVEL,
    ),
    output="Effect",
    cost="Groups x periods, each a regression on the units when there are controls.",
    citations=(
        "Callaway and Sant'Anna (2021), Difference-in-differences with multiple time periods, Journal of Econometrics "
        "225",
        "Sant'Anna and Zhao (2020), Doubly robust difference-in-differences estimators, Journal of Econometrics 219",
    ),
    function="whence.estimation.group_time:group_time",
    strategies=("did", "event_study"),
    quantities=("ATE", "ATT"),
)


@dataclass(frozen=True)
class _Cells:
    """Units by period. outcome: (units, periods), nan where a unit is not seen. start: (units,), index of the period in
    which treatment starts, ``periods`` for never. when: (periods,), the times. weights: (units,), mean 1. controls:
    function of a period and units that gives their design columns then."""

    outcome: np.ndarray
    start: np.ndarray
    when: np.ndarray
    weights: np.ndarray
    controls: Callable[[int, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class GroupTime:
    """Effects of groups at times. group, time: (m,), period indices; estimates: (m,); influence: (units, m)."""

    group: np.ndarray
    time: np.ndarray
    estimates: np.ndarray
    influence: np.ndarray


def group_time(
    data: Prepared, *, average: str = "simple", compared_with: str = "never", base: str = "varying",
    level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Callaway and Sant'Anna (2021), equations 2.4 (never treated) and 2.5 (not yet treated), averaged by those of
    section 3; influence values include those of the groups' shares. Comparisons: the average asked for, then the effect
    at each time since the start (before it, what should be zero).

    Units treated from the first period on say nothing and are left out, with a remark; so are units that are not seen
    in the two periods of a comparison, there. Refused: those of ``adoption``, ``no_unit``, ``treatment_switches``,
    ``repeated_rows`` (a unit twice in a period), ``no_comparison``.
    """
    read = adoption(data)
    if isinstance(read, Refused):
        return read
    found, remarks = read
    refused = _unsuited(data, found)
    if refused is not None:
        return refused
    always = found.first <= found.time.min()
    if always.any():
        count = len(np.unique(found.unit[always]))
        data = data.take(~always, Remark(
            "always_treated", f"{count:,} units are treated from the first period on and are left out: there is no "
            "before to compare with.", (data.treatment.name,), {"units": count}))
        read = adoption(data)
        if isinstance(read, Refused):
            return read
        found = read[0]
    cells = _cells(data, found)
    if isinstance(cells, Refused):
        return cells
    never = bool((cells.start == len(cells.when)).any())
    made = _effects(cells, compared_with == "not_yet" or not never, base == "universal", progress)
    if isinstance(made, Refused):
        return made
    effects, skipped = made
    return _answer(data, found, cells, effects, average, (*remarks, *_said(data, cells, skipped, never, compared_with)))


def _unsuited(data: Prepared, found: Adoption) -> Refused | None:
    name = data.treatment.name
    if found.groups != "units":
        return Refused("no_unit", "Group-time effects follow units over time, and the spec names no unit.", {},
                       "Name the unit, or use method='twfe'.")
    if found.kind in ("switching", "dose"):
        what = "switches off again" if found.kind == "switching" else "is a dose"
        return Refused("treatment_switches", f"{name!r} {what}; group-time effects are for treatments that start and "
                       "stay.", {"kind": found.kind}, "Use method='twfe'.")
    pairs = found.unit * (found.period.max() + 1) + found.period
    twice = len(pairs) - len(np.unique(pairs))
    if twice:
        return Refused("repeated_rows", f"{twice:,} rows are a second row of a unit in one period.", {"rows": twice},
                       "Average them first, or name a finer unit; or use method='twfe'.")
    return None


def _cells(data: Prepared, found: Adoption) -> _Cells | Refused:
    controls = data.features(1)
    if isinstance(controls, Refused):
        return controls
    units, periods = int(found.unit.max()) + 1, int(found.period.max()) + 1
    outcome, when = np.full((units, periods), np.nan), np.unique(found.time)
    outcome[found.unit, found.period] = data.outcome
    row = np.full((units, periods), -1)
    row[found.unit, found.period] = np.arange(data.n)
    start = np.full(units, periods)
    start[found.unit] = np.searchsorted(when, np.where(np.isfinite(found.first), found.first, np.inf))
    total = np.bincount(found.unit, weights=data.w, minlength=units) / np.bincount(found.unit, minlength=units)
    return _Cells(outcome, start, when, total / total.mean(), lambda t, who: controls.matrix[row[who, t]])


def _effects(
    cells: _Cells, not_yet: bool, universal: bool, progress: Progress
) -> tuple[GroupTime, list[tuple[int, int, str]]] | Refused:
    """Every group and time that can be compared, and those that cannot, with the reason."""
    units, periods = cells.outcome.shape
    groups = np.unique(cells.start[cells.start < periods])
    seen = np.isfinite(cells.outcome)
    found: list[tuple[int, int, float, np.ndarray]] = []
    skipped: list[tuple[int, int, str]] = []
    progress.begin("groups and times", len(groups) * periods)
    try:
        for g in groups.tolist():
            for t in range(periods):
                progress.step()
                before = g - 1 if t >= g or universal else t - 1
                if before < 0 or t == before:
                    continue
                treated = cells.start == g
                other = cells.start > max(t, before, g if t < g else 0) if not_yet else cells.start == periods
                who = np.flatnonzero((treated | (other & ~treated)) & seen[:, t] & seen[:, before])
                one = _one(cells, who, treated[who], t, before)
                if one is None:
                    skipped.append((g, t, "nobody to compare with, or controls that tell the two apart"))
                    continue
                psi = np.zeros(units)
                psi[who] = one[1] * units / len(who)
                found.append((g, t, one[0], psi))
    finally:
        progress.end()
    if not any(t >= g for g, t, _, _ in found):
        return Refused("no_comparison", "No group that starts treatment has others to compare with at that time.",
                       {"groups": cells.when[groups].tolist()},
                       "Use compared_with='not_yet', fewer controls, or method='twfe'.")
    group, time, values = (np.array([f[k] for f in found]) for k in range(3))
    return GroupTime(group, time, values, np.column_stack([f[3] for f in found])), skipped


def _one(
    cells: _Cells, who: np.ndarray, treated: np.ndarray, t: int, before: int
) -> tuple[float, np.ndarray] | None:
    if not len(who):
        return None
    weights = cells.weights[who]
    change = cells.outcome[who, t] - cells.outcome[who, before]
    return changes(change, treated, cells.controls(min(t, before), who), weights / weights.mean())


def averaged(cells: _Cells, effects: GroupTime, chosen: np.ndarray, within: np.ndarray | None = None) -> tuple[
        float, np.ndarray]:
    """The average of some effects by the groups' shares, and its influence values (units,).

    chosen: boolean (m,). within: (m,) labels; effects are averaged within each by the shares and then equally over
    labels; or None for one average. The shares are estimated, which adds to the influence (Callaway and Sant'Anna 2021,
    theorem 4).
    """
    labels = np.zeros(len(chosen)) if within is None else within
    parts = [_by_share(cells, effects, chosen & (labels == label)) for label in np.unique(labels[chosen])]
    return float(np.mean([e for e, _ in parts])), np.mean([psi for _, psi in parts], axis=0)


def _by_share(cells: _Cells, effects: GroupTime, chosen: np.ndarray) -> tuple[float, np.ndarray]:
    group, values = effects.group[chosen], effects.estimates[chosen]
    inside = cells.weights[:, None] * (cells.start[:, None] == group)
    share = inside.mean(axis=0)
    total = share.sum()
    weight = share / total
    estimate = float(weight @ values)
    moved = (inside - share) @ ((values - estimate) / total)
    return estimate, effects.influence[:, chosen] @ weight + moved


def overall(cells: _Cells, effects: GroupTime, average: str) -> tuple[float, np.ndarray]:
    """One of the averages of section 3.1 over the effects after the start, and its influence values (units,)."""
    after = effects.time >= effects.group
    if average == "dynamic":
        return averaged(cells, effects, after, effects.time - effects.group)
    if average == "calendar":
        return averaged(cells, effects, after, effects.time)
    if average == "simple":
        return averaged(cells, effects, after)
    groups = np.unique(effects.group[after])
    each = [averaged(cells, effects, after & (effects.group == g), effects.time) for g in groups]
    one = GroupTime(groups, groups, np.array([e for e, _ in each]), np.column_stack([psi for _, psi in each]))
    return _by_share(cells, one, np.ones(len(groups), dtype=bool))


def _answer(
    data: Prepared, found: Adoption, cells: _Cells, effects: GroupTime, average: str, remarks: tuple[Remark, ...]
) -> Answer:
    since = effects.time - effects.group
    steps = np.unique(since)
    parts = [overall(cells, effects, average), *(averaged(cells, effects, since == e) for e in steps)]
    units = len(cells.start)
    influence = np.column_stack([psi for _, psi in parts])
    # A unit's values sit on its rows, so that sums by unit, or by clusters of units, give them back.
    spread = influence[found.unit] * (data.n / units / np.bincount(found.unit))[found.unit, None]
    when = cells.when
    return Answer(
        data, estimates=np.array([e for e, _ in parts]), influence=spread, remarks=remarks,
        labels=(f"treated vs not treated, {average} average",
                *(f"{e:+d} periods" if abs(e) != 1 else f"{e:+d} period" for e in steps.tolist())),
        diagnostics={
            "adoption": found.kind, "treatment_read_as": found.read, "units": units, "periods": len(when),
            "average": average, "never_treated": int((cells.start == len(when)).sum()),
            "group_time": [
                {"group": float(when[g]), "time": float(when[t]), "estimate": float(e), "standard_error": float(s)}
                for g, t, e, s in zip(effects.group, effects.time, effects.estimates,
                                      np.sqrt((effects.influence**2).sum(axis=0)) / units, strict=True)
            ],
        },
    )


def _said(
    data: Prepared, cells: _Cells, skipped: list[tuple[int, int, str]], never: bool, compared_with: str
) -> tuple[Remark, ...]:
    name, out = data.treatment.name, []
    if not never and compared_with == "never":
        out.append(Remark("no_never_treated", "No unit is never treated, so those that start later are compared with.",
                          (name,)))
    if skipped:
        after = sum(t >= g for g, t, _ in skipped)
        out.append(Remark("cells_left_out", f"{len(skipped)} of the effects by group and time ({after} after the "
                          "start) have nobody to compare with, or controls that tell treated and others apart; the "
                          "averages are over the rest.", (name,), {"cells": len(skipped), "after": after}))
    groups = np.unique(cells.start[cells.start < len(cells.when)])
    sizes = {float(cells.when[g]): int((cells.start == g).sum()) for g in groups}
    small = {g: k for g, k in sizes.items() if k < FEWEST}
    if small:
        out.append(Remark("small_groups", f"{len(small)} of {len(sizes)} groups have fewer than {FEWEST} units; their "
                          "effects rest on few.", (name,), {"sizes": small}))
    return tuple(out)
