"""Effects on those whose treatment switches, on or off (de Chaisemartin and D'Haultfoeuille)."""

from __future__ import annotations

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.adoption import Adoption, adoption
from whence.estimation.cells import Cells, panel_cells
from whence.estimation.group_time import ADJUST
from whence.estimation.inference import Answer
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared

CARD = Card(
    name="switchers",
    task="estimation",
    title="Effect on those that switch (de Chaisemartin and D'Haultfoeuille)",
    summary="From each period to the next, the change of those whose treatment switches on or off, less that of those "
    "with the same treatment before that keep it. For treatments that come and go.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Had they kept their treatment, the outcomes of those that switch and of those that do not would have moved in "
        "parallel, for the treated as for the untreated.",
        "The treatment acts in its own period: it has no effect on later outcomes and none before it.",
    ),
    parameters=(ADJUST, LEVEL),
    output="Effect",
    cost="A pass over the units for each pair of neighbouring periods.",
    citations=("de Chaisemartin and D'Haultfoeuille (2020), Two-way fixed effects estimators with heterogeneous "
               "treatment effects, American Economic Review 110",),
    function="whence.estimation.switchers:switchers",
    strategies=("did", "event_study"),
    quantities=("ATE", "ATT"),
)


def switchers(
    data: Prepared, *, adjust: str = "doubly_robust", level: float = 0.95, seed: int = 0, progress: Progress = SILENT
) -> Answer | Refused:
    """DID_M of de Chaisemartin and D'Haultfoeuille (2020), section 4.1 and theorem 3: differences in differences of
    switchers between neighbouring periods, averaged by their number.

    Comparisons: all switchers; those that switch on; those that switch off; and, for the same people one period
    earlier, what should be zero (their equation 8). Units with several rows in a period stand with their mean.
    Influence values include those of the numbers that switch. Refused: those of ``adoption``, ``dose``,
    ``groups_unknown`` (nothing to follow), ``mixed_status`` (a unit both treated and not in a period),
    ``no_comparison``.
    """
    read = adoption(data)
    if isinstance(read, Refused):
        return read
    found, remarks = read
    status = _status(data, found)
    if isinstance(status, Refused):
        return status
    controls = data.features(1)
    if isinstance(controls, Refused):
        return controls
    cells = panel_cells(data, found, controls.matrix)
    made = [_compared(cells, status, on, lag, adjust) for lag in (0, 1) for on in (True, False)]
    on, off, before_on, before_off = ([one for one in part if one is not None] for part in made)
    lost = sum(one is None for part in made[:2] for one in part)
    if not on and not off:
        return Refused("no_comparison", "Nobody switches while others with the same treatment keep it.",
                       {"periods": len(cells.when)}, "Include units that do not switch.")
    if lost:
        remarks = (*remarks, Remark("switches_left_out", f"In {lost} cases nobody with the same treatment kept it "
                                    "while others switched; they do not count.", (data.treatment.name,),
                                    {"cases": lost}))
    shown = [("treated vs not treated, when it switches", on + off)]
    shown += [(label, part) for label, part in (("switching on", on), ("switching off", off)) if on and off]
    shown += [("-1 period", before_on + before_off)] if before_on + before_off else []
    parts = [_average(cells, part) for _, part in shown]
    return Answer(
        data, estimates=np.array([e for e, _ in parts]),
        influence=cells.on_rows(np.column_stack([psi for _, psi in parts])), labels=tuple(label for label, _ in shown),
        remarks=remarks,
        diagnostics={"adoption": found.kind, "treatment_read_as": found.read, "units": len(cells.start),
                     "periods": len(cells.when),
                     "switches_on": int(sum(who.sum() for _, _, who in on)),
                     "switches_off": int(sum(who.sum() for _, _, who in off))},
    )


def _status(data: Prepared, found: Adoption) -> np.ndarray | Refused:
    """The treatment of each unit in each period (units, periods), nan where it is not seen."""
    name = data.treatment.name
    if found.kind == "dose":
        return Refused("dose", f"{name!r} is a dose; this is for treatments that are on or off.", {},
                       "Make a column that is 1 from some dose on, or use method='twfe'.")
    if found.groups == "groups":
        return Refused("groups_unknown", "Without a unit, or a cluster that is treated together, nobody can be "
                       "followed from one period to the next.", {}, "Name the unit or the cluster.")
    status = np.full((int(found.unit.max()) + 1, int(found.period.max()) + 1), np.nan)
    status[found.unit, found.period] = found.status
    mixed = int((status[found.unit, found.period] != found.status).sum())
    if mixed:
        return Refused("mixed_status", f"{mixed:,} rows have another treatment than other rows of their unit in the "
                       "same period.", {"rows": mixed}, "Name a finer unit.")
    return status


def _compared(
    cells: Cells, status: np.ndarray, on: bool, lag: int, adjust: str
) -> list[tuple[float, np.ndarray, np.ndarray] | None]:
    """Per pair of periods: effect of switching, influence values, and who switched; ``lag`` periods before it."""
    made: list[tuple[float, np.ndarray, np.ndarray] | None] = []
    for t in range(1 + lag, status.shape[1]):
        was, now = status[:, t - 1], status[:, t]
        same = was == (0.0 if on else 1.0)
        if lag:
            same &= status[:, t - 2] == was
        moved, stayed = same & (now == 1 - was), same & (now == was)
        if not moved.any():
            continue
        one = cells.compare(moved, stayed, t - lag, t - 1 - lag, adjust)
        sign = 1.0 if on else -1.0
        made.append(None if one is None else (sign * one[0], sign * one[1], moved))
    return made


def _average(cells: Cells, parts: list[tuple[float, np.ndarray, np.ndarray]]) -> tuple[float, np.ndarray]:
    """The mean by the number that switched, and its influence values (units,)."""
    inside = np.column_stack([cells.weights * who for _, _, who in parts])
    total = float(inside.mean(axis=0).sum())
    share = inside.mean(axis=0) / total
    each = np.array([e for e, _, _ in parts])
    estimate = float(share @ each)
    psi = np.column_stack([p for _, p, _ in parts]) @ share + inside @ ((each - estimate) / total)
    return estimate, psi
