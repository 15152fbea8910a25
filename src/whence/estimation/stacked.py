"""Stacked difference in differences: each start with its own clean comparison, all over the same window of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.adoption import Adoption
from whence.estimation.inference import Answer, Errors
from whence.estimation.linear_errors import described
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.stack import Stack, balanced, fitted
from whence.estimation.starting import started, starting, starts_in

BEFORE = Parameter("before", "int", None, "Periods before the start in the window. None: the most that lose no start.",
                   1, 1000, optional=True)
AFTER = Parameter("after", "int", None, "Periods after the start in the window. None: the most that keep half of the "
                  "units that start.", 0, 1000, optional=True)

CARD = Card(
    name="stacked",
    task="estimation",
    title="Stacked difference in differences",
    summary="For each start a comparison of its own, with units not treated in the whole window around it, laid on top "
    "of each other with weights that make each start count by its units. The same units stand behind every time since "
    "the start.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Without treatment, the outcomes of those that start together and of those not treated in the window would "
        "have moved in parallel (given the controls, linearly).",
        "Nobody reacts before treatment starts.",
    ),
    parameters=(
        BEFORE, AFTER,
        Parameter("weighting", "choice", "treated", "How starts count: 'treated', by their units that start (Wing, "
                  "Freedman and Hollingsworth); 'variance', as least squares would have it (Cengiz and others), which "
                  "answers for no group of people in particular.", choices=("treated", "variance")),
        LEVEL,
    ),
    output="Effect",
    cost="A pass over the rows of every comparison, and the cube of the window.",
    citations=(
        "Cengiz, Dube, Lindner and Zipperer (2019), The effect of minimum wages on low-wage jobs, Quarterly Journal of "
        "Economics 134",
        "Wing, Freedman and Hollingsworth (2024), Stacked difference-in-differences, NBER working paper 32054",
    ),
    function="whence.estimation.stacked:stacked",
    strategies=("did", "event_study"),
    quantities=("ATE", "ATT"),
)


@dataclass(frozen=True)
class _Window:
    """Starts (period indices) whose window of ``before`` and ``after`` periods lies in the data and has others to
    compare with; the rest are ``lost``."""

    before: int
    after: int
    starts: tuple[int, ...]
    lost: tuple[int, ...]


def stacked(
    data: Prepared, *, before: int | None = None, after: int | None = None, weighting: str = "treated",
    level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Wing, Freedman and Hollingsworth (2024): least squares on the stack with effects of units and of times in each
    comparison, weighted so that each time's effect is the mean of the starts' effects by their treated units.

    Comparisons: the mean over the periods from the start on, then each time since the start against the period just
    before it. Errors are clustered over all comparisons that a unit is in, with degrees of freedom by start. Starts
    whose window does not fit are left out, with a remark. Refused: those of ``starting``, ``no_comparison``.
    """
    ready = starting(data, "stacked comparisons are")
    if isinstance(ready, Refused):
        return ready
    data, found, remarks = ready
    controls = data.features(1)
    if isinstance(controls, Refused):
        return controls
    when = np.unique(found.time)
    start = started(found)
    window = _window(found.unit, start, len(when), before, after)
    if not window.starts:
        return Refused("no_comparison", "No start has its whole window in the data, with units not treated in it.",
                       {"before": window.before, "after": window.after, "starts": when[list(window.lost)].tolist()},
                       "Use a shorter window (before, after), or method='group_time'.")
    stack = _stacked(data, found, start, window)
    steps = np.array([e for e in range(-window.before, window.after + 1) if e != -1])
    columns = ((stack.step[:, None] == steps) & stack.treated[:, None]).astype(float)
    units = int(found.unit.max()) + 1
    unit = stack.part * units + found.unit[stack.row]
    weights = balanced(stack.treated, stack.weights, stack.part) if weighting == "treated" else stack.weights
    within = data.clusters is not None and data.spec.cluster == data.spec.unit
    estimates, psi, kept = fitted(
        data, data.outcome[stack.row], columns, controls.matrix[stack.row],
        [unit, stack.part * 10_000_000 + stack.step + 1_000_000], weights, stack.row,
        len(np.unique(unit)) - 1 if within else 0)
    if not kept.all():
        return Refused("no_comparison", "In some period of the window the treated have nobody to be compared with.",
                       {"steps": steps[~kept].tolist()}, "Use a shorter window (before, after).")
    if window.lost:
        remarks = (*remarks, Remark(
            "starts_left_out", f"{len(window.lost)} of {len(window.lost) + len(window.starts)} starts have no window "
            f"of {window.before} periods before and {window.after} after in the data, or nobody untreated in it, and "
            "are left out.", (data.treatment.name,), {"starts": when[list(window.lost)].tolist()}))
    later = (steps >= 0) / (steps >= 0).sum()
    psi = np.column_stack([psi @ later, psi])
    return Answer(
        data, estimates=np.append(estimates @ later, estimates), influence=psi,
        errors=_errors(data, found, psi) if within and data.dependence is None else None,
        labels=("treated vs not treated" + ("" if window.after == 0 else f", average of periods 0 to {window.after}"),
                *map(step_label, steps.tolist())),
        remarks=remarks,
        diagnostics={"adoption": found.kind, "treatment_read_as": found.read, "units": units, "periods": len(when),
                     "before": window.before, "after": window.after, "weighting": weighting,
                     "starts": when[list(window.starts)].tolist(), "stacked_rows": len(stack.row)},
    )


def _errors(data: Prepared, found: Adoption, psi: np.ndarray) -> Errors:
    """Degrees of freedom by how many units stand behind the error: those of Welch, with the starts for groups. Few that
    are never treated, or few that start together, may carry most of it. psi: (n, m)."""
    starts = starts_in(found)
    by_unit = np.column_stack([np.bincount(found.unit, weights=one, minlength=len(starts)) for one in psi.T])
    parts = [by_unit[starts == s] ** 2 for s in np.unique(starts)]
    total = sum(part.sum(axis=0) for part in parts)
    below = sum(part.sum(axis=0) ** 2 / (len(part) - 1) for part in parts if len(part) > 1)
    most = max(1.0, len(starts) - 1.0)
    df = np.where(below > 0, total**2 / np.where(below > 0, below, 1.0), most)
    df = np.clip(df, 1.0, most)
    return Errors("CR1", described(data, "CR1", float(df[0])), df)


def step_label(step: int) -> str:
    return f"{step:+d} period" + ("s" if abs(step) != 1 else "")


def _window(unit: np.ndarray, start: np.ndarray, periods: int, before: int | None, after: int | None) -> _Window:
    """The window asked for, or the longest after the start that keeps half of the units that start, and then before."""
    by_unit = start[np.unique(unit, return_index=True)[1]]
    groups, sizes = np.unique(by_unit[by_unit < periods], return_counts=True)
    latest = int(by_unit.max())

    def fits(k: int, m: int) -> np.ndarray:
        return (groups - k >= 0) & (groups + m < periods) & (latest > groups + m)

    if after is None:
        enough = [m for m in range(periods) if 2 * sizes[fits(1, m)].sum() >= sizes.sum()]
        after = max(enough, default=0)
    if before is None:
        usable = fits(1, after)
        before = int(groups[usable].min()) if usable.any() else 1
    kept = fits(before, after)
    return _Window(before, after, tuple(groups[kept].tolist()), tuple(groups[~kept].tolist()))


def _stacked(data: Prepared, found: Adoption, start: np.ndarray, window: _Window) -> Stack:
    parts = []
    for k, g in enumerate(window.starts):
        inside = (found.period >= g - window.before) & (found.period <= g + window.after)
        rows = np.flatnonzero(inside & ((start == g) | (start > g + window.after)))
        parts.append(Stack(rows, np.full(len(rows), k), found.period[rows] - g, start[rows] == g, data.w[rows]))
    return Stack.joined(parts)
