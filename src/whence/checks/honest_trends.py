"""How far trends may part after the start before the answer changes, measured by how they parted before it."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.words import number
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.estimation.group_time import group_time
from whence.estimation.inference import Answer, covariance_of, degrees_of_freedom
from whence.estimation.prepare import prepare
from whence.graphs.graph import Graph
from whence.stats.trend_bounds import LARGEST, Path, breakdown, frontier, relative, smooth

LEADS = 8  # periods before the start that are looked at
SHOWN = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # multiples of the largest step before

CARD = Card(
    name="honest_trends",
    task="check",
    title="How far may trends part before the answer changes?",
    summary="Trends that parted before treatment may part again after it; the effect is bounded for steps up to some "
    "multiple of the largest one before, and for a gap that bends by some amount a period.",
    data_kinds=("continuous", "count", "binary", "ordinal"),
    assumptions=("How trends part after the start is limited by how they parted before it.",
                 "Nobody reacts before treatment starts."),
    parameters=(Parameter("level", "float", 0.95, "Level of the intervals.", 0.5, 1.0, open_ends=True),),
    output="whence.checks.check.Check",
    cost="Group-time effects once more, and a small search.",
    citations=("Rambachan and Roth (2023), A more credible approach to parallel trends, Review of Economic Studies "
               "90",),
    function="whence.checks.honest_trends:honest_trends",
)


def honest_trends(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0, progress: Progress = SILENT,
    **params: Any,
) -> Check:
    """Intervals for the mean effect after the start under both restrictions of Rambachan and Roth (2023), from
    group-time effects against the period before the start, with the largest restriction each that leaves out zero.

    Pass: zero is left out even when every step after is as large as the largest before. Worry: half such a step brings
    zero in.
    """
    p = CARD.checked(params)
    if effect.spec.strategy not in ("did", "event_study"):
        return does_not_apply(CARD, "This design does not compare changes over time.")
    data = prepare(table, effect.spec)
    compared = str(effect.provenance.parameters.get("compared_with", "not_yet"))
    made = data if isinstance(data, Refused) else group_time(data, base="universal", compared_with=compared)
    if isinstance(made, Refused):
        return does_not_apply(CARD, "Effects before and after the start could not be had: " + made.reason)
    found = _path(made, p["level"])
    if found is None:
        return does_not_apply(CARD, "There is only one period before treatment, so nothing shows how trends part.")
    path, shown = found
    steps = np.abs(path.steps @ path.estimates)
    plain = _holds_zero(relative(path, 0.0))
    within = {times: relative(path, times) for times in SHOWN}
    candidates = frontier(path)
    line = smooth(path, candidates, 0.0)
    bends = np.abs(np.diff(path.steps @ path.estimates))
    scale = float(bends.max(initial=0.0)) or float(steps.max())
    held = breakdown(lambda m: relative(path, m), 1.0)
    bent = breakdown(lambda m: smooth(path, candidates, m), scale)
    verdict = "informational" if plain else "pass" if held >= 1 else "worry" if held < 0.5 else "informational"
    low, high = within[1.0]
    estimate = float(path.target @ path.estimates[path.before:])
    most = f"more than {number(LARGEST)}" if held >= LARGEST else number(held)
    saw = (f"The mean effect after the start is {number(estimate)} ({number(within[0.0][0])} to "
           f"{number(within[0.0][1])}) if trends stay parallel. If the gap may move each period as much as it did at "
           f"most before the start ({number(float(steps.max()))}), the interval is {number(low)} to {number(high)}")
    saw += ("." if plain else f"; it leaves out zero up to {most} times that step.")
    saw += f" If the gap before went on in a straight line, it is {number(line[0])} to {number(line[1])}"
    saw += (f", and zero stays out while the slope changes by less than {number(bent)} a period." if bent > 0 else ".")
    return Check(
        CARD.name, CARD.title, verdict, worry="An effect that trends as uneven as those before would explain.", saw=saw,
        cannot_show="That trends after the start parted no more than before it.",
        numbers={"estimate": estimate, "largest_step_before": float(steps.max()), "breakdown_step": held,
                 "breakdown_bend": bent, "largest_bend_before": float(bends.max(initial=0.0)),
                 "straight_line": list(line), "periods_before": path.before, "periods_after": len(path.target),
                 "intervals": {str(times): list(ends) for times, ends in within.items()}},
        figure={"kind": "honest_trends", "level": p["level"], "estimate": estimate, "path": shown,
                "rows": [{"times": times, "low": low, "high": high} for times, (low, high) in within.items()]},
    )


def _holds_zero(interval: tuple[float, float]) -> bool:
    """Whether the interval holds zero."""
    return interval[0] <= 0 <= interval[1]


def _path(made: Answer, level: float) -> tuple[Path, list[dict[str, float]]] | None:
    """The estimates by time since the start without a gap in them, and the weights of those after by who is treated."""
    from scipy.special import ndtri, stdtrit

    assert made.labels is not None
    step = {int(label.split()[0]): k for k, label in enumerate(made.labels) if label.split()[0].lstrip("+-").isdigit()}
    before, after = [], []
    while -2 - len(before) in step and len(before) < LEADS:
        before.insert(0, -2 - len(before))
    while len(after) in step:
        after.append(len(after))
    if not before or not after:
        return None
    places = [step[e] for e in (*before, *after)]
    size = dict.fromkeys(after, 0.0)
    for cell in made.diagnostics["group_time"]:
        if cell["since"] in size:
            size[cell["since"]] += cell["units"]
    target = np.array(list(size.values()))
    df = degrees_of_freedom(made)
    tail = 0.5 + level / 2
    covariance = covariance_of(made)[np.ix_(places, places)]
    path = Path(made.estimates[places], covariance, target / target.sum(),
                float(ndtri(tail) if df is None else stdtrit(df, tail)), 1 - level)
    errors = np.sqrt(np.diagonal(covariance))
    shown = [{"time": e, "estimate": float(b), "error": float(s)}
             for e, b, s in zip((*before, *after), path.estimates, errors, strict=True)]
    return path, shown
