"""Effects by group and time when treatment starts at different times (Callaway and Sant'Anna)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.adoption import Adoption, named
from whence.estimation.cells import Cells, panel_cells, section_cells
from whence.estimation.cohorts import BLOCK, changes_of, cohorts, values_by_unit
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
    """Effects of groups at times. group, time: (m,), period indices; estimates, errors: (m,), errors those of
    independent units. values: from mixtures (m, j) of the effects and what those that start in a period add to them
    (periods, j), times their weights and less the mean, to blocks of influence values (block, j), each with its places
    in ``order``, or in the units' own where that is None.
    """

    group: np.ndarray
    time: np.ndarray
    estimates: np.ndarray
    errors: np.ndarray
    values: Callable[[np.ndarray, np.ndarray], Iterable[tuple[slice, np.ndarray]]]
    order: np.ndarray | None = None


@dataclass(frozen=True)
class Average:
    """An average of effects. on: (m,), its weights. added: (periods,), what a unit that starts in a period adds to its
    influence values, times its weight and less the mean, since the shares of the groups are estimated."""

    estimate: float
    on: np.ndarray
    added: np.ndarray


def group_time(
    data: Prepared, *, average: str = "simple", compared_with: str = "never", base: str = "varying",
    adjust: str = "doubly_robust", level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Callaway and Sant'Anna (2021), equations 2.4 (never treated) and 2.5 (not yet treated), averaged by those of
    section 3; influence values include those of the groups' shares. Comparisons: the average asked for, then the effect
    at each time since the start (before it, what should be zero). Their joint intervals are those of the multiplier
    bootstrap (algorithm 1 there) with normal multipliers by unit: given the data its draws are normal with the
    covariance of the influence values, so ``simultaneous`` draws from that matrix and not unit by unit.

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
) -> tuple[GroupTime, list[tuple[int, int]]] | Refused:
    """Every group and time that can be compared, and those that cannot."""
    periods = len(cells.when)
    groups = np.unique(cells.start[cells.start < periods])
    asked = [(g, t, g - 1 if t >= g or universal else t - 1) for g in groups.tolist() for t in range(periods)]
    asked = [(g, t, before) for g, t, before in asked if before >= 0 and t != before]
    if cells.paths is None:
        effects, skipped = _by_units(cells, asked, not_yet, adjust, progress)
    else:
        effects, skipped = _by_cohorts(cells, cells.paths, asked, not_yet)
    if not (effects.time >= effects.group).any():
        return Refused("no_comparison", "No group that starts treatment has others to compare with at that time.",
                       {"groups": cells.when[groups].tolist()},
                       "Use compared_with='not_yet', fewer controls, or method='twfe'.")
    return effects, skipped


def _by_units(
    cells: Cells, asked: list[tuple[int, int, int]], not_yet: bool, adjust: str, progress: Progress
) -> tuple[GroupTime, list[tuple[int, int]]]:
    """Each comparison among its own units."""
    periods, units = len(cells.when), len(cells.start)
    found: list[tuple[int, int, float, np.ndarray]] = []
    skipped: list[tuple[int, int]] = []
    progress.begin("groups and times", len(asked))
    try:
        for g, t, before in asked:
            progress.step()
            treated = cells.start == g
            other = cells.start > max(t, before) if not_yet else cells.start == periods
            one = cells.compare(treated, other & ~treated, t, before, adjust)
            if one is None:
                skipped.append((g, t))
            else:
                found.append((g, t, *one))
    finally:
        progress.end()
    influence = np.column_stack([f[3] for f in found]) if found else np.zeros((units, 0))

    def values(on: np.ndarray, added: np.ndarray) -> Iterable[tuple[slice, np.ndarray]]:
        adding, mean = np.vstack([added, np.zeros(added.shape[1])]), shares(cells) @ added
        for at in range(0, units, BLOCK):
            part = slice(at, at + BLOCK)
            yield part, influence[part] @ on + cells.weights[part, None] * adding[cells.start[part]] - mean

    group, time = (np.array([f[k] for f in found], dtype=np.int64) for k in range(2))
    errors = np.sqrt((influence**2).sum(axis=0)) / units
    return GroupTime(group, time, np.array([f[2] for f in found]), errors, values), skipped


def _by_cohorts(
    cells: Cells, paths: np.ndarray, asked: list[tuple[int, int, int]], not_yet: bool
) -> tuple[GroupTime, list[tuple[int, int]]]:
    """All comparisons at once, from the mean paths of those that start together; the same numbers."""
    periods, equal = len(cells.when), bool((cells.weights == 1).all())
    made = cohorts(cells.start, paths, None if equal else cells.weights)
    group, time, before = np.array(asked, dtype=np.int64).reshape(-1, 3).T
    own = np.searchsorted(made.starts, group)
    others = made.starts[:, None] > np.maximum(time, before) if not_yet else made.starts[:, None] == np.full(
        len(group), periods)
    others &= made.starts[:, None] != group
    some = others.any(axis=0)
    skipped = list(zip(group[~some].tolist(), time[~some].tolist(), strict=True))
    group, time = group[some], time[some]
    found = changes_of(made, own[some], others[:, some], time, before[some])

    def values(on: np.ndarray, added: np.ndarray) -> Iterable[tuple[slice, np.ndarray]]:
        return values_by_unit(made, found, on, np.vstack([added, np.zeros(added.shape[1])])[made.starts])

    return GroupTime(group, time, found.estimates, found.errors, values, made.order), skipped


def averaged(cells: Cells, effects: GroupTime, chosen: np.ndarray, within: np.ndarray | None = None) -> Average:
    """The average of some effects by the groups' shares.

    chosen: boolean (m,). within: (m,) labels; effects are averaged within each by the shares and then equally over
    labels; or None for one average. The shares are estimated, which adds to the influence (Callaway and Sant'Anna 2021,
    theorem 4).
    """
    labels = np.zeros(len(chosen)) if within is None else within
    share = shares(cells)
    parts = [_by_share(share, effects, chosen & (labels == label)) for label in np.unique(labels[chosen])]
    return Average(float(np.mean([p.estimate for p in parts])), np.mean([p.on for p in parts], axis=0),
                   np.mean([p.added for p in parts], axis=0))


def shares(cells: Cells) -> np.ndarray:
    """Of those that start in each period, by their weights (periods,)."""
    return np.bincount(cells.start, weights=cells.weights, minlength=len(cells.when) + 1)[:-1] / len(cells.start)


def _by_share(share: np.ndarray, effects: GroupTime, chosen: np.ndarray) -> Average:
    group, values = effects.group[chosen], effects.estimates[chosen]
    total = share[group].sum()
    on = np.where(chosen, share[effects.group] / total, 0.0)
    estimate = float(on[chosen] @ values)
    return Average(estimate, on, np.bincount(group, weights=(values - estimate) / total, minlength=len(share)))


def overall(cells: Cells, effects: GroupTime, average: str) -> Average:
    """One of the averages of section 3.1 over the effects after the start."""
    after = effects.time >= effects.group
    if average == "dynamic":
        return averaged(cells, effects, after, effects.time - effects.group)
    if average == "calendar":
        return averaged(cells, effects, after, effects.time)
    if average == "simple":
        return averaged(cells, effects, after)
    groups = np.unique(effects.group[after])
    each = [averaged(cells, effects, after & (effects.group == g), effects.time) for g in groups]
    share = shares(cells)
    weight = share[groups] / share[groups].sum()
    values = np.array([one.estimate for one in each])
    estimate = float(weight @ values)
    added = np.bincount(groups, weights=(values - estimate) / share[groups].sum(), minlength=len(share))
    return Average(estimate, weight @ np.array([one.on for one in each]),
                   weight @ np.array([one.added for one in each]) + added)


def _answer(
    data: Prepared, found: Adoption, cells: Cells, effects: GroupTime, average: str, remarks: tuple[Remark, ...]
) -> Answer:
    since = effects.time - effects.group
    steps = np.unique(since)
    parts = [overall(cells, effects, average), *(averaged(cells, effects, since == e) for e in steps)]
    units, sizes = len(cells.start), np.bincount(cells.start)
    when, time = cells.when, data.table.column(str(data.spec.time))
    influence, products = _influence(data, cells, effects, parts)
    return Answer(
        data, estimates=np.array([p.estimate for p in parts]), influence=influence, products=products, remarks=remarks,
        labels=(f"treated vs not treated, {average} average",
                *(f"{e:+d} periods" if abs(e) != 1 else f"{e:+d} period" for e in steps.tolist())),
        diagnostics={
            "adoption": found.kind, "treatment_read_as": found.read, "units": units, "periods": len(when),
            "average": average,
            "times": [{"time": t, "label": named(time, t)} for t in when.tolist()],
            "never_treated": int((cells.start == len(when)).sum()),
            "group_time": [
                {"group": float(when[g]), "time": float(when[t]), "since": int(t - g),
                 "units": int(sizes[g]), "estimate": float(e), "standard_error": float(s)}
                for g, t, e, s in zip(effects.group, effects.time, effects.estimates, effects.errors, strict=True)
            ],
        },
    )


def _influence(
    data: Prepared, cells: Cells, effects: GroupTime, parts: list[Average]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Influence values of averages by row; of the first alone, and the products of all, where units followed are the
    clusters."""
    units, j = len(cells.start), len(parts)
    whole = data.dependence is not None or data.spec.cluster != data.spec.unit or units == data.n
    kept, products = np.empty((units, j if whole else 1)), np.zeros((j, j))
    on, added = np.column_stack([p.on for p in parts]), np.column_stack([p.added for p in parts])
    for part, values in effects.values(on, added):
        kept[part if effects.order is None else effects.order[part]] = values if whole else values[:, :1]
        if not whole:
            products += values.T @ values
    return cells.on_rows(kept), None if whole else products * (data.n / units) ** 2


def _said(
    data: Prepared, cells: Cells, skipped: list[tuple[int, int]], never: bool, compared_with: str
) -> tuple[Remark, ...]:
    name, out = data.treatment.name, []
    if not never and compared_with == "never":
        out.append(Remark("no_never_treated", "No unit is never treated, so those that start later are compared with.",
                          (name,)))
    if skipped:
        after = sum(t >= g for g, t in skipped)
        out.append(Remark("cells_left_out", f"{len(skipped)} of the effects by group and time ({after} after the "
                          "start) have nobody to compare with, or controls that tell treated and others apart; the "
                          "averages are over the rest.", (name,), {"cells": len(skipped), "after": after}))
    sizes = {float(cells.when[g]): int(k) for g, k in enumerate(np.bincount(cells.start)[:len(cells.when)]) if k}
    small = {g: k for g, k in sizes.items() if k < FEWEST}
    if small:
        out.append(Remark("small_groups", f"{len(small)} of {len(sizes)} groups have fewer than {FEWEST} units; their "
                          "effects rest on few.", (name,), {"sizes": small}))
    return tuple(out)
