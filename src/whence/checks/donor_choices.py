"""Choices behind a synthetic control: donors left out one at a time, and a start moved to where nothing happened."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.words import count, number, p_text
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.data.table import Table
from whence.estimation.donors import FEWEST_DONORS, FEWEST_PERIODS, Panel, read_panel
from whence.estimation.effect import Effect
from whence.estimation.prepare import prepare
from whence.estimation.synthetic_control import FITS, parts_of
from whence.estimation.synthetic_inference import FEWEST_PLACEBOS, placebos
from whence.graphs.graph import Graph

HEAVY = 0.01  # share of the weights from which a donor is left out
MOST = 12  # donors left out, those with the largest weights

CARD = Card(
    name="donor_choices",
    task="check",
    title="Does the answer hang on one untreated unit, or appear before the start?",
    summary="The weights are found again without each untreated unit that matters, and with the start moved into the "
    "time before, where there should be no effect.",
    data_kinds=("continuous", "count", "binary", "ordinal"),
    assumptions=("Nobody reacts before treatment starts.",),
    parameters=(Parameter("alpha", "float", 0.05, "Level of the test at the moved start.", 0.0, 1.0, open_ends=True),),
    output="whence.checks.check.Check",
    cost="One set of weights for each unit left out, and for each untreated unit as a placebo.",
    citations=(
        "Abadie, Diamond and Hainmueller (2015), Comparative politics and the synthetic control method, American "
        "Journal of Political Science 59 (sections on in-time placebos and leaving out donors)",
    ),
    function="whence.checks.donor_choices:donor_choices",
)


def donor_choices(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0, progress: Progress = SILENT,
    **params: Any,
) -> Check:
    """Estimates without each of the donors with the largest weights, and the estimate at a start half way into the
    time before, with its rank among the donors where one unit is treated.

    Worry: without one donor the estimate leaves the interval, or the moved start has an effect.
    """
    p = CARD.checked(params)
    if effect.method != "synthetic_control" or ") minus (" in effect.contrast or ") plus (" in effect.contrast:
        return does_not_apply(CARD, "No untreated units were weighted.")
    kind = str(effect.diagnostics["kind"])
    data = prepare(table, effect.spec)
    read = data if isinstance(data, Refused) else read_panel(data, kind == "did")
    if isinstance(read, Refused):
        return does_not_apply(CARD, "The panel could not be read again.")
    panel = read[0]
    without = _without(panel, kind, effect.diagnostics.get("share"))
    moved, p_value = _moved(panel, kind)
    low, high = effect.interval
    off = [w for w in without if not low <= w["estimate"] <= high]
    early = moved is not None and (
        p_value <= p["alpha"] if p_value is not None else abs(moved) > 2 * effect.standard_error)
    saw = ""
    if without:
        ends = sorted(w["estimate"] for w in without)
        saw = (f"Without one of {count(len(without), 'untreated unit')} at a time the estimate runs from "
               f"{number(ends[0])} to {number(ends[-1])}. ")
    if off:
        saw += f"Without {off[0]['without']} it is {number(off[0]['estimate'])}. "
    if moved is not None:
        saw += (f"With the start moved to the middle of the time before, the effect until the real start is "
                f"{number(moved)}" + (f" ({p_text(p_value)})." if p_value is not None else "."))
    return Check(
        CARD.name, CARD.title, "worry" if off or early else "pass",
        worry="An estimate that one untreated unit carries, or an effect before the start.",
        saw=saw.strip() or "There are too few untreated units and periods for either.",
        cannot_show="That the weighted average would have gone on following the treated unit.",
        numbers={"without": without, "moved_start": moved, "moved_p_value": p_value, "carried": len(off)},
    )


def _without(panel: Panel, kind: str, share: Any) -> list[dict[str, Any]]:
    """The estimate without each donor that has a share of the weights, the largest first."""
    if len(panel.donors) <= FEWEST_DONORS:
        return []
    parts, _ = parts_of(panel, kind, share)
    weights = np.abs(np.sum([part.share * part.fit.weights for part in parts], axis=0))
    found = []
    for i in np.argsort(-weights, kind="stable")[:MOST]:
        if weights[i] < HEAVY:
            break
        rest = replace(panel, donors=np.delete(panel.donors, i))
        estimate = sum(part.share * part.fit.effect for part in parts_of(rest, kind, share)[0])
        found.append({"without": panel.names[panel.donors[i]], "weight": float(weights[i]),
                      "estimate": float(estimate)})
    return found


def _moved(panel: Panel, kind: str) -> tuple[float | None, float | None]:
    """The mean effect between a start moved to the middle of the time before and the first real one, and its rank."""
    first = int(panel.start[panel.treated].min())
    moved = first // 2
    if moved < FEWEST_PERIODS or first - moved < 1:
        return None, None
    start = np.where(panel.start < panel.periods, moved, first)
    early = replace(panel, outcome=panel.outcome[:, :first], start=start, times=panel.times[:first])
    parts, _ = parts_of(early, kind)
    estimate = float(sum(part.share * part.fit.effect for part in parts))
    if len(panel.treated) > 1 or len(panel.donors) <= FEWEST_PLACEBOS:
        return estimate, None
    others = placebos(early, FITS[kind], [moved])
    beyond = sum(abs(one.fit.effect) >= abs(estimate) for one in others)
    return estimate, (1 + beyond) / (1 + len(others))
