"""Choices behind an interrupted series: a start moved to where nothing happened, and memory that the model leaves."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.words import number, p_text
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.data.table import Column, Table
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.estimation.prepare import prepare
from whence.estimation.series import FEWEST_BEFORE, Series, read_series
from whence.graphs.graph import Graph

KEPT = ("season", "harmonics", "slope")

CARD = Card(
    name="series_choices",
    task="check",
    title="Is there an effect before the start, or memory that the model leaves out?",
    summary="The start is moved into the time before, where there should be no effect, and what the model leaves of "
    "the series is searched for memory.",
    data_kinds=("continuous", "count", "binary", "ordinal"),
    assumptions=("Nobody reacts before treatment starts.",),
    parameters=(Parameter("alpha", "float", 0.05, "Level of both tests.", 0.0, 1.0, open_ends=True),),
    output="whence.checks.check.Check",
    cost="One more estimate of the series.",
    citations=(
        "Ljung and Box (1978), On a measure of lack of fit in time series models, Biometrika 65",
        "Lopez Bernal, Cummins and Gasparrini (2017), Interrupted time series regression for the evaluation of public "
        "health interventions: a tutorial, International Journal of Epidemiology 46",
    ),
    function="whence.checks.series_choices:series_choices",
)


def series_choices(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0, progress: Progress = SILENT,
    **params: Any,
) -> Check:
    """The estimate with the start half way into the time before, and Ljung and Box's test of what the model leaves.

    Worry: the moved start has an effect, or memory is left.
    """
    p = CARD.checked(params)
    if effect.spec.strategy != "interrupted_series" or effect.method not in ("interrupted_series", "structural_series"):
        return does_not_apply(CARD, "No series was compared with itself.")
    data = prepare(table, effect.spec)
    read = data if isinstance(data, Refused) else read_series(data)
    if isinstance(read, Refused):
        return does_not_apply(CARD, "The series could not be read again.")
    series = read[0]
    kept = {k: v for k, v in effect.provenance.parameters.items() if k in KEPT}
    moved = _moved(table, effect, series, kept)
    left = effect.diagnostics.get("leftover_p_value")
    saw = []
    if moved is None:
        saw.append("The time before the start is too short for a start moved into it.")
    else:
        saw.append(f"With the start moved to the middle of the time before, the effect until the real start is "
                   f"{number(moved.estimate)} ({p_text(moved.p_value)}).")
    if left is not None:
        saw.append(f"For memory beyond one period in what the model leaves: {p_text(left)}.")
    worrying = (moved is not None and moved.p_value < p["alpha"]) or (left is not None and left < p["alpha"])
    return Check(
        CARD.name, CARD.title, "worry" if worrying else "informational" if moved is None else "pass",
        worry="An effect before the start, or errors that remember more than was allowed for.",
        saw=" ".join(saw),
        cannot_show="That nothing else changed when treatment started.",
        numbers={"moved_start": None if moved is None else moved.estimate,
                 "moved_p_value": None if moved is None else moved.p_value, "leftover_p_value": left},
    )


def _moved(table: Table, effect: Effect, series: Series, kept: dict[str, Any]) -> Effect | None:
    """The estimate on the time before alone, with its second half as the time after."""
    middle = series.start // 2
    if middle < FEWEST_BEFORE:
        return None
    early = series.code < series.start
    status = np.full(table.n_rows, np.nan)
    status[series.data.rows[early]] = series.code[early] >= middle
    spec = effect.spec.replace(treatments=("moved start",), contrast=None)
    columns = {name: table.column(name) for name in spec.columns if name != "moved start"}
    columns["moved start"] = Column("moved start", "continuous", status)
    made = estimate(Table(MappingProxyType(columns), table.n_rows), spec, effect.method, **kept)
    return None if isinstance(made, Refused) else made
