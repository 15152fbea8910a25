"""Choices behind a discontinuity: other bandwidths, a donut around the cutoff, and cutoffs where nothing happened."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.words import number, p_text
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.graphs.graph import Graph
from whence.identification.spec import Condition

TIMES = (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)
DONUT = 0.05  # of the bandwidth, left out around the cutoff

CARD = Card(
    name="cutoff_choices",
    task="check",
    title="Does the jump depend on choices, or appear where it should not?",
    summary="The jump is estimated with other bandwidths, without the rows nearest the cutoff, and at cutoffs on "
    "either side where no rule applies.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=("Away from the cutoff the outcome is smooth in the running variable.",),
    parameters=(Parameter("alpha", "float", 0.05, "Level of the tests at the two other cutoffs (halved for each).", 0.0,
                          1.0, open_ends=True),),
    output="whence.checks.check.Check",
    cost="Ten estimates of the discontinuity.",
    citations=(
        "Imbens and Lemieux (2008), Regression discontinuity designs: a guide to practice, J. of Econometrics 142",
    ),
    function="whence.checks.cutoff_choices:cutoff_choices",
)


def cutoff_choices(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0, progress: Progress = SILENT,
    **params: Any,
) -> Check:
    """Estimates at half to twice the bandwidth, with a donut of a twentieth of it, and jumps of the outcome at the
    median of each side.

    Worry: another bandwidth's estimate lies outside the interval and its own interval does not hold ours, or the
    outcome jumps where no rule applies.
    """
    p = CARD.checked(params)
    if effect.spec.strategy != "rdd" or effect.rows is None:
        return does_not_apply(CARD, "There is no cutoff in this design.")
    cutoff, h = float(effect.diagnostics["cutoff"]), float(effect.diagnostics["bandwidth"])
    spec = effect.spec.replace(cutoff=cutoff)
    same = {k: effect.diagnostics[k] for k in ("kernel", "order", "change")}
    curve = []
    for times in TIMES:
        made = estimate(table, spec, "rdd", bandwidth=times * h, **same)
        if not isinstance(made, Refused):
            curve.append({"bandwidth": times * h, "estimate": made.estimate, "low": made.interval[0],
                          "high": made.interval[1]})
    donut = estimate(table, spec, "rdd", donut=DONUT * h, bandwidth=h, **same)
    others = _elsewhere(table, effect, spec, cutoff)
    low, high = effect.interval
    off = [c for c in curve if not low <= c["estimate"] <= high and not c["low"] <= effect.estimate <= c["high"]]
    false = [o for o in others if o["p_value"] < p["alpha"] / max(1, len(others))]
    values = [c["estimate"] for c in curve]
    saw = f"With half to twice the bandwidth the estimate runs from {number(min(values))} to {number(max(values))}. "
    if not isinstance(donut, Refused):
        saw += f"Without the rows nearest the cutoff it is {number(donut.estimate)}. "
    for other in others:
        saw += (f"At {number(other['cutoff'])}, where no rule applies, the outcome jumps by "
                f"{number(other['estimate'])} ({p_text(other['p_value'])}). ")
    return Check(
        CARD.name, CARD.title, "worry" if off or false else "pass",
        worry="An estimate that another bandwidth contradicts, or a jump at a cutoff where nothing happens.",
        saw=saw.strip(),
        cannot_show="That the outcome would be smooth at the real cutoff without the treatment.",
        numbers={"bandwidths": curve, "donut": None if isinstance(donut, Refused) else donut.estimate,
                 "elsewhere": others, "contradicting": len(off), "false_jumps": len(false)},
        figure={"kind": "bandwidths", "curve": curve, "chosen": h, "estimate": effect.estimate},
    )


def _elsewhere(table: Table, effect: Effect, spec: Any, cutoff: float) -> list[dict[str, Any]]:
    """The jump of the outcome at the median of the running variable on each side, from that side's rows alone."""
    name = str(spec.running_variable)
    x = table.numeric(name)[effect.rows]
    found = []
    for side, operator in ((x < cutoff, "<"), (x >= cutoff, ">=")):
        place = float(np.median(x[side]))
        rule = np.where(np.isnan(table.numeric(name)), np.nan, table.numeric(name) >= place)
        made = _made(table, rule, spec.replace(
            treatments=("placebo rule",), cutoff=place, controls=(),
            population=(*spec.population, Condition(name, operator, cutoff))))  # type: ignore[arg-type]
        if not isinstance(made, Refused):
            found.append({"cutoff": place, "estimate": made.estimate, "p_value": made.p_value})
    return found


def _made(table: Table, rule: np.ndarray, spec: Any) -> Effect | Refused:
    from types import MappingProxyType

    from whence.data.table import Column

    columns = {name: table.column(name) for name in spec.columns if name != "placebo rule"}
    columns["placebo rule"] = Column("placebo rule", "continuous", rule)
    return estimate(Table(MappingProxyType(columns), table.n_rows), spec, "rdd")
