"""Interaction-weighted event study (Sun and Abraham): one regression with effects of each start at each time."""

from __future__ import annotations

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.adoption import Adoption
from whence.estimation.inference import Answer
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.stack import fitted
from whence.estimation.stacked import step_label
from whence.estimation.starting import started, starting

CARD = Card(
    name="sun_abraham",
    task="estimation",
    title="Interaction-weighted event study (Sun and Abraham)",
    summary="A two-way regression with an effect for each start at each time since it, compared with units never "
    "treated (or treated last); the effects are then averaged by how many units stand behind them.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Without treatment, the outcomes of those that start together and of those never (or last) treated would have "
        "moved in parallel (given the controls, linearly).",
        "Nobody reacts before treatment starts.",
    ),
    parameters=(LEVEL,),
    output="Effect",
    cost="A pass over the rows for each start and period, and the cube of their number.",
    citations=("Sun and Abraham (2021), Estimating dynamic treatment effects in event studies with heterogeneous "
               "treatment effects, Journal of Econometrics 225",),
    function="whence.estimation.sun_abraham:sun_abraham",
    strategies=("did", "event_study"),
    quantities=("ATE", "ATT"),
)


def sun_abraham(
    data: Prepared, *, level: float = 0.95, seed: int = 0, progress: Progress = SILENT
) -> Answer | Refused:
    """Sun and Abraham (2021), section 4.1: (1) least squares with unit and period effects and indicators of start times
    period, those of the period before the start left out; (2) shares of the starts among treated rows at each time
    since the start; (3) the averages. Influence values include the shares'.

    Where nobody is never treated those that start last are compared with, before they do. Comparisons: the mean over
    treated rows, then each time since the start. Starts without a row just before it are left out, with a remark.
    Refused: those of ``starting``, ``no_comparison``.
    """
    ready = starting(data, "effects by start are")
    if isinstance(ready, Refused):
        return ready
    data, found, remarks = ready
    data, unit, period, start = _rows(data, found)
    since = np.where(start < start.max(), period - start, -1)
    cells = np.unique(np.column_stack([start, since])[since != -1], axis=0)
    controls = data.features(1)
    if isinstance(controls, Refused):
        return controls
    if not (cells[:, 1] >= 0).any():
        return Refused("no_comparison", "No start has rows after it while others are not yet treated.",
                       {"starts": len(cells)}, "Include units that are not treated, or treated later.")
    inside = (start[:, None] == cells[:, 0]) & (since[:, None] == cells[:, 1])
    nested = len(np.unique(unit)) - 1 if data.spec.cluster == data.spec.unit else 0
    effects, psi, kept = fitted(data, data.outcome, inside.astype(float), controls.matrix, [unit, period], data.w,
                                np.arange(data.n), nested)
    if not kept[cells[:, 1] >= 0].any():
        return Refused("no_comparison", "Unit and period effects decide who is treated.", {"cells": len(cells)},
                       "Include units that are not treated, or treated later.")
    if not kept.all():
        remarks = (*remarks, Remark("cells_left_out", f"{int((~kept).sum())} of the effects by start and period cannot "
                                    "be told from the others; the averages are over the rest.",
                                    (data.treatment.name,), {"cells": int((~kept).sum())}))
    later = kept & (cells[:, 1] >= 0)
    steps = np.unique(cells[kept, 1])
    chosen = [later, *(kept & (cells[:, 1] == e) for e in steps)]
    parts = [_average(data, effects, psi, inside, which) for which in chosen]
    return Answer(
        data, estimates=np.array([e for e, _ in parts]), influence=np.column_stack([p for _, p in parts]),
        labels=("treated vs not treated", *map(step_label, steps.tolist())), remarks=remarks,
        diagnostics={"adoption": found.kind, "treatment_read_as": found.read,
                     "units": int(unit.max()) + 1, "periods": len(np.unique(period)), "cells": int(kept.sum())},
    )


def _rows(data: Prepared, found: Adoption) -> tuple[Prepared, np.ndarray, np.ndarray, np.ndarray]:
    """The rows of the regression, with their units, periods and starts; those compared with have the largest start."""
    start, periods = started(found), len(found.when)
    last, said = int(start.max()), []
    keep = found.period < last
    if last < periods:
        said.append(Remark("no_never_treated", "No unit is never treated, so those that start last are compared with, "
                           "and the periods from their start on are left out.", (data.treatment.name,)))
    base = np.unique(start[found.period == start - 1])
    unseen = np.setdiff1d(np.unique(start[start < last]), base)
    if len(unseen):
        keep &= ~np.isin(start, unseen)
        said.append(Remark("starts_left_out", f"{len(unseen)} starts have no rows in the period just before and are "
                           "left out.", (data.treatment.name,), {"starts": len(unseen)}))
    if not keep.all():
        data = data.take(keep, *said)
    return data, np.unique(found.unit[keep], return_inverse=True)[1], found.period[keep], start[keep]


def _average(
    data: Prepared, effects: np.ndarray, psi: np.ndarray, inside: np.ndarray, which: np.ndarray
) -> tuple[float, np.ndarray]:
    """The mean of some cells' effects by their rows, and its influence values (n,)."""
    rows = data.w[:, None] * inside[:, which]
    total = float(rows.sum())
    share = rows.sum(axis=0) / total
    estimate = float(share @ effects[which])
    return estimate, psi[:, which] @ share + data.n * (rows @ (effects[which] - estimate)) / total
