"""Effects by group and time when treatment starts at different times (Callaway and Sant'Anna)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.adoption import Adoption, named
from whence.estimation.cells import Cells, panel_cells, section_cells
from whence.estimation.inference import Answer
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.starting import several, starting
from whence.stats.panel_change import HOW

FEWEST = 5  # units of a group below which its effects are said to rest on few
AVERAGES = ("simple", "dynamic", "group", "calendar")

ADJUST = Parameter(
    "adjust", "choice", "doubly_robust", "How the controls enter. 'doubly_robust': by models of who is treated and of "
    "the outcome, one of which must be right; 'improved': the same with odds that balance the controls; 'regression' "
    "or 'weighting': one of the two models alone.", choices=HOW)

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
        ADJUST,
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
class GroupTime:
    """Effects of groups at times. group, time: (m,), period indices; estimates: (m,); influence: (units, m)."""

    group: np.ndarray
    time: np.ndarray
    estimates: np.ndarray
    influence: np.ndarray


def group_time(
    data: Prepared, *, average: str = "simple", compared_with: str = "never", base: str = "varying",
    adjust: str = "doubly_robust", level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Callaway and Sant'Anna (2021), equations 2.4 (never treated) and 2.5 (not yet treated), averaged by those of
    section 3; influence values include those of the groups' shares. Comparisons: the average asked for, then the effect
    at each time since the start (before it, what should be zero).

    Units treated from the first period on say nothing and are left out, with a remark; so are units that are not seen
    in the two periods of a comparison, there. Rows that name no unit, or most of whose units have several rows in a
    period, are samples of their group: then means of groups are compared (repeated cross-sections). Refused: those of
    ``adoption``, ``treatment_switches``, ``repeated_rows`` (a unit twice in a period), ``no_comparison``.
    """
    ready = starting(data, "group-time effects are", sampled=True)
    if isinstance(ready, Refused):
        return ready
    data, found, remarks = ready
    controls = data.features(1)
    if isinstance(controls, Refused):
        return controls
    sampled = found.groups != "units" or several(found)
    cells = (section_cells if sampled else panel_cells)(data, found, controls.matrix)
    never = bool((cells.start == len(cells.when)).any())
    made = _effects(cells, compared_with == "not_yet" or not never, base == "universal", adjust, progress)
    if isinstance(made, Refused):
        return made
    effects, skipped = made
    said = _said(data, cells, skipped, never, compared_with)
    if sampled:
        said = (Remark("repeated_sections", "Rows are taken as samples of those that start together, a new one in each "
                       "period: people must not move between groups because of the treatment.",
                       (data.treatment.name,), {"groups": found.groups}), *said)
    return _answer(data, found, cells, effects, average, (*remarks, *said))


def _effects(
    cells: Cells, not_yet: bool, universal: bool, adjust: str, progress: Progress
) -> tuple[GroupTime, list[tuple[int, int, str]]] | Refused:
    """Every group and time that can be compared, and those that cannot, with the reason."""
    periods = len(cells.when)
    groups = np.unique(cells.start[cells.start < periods])
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
                other = cells.start > max(t, before) if not_yet else cells.start == periods
                one = cells.compare(treated, other & ~treated, t, before, adjust)
                if one is None:
                    skipped.append((g, t, "nobody to compare with, or controls that tell the two apart"))
                    continue
                found.append((g, t, *one))
    finally:
        progress.end()
    if not any(t >= g for g, t, _, _ in found):
        return Refused("no_comparison", "No group that starts treatment has others to compare with at that time.",
                       {"groups": cells.when[groups].tolist()},
                       "Use compared_with='not_yet', fewer controls, or method='twfe'.")
    group, time, values = (np.array([f[k] for f in found]) for k in range(3))
    return GroupTime(group, time, values, np.column_stack([f[3] for f in found])), skipped


def averaged(cells: Cells, effects: GroupTime, chosen: np.ndarray, within: np.ndarray | None = None) -> tuple[
        float, np.ndarray]:
    """The average of some effects by the groups' shares, and its influence values (units,).

    chosen: boolean (m,). within: (m,) labels; effects are averaged within each by the shares and then equally over
    labels; or None for one average. The shares are estimated, which adds to the influence (Callaway and Sant'Anna 2021,
    theorem 4).
    """
    labels = np.zeros(len(chosen)) if within is None else within
    parts = [_by_share(cells, effects, chosen & (labels == label)) for label in np.unique(labels[chosen])]
    return float(np.mean([e for e, _ in parts])), np.mean([psi for _, psi in parts], axis=0)


def _by_share(cells: Cells, effects: GroupTime, chosen: np.ndarray) -> tuple[float, np.ndarray]:
    group, values = effects.group[chosen], effects.estimates[chosen]
    inside = cells.weights[:, None] * (cells.start[:, None] == group)
    share = inside.mean(axis=0)
    total = share.sum()
    weight = share / total
    estimate = float(weight @ values)
    moved = (inside - share) @ ((values - estimate) / total)
    return estimate, effects.influence[:, chosen] @ weight + moved


def overall(cells: Cells, effects: GroupTime, average: str) -> tuple[float, np.ndarray]:
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
    data: Prepared, found: Adoption, cells: Cells, effects: GroupTime, average: str, remarks: tuple[Remark, ...]
) -> Answer:
    since = effects.time - effects.group
    steps = np.unique(since)
    parts = [overall(cells, effects, average), *(averaged(cells, effects, since == e) for e in steps)]
    units = len(cells.start)
    spread = cells.on_rows(np.column_stack([psi for _, psi in parts]))
    when, time = cells.when, data.table.column(str(data.spec.time))
    return Answer(
        data, estimates=np.array([e for e, _ in parts]), influence=spread, remarks=remarks,
        labels=(f"treated vs not treated, {average} average",
                *(f"{e:+d} periods" if abs(e) != 1 else f"{e:+d} period" for e in steps.tolist())),
        diagnostics={
            "adoption": found.kind, "treatment_read_as": found.read, "units": units, "periods": len(when),
            "average": average,
            "times": [{"time": t, "label": named(time, t)} for t in when.tolist()],
            "never_treated": int((cells.start == len(when)).sum()),
            "group_time": [
                {"group": float(when[g]), "time": float(when[t]), "since": int(t - g),
                 "units": int((cells.start == g).sum()), "estimate": float(e), "standard_error": float(s)}
                for g, t, e, s in zip(effects.group, effects.time, effects.estimates,
                                      np.sqrt((effects.influence**2).sum(axis=0)) / units, strict=True)
            ],
        },
    )


def _said(
    data: Prepared, cells: Cells, skipped: list[tuple[int, int, str]], never: bool, compared_with: str
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
