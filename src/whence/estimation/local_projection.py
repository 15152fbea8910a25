"""Local-projection difference in differences: the change since before the start, at each distance from it."""

from __future__ import annotations

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.adoption import Adoption
from whence.estimation.inference import Answer
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.stack import Stack, balanced, fitted
from whence.estimation.stacked import step_label
from whence.estimation.starting import started, starting

CARD = Card(
    name="local_projection",
    task="estimation",
    title="Local-projection difference in differences",
    summary="For each distance from the start, a regression of the change since the period before it on starting, "
    "among those that start and those not yet treated at that distance.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Without treatment, the outcomes of those that start and of those not yet treated would have moved in parallel "
        "(given the controls just before, linearly).",
        "Nobody reacts before treatment starts.",
    ),
    parameters=(
        Parameter("before", "int", None, "Distances before the start. None: all there are.", 1, 1000, optional=True),
        Parameter("after", "int", None, "Distances after the start. None: all there are.", 0, 1000, optional=True),
        Parameter("weighting", "choice", "treated", "How starts count: 'treated', by their units that start; "
                  "'variance', as least squares would have it, more precise where effects are the same.",
                  choices=("treated", "variance")),
        LEVEL,
    ),
    output="Effect",
    cost="A regression on the rows for each distance.",
    citations=("Dube, Girardi, Jorda and Taylor (2025), A local projections approach to difference-in-differences, "
               "Journal of Applied Econometrics 40",),
    function="whence.estimation.local_projection:local_projection",
    strategies=("did", "event_study"),
    quantities=("ATE", "ATT"),
)


def local_projection(
    data: Prepared, *, before: int | None = None, after: int | None = None, weighting: str = "treated",
    level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Dube, Girardi, Jorda and Taylor (2025), equation 7 with its clean-control condition: y(t + h) - y(t - 1) on an
    indicator of starting at t and effects of t, among those that start at t and those not treated at t + h nor t; with
    ``"treated"`` reweighted as in section 3.4, so that starts count by their units.

    Controls are those of t - 1. Comparisons: the mean over distances from 0 on by the number that start and are seen
    there, then each distance. Refused: those of ``starting``, ``no_comparison``.
    """
    ready = starting(data, "local projections are")
    if isinstance(ready, Refused):
        return ready
    data, found, remarks = ready
    controls = data.features(1)
    if isinstance(controls, Refused):
        return controls
    when = np.unique(found.time)
    start, periods = started(found), len(when)
    row = np.full((int(found.unit.max()) + 1, periods), -1)
    row[found.unit, found.period] = np.arange(data.n)
    nearest, farthest = -(periods if before is None else before), periods if after is None else after
    steps, parts, sizes, without = [], [], [], []
    progress.begin("distances", farthest - nearest + 1)
    try:
        for h in (h for h in range(nearest, farthest + 1) if h != -1):
            progress.step()
            made = _at(data, found, start, row, controls.matrix, h, weighting)
            if made is None:
                continue
            if isinstance(made, str):
                without.append(h)
                continue
            steps.append(h)
            parts.append(made[:2])
            sizes.append(made[2])
    finally:
        progress.end()
    if not any(h >= 0 for h in steps):
        return Refused("no_comparison", "At no distance from the start is anybody not yet treated, to compare with.",
                       {"periods": periods}, "Include units that are not treated, or treated later.")
    if any(h >= 0 for h in without):
        late = [h for h in without if h >= 0]
        remarks = (*remarks, Remark("distances_left_out", f"At {len(late)} distances from the start (the first is "
                                    f"{late[0]}) nobody is untreated; they are left out.", (data.treatment.name,),
                                    {"distances": late}))
    later = np.array([size if h >= 0 else 0.0 for h, size in zip(steps, sizes, strict=True)])
    later = later / later.sum()
    estimates = np.array([e for e, _ in parts])
    psi = np.column_stack([p for _, p in parts])
    return Answer(
        data, estimates=np.append(estimates @ later, estimates), influence=np.column_stack([psi @ later, psi]),
        labels=("treated vs not treated, average of distances", *map(step_label, steps)), remarks=remarks,
        diagnostics={"adoption": found.kind, "treatment_read_as": found.read, "units": len(row), "periods": periods,
                     "weighting": weighting, "started": dict(zip(map(str, steps), sizes, strict=True))},
    )


def _at(
    data: Prepared, found: Adoption, start: np.ndarray, row: np.ndarray, controls: np.ndarray, h: int, weighting: str
) -> tuple[float, np.ndarray, float] | str | None:
    """Estimate, influence values (n,) and sum of weights of the treated at one distance; ``"nobody"`` when the treated
    there have nobody to be compared with, None when there are no treated."""
    parts = []
    for t in range(max(1, -h), row.shape[1] - max(h, 0)):
        now, base = row[:, t + h], row[:, t - 1]
        there = np.flatnonzero((now >= 0) & (base >= 0))
        own = start[base[there]]
        use = there[(own == t) | (own > max(t, t + h))]
        parts.append(Stack(now[use], np.full(len(use), t), base[use], start[base[use]] == t, data.w[base[use]]))
    if not parts:
        return None
    stack = Stack.joined(parts)
    started_in = np.bincount(stack.part, weights=stack.treated, minlength=row.shape[1])
    if not started_in.any():
        return None
    both = (started_in > 0) & (started_in < np.bincount(stack.part, minlength=row.shape[1]))
    stack = Stack(*(values[both[stack.part]] for values in vars(stack).values()))
    if not len(stack.row):
        return "nobody"
    weights = balanced(stack.treated, stack.weights, stack.part) if weighting == "treated" else stack.weights
    change = data.outcome[stack.row] - data.outcome[stack.step]
    estimate, psi, kept = fitted(data, change, stack.treated[:, None].astype(float), controls[stack.step], [stack.part],
                                 weights, stack.row, 0)
    return (float(estimate[0]), psi[:, 0], float(stack.weights @ stack.treated)) if kept[0] else "nobody"
