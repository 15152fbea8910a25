"""Sorting at a cutoff: whether one side has more rows than a smooth density allows, or other people."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.words import listing, number, p_text
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused
from whence.data.table import NUMERIC, Table
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.estimation.prepare import satisfied
from whence.graphs.graph import Graph
from whence.stats.local_density import density_jump

BINS = 20
FEWEST = 100
DISTINCT = 0.8  # part of the rows with values of their own below which the variable is not taken to have a density

CARD = Card(
    name="sorting",
    task="check",
    title="Did anybody choose a side of the cutoff?",
    summary="If people can choose their side, there are more of them just on the better one, and they differ in what "
    "was fixed before.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=("Without sorting the density of the running variable is smooth at the cutoff.",),
    parameters=(Parameter("alpha", "float", 0.05, "Level of each test (shared among the controls).", 0.0, 1.0,
                          open_ends=True),),
    output="whence.checks.check.Check",
    cost="A pass over the rows, and one discontinuity for each control.",
    citations=(
        "Cattaneo, Jansson and Ma (2020), Simple local polynomial density estimators, Journal of the American "
        "Statistical Association 115",
        "McCrary (2008), Manipulation of the running variable in the regression discontinuity design: a density test, "
        "Journal of Econometrics 142",
    ),
    function="whence.checks.sorting:sorting",
)


def sorting(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0, progress: Progress = SILENT,
    **params: Any,
) -> Check:
    """The density of the running variable on both sides of the cutoff, by local polynomials of its distribution
    function (``density_jump``: bandwidths for quadratic, fits of cubic ones, jackknife errors), and the jump of each
    control there. Everybody in the population counts for the density, those without an outcome too.

    Worry: either jumps at ``alpha`` (over the number of controls). Informational: the running variable takes few
    values, so that its density means little, and no control jumps.
    """
    p = CARD.checked(params)
    if effect.spec.strategy != "rdd" or effect.rows is None:
        return does_not_apply(CARD, "There is no cutoff in this design.")
    name = str(effect.spec.running_variable)
    x = _running(table, effect)
    jumps = _jumps(table, effect)
    limit = p["alpha"] / max(1, len(jumps))
    off = [j for j in jumps if j["p_value"] < limit]
    few = len(np.unique(x)) < DISTINCT * len(x) or len(x) < FEWEST
    jump = None if few else density_jump(x)
    said = (f"{name} takes few values (or there are few rows), so the density was not tested. " if jump is None else
            f"Just below the cutoff the density is {number(jump.left)}, just above {number(jump.right)} "
            f"({p_text(jump.p_value)}). ")
    if jumps:
        said += (f"Of {len(jumps)} controls, {len(off)} jump at the cutoff: {listing([j['control'] for j in off])}."
                 if off else f"None of {len(jumps)} controls jumps at the cutoff.")
    worried = bool(off) or (jump is not None and jump.p_value < p["alpha"])
    wide = float(np.median(np.abs(x))) if jump is None else max(jump.bandwidths)
    edges = np.linspace(-wide, wide, 2 * BINS + 1) if wide > 0 else np.array([-1.0, 1.0])
    numbers: dict[str, Any] = {"tested": jump is not None, "controls": jumps, "jumping": [j["control"] for j in off]}
    if jump is not None:
        numbers |= {"density_left": jump.left, "density_right": jump.right, "statistic": jump.statistic,
                    "p_value": jump.p_value, "bandwidths": list(jump.bandwidths), "rows": list(jump.rows)}
    return Check(
        CARD.name, CARD.title, "worry" if worried else "informational" if jump is None and not jumps else "pass",
        worry="More rows on one side of the cutoff than a smooth density allows, or people who differ in what was "
        "fixed before.",
        saw=said.strip(),
        cannot_show="Sorting that leaves equal numbers and equal controls on both sides, and anything else that "
        "changes at the same cutoff.",
        numbers=numbers,
        figure={"kind": "histogram_at_cutoff", "label": name, "cutoff": float(effect.diagnostics["cutoff"]),
                "edges": edges.tolist(), "counts": np.histogram(x, edges)[0].tolist()},
    )


def _running(table: Table, effect: Effect) -> np.ndarray:
    """How far from the cutoff everybody in the population is, those without an outcome too: they had a side as well."""
    values = table.numeric(str(effect.spec.running_variable))
    keep = np.isfinite(values)
    for condition in effect.spec.population:
        keep &= satisfied(table.column(condition.column), condition)
    return values[keep] - float(effect.diagnostics["cutoff"])


def _jumps(table: Table, effect: Effect) -> list[dict[str, Any]]:
    """The discontinuity of each numeric or yes-no control at the cutoff."""
    found = []
    for control in effect.spec.controls:
        if table.kind(control) not in NUMERIC and table.kind(control) != "binary":
            continue
        spec = effect.spec.replace(outcomes=(control,), controls=(), cutoff=float(effect.diagnostics["cutoff"]))
        made = estimate(table, spec, "rdd")
        if not isinstance(made, Refused):
            found.append({"control": control, "estimate": made.estimate, "p_value": made.p_value})
    return found
