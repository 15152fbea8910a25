"""Sorting at a cutoff: whether one side has more rows than a smooth density allows, or other people."""

from __future__ import annotations

import math
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
from whence.graphs.graph import Graph

WIDTH = 1.5  # of the window, in standard deviations times n^(-1/7): the level holds from 300 rows on (see the bench)
BINS = 20
FEWEST = 100

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
        "McCrary (2008), Manipulation of the running variable in the regression discontinuity design: a density test, "
        "Journal of Econometrics 142",
        "Cattaneo, Jansson and Ma (2020), Simple local polynomial density estimators, Journal of the American "
        "Statistical Association 115",
    ),
    function="whence.checks.sorting:sorting",
)


def boundary_kernel(u: np.ndarray) -> np.ndarray:
    """A kernel on [0, 1] with mass 1 and no first and second moment: the triangular one times a parabola, so that a
    density's value at the boundary is estimated free of bias to the third order."""
    moments = np.array([[1 / ((i + j + 1) * (i + j + 2)) for j in range(3)] for i in range(3)])
    a = np.linalg.solve(moments, np.array([1.0, 0.0, 0.0]))
    return np.where((u >= 0) & (u <= 1), (a[0] + a[1] * u + a[2] * u * u) * (1 - u), 0.0)


def density_jump(x: np.ndarray) -> tuple[float, float, float, float]:
    """Density left and right of zero, standard error of their difference, and the window's half width. x: (n,)."""
    middle = float(np.subtract(*np.quantile(x, (0.75, 0.25)))) / 1.349
    spread = float(np.std(x, ddof=1))
    h = WIDTH * (min(spread, middle) if middle > 0 else spread) * len(x) ** (-1 / 7)
    right, left = boundary_kernel(x / h) / h, np.where(x < 0, boundary_kernel(-x / h), 0.0) / h
    error = float(np.std(right - left, ddof=1)) / math.sqrt(len(x))
    return float(left.mean()), float(right.mean()), error, h


def sorting(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0, progress: Progress = SILENT,
    **params: Any,
) -> Check:
    """The density of the running variable on both sides of the cutoff, by a boundary kernel without bias to the third
    order, and the jump of each control there.

    Worry: either jumps at ``alpha`` (over the number of controls). Informational: the running variable takes few
    values, so that its density means little, and no control jumps.
    """
    from scipy.special import ndtr

    p = CARD.checked(params)
    if effect.spec.strategy != "rdd" or effect.rows is None:
        return does_not_apply(CARD, "There is no cutoff in this design.")
    name = str(effect.spec.running_variable)
    x = table.numeric(name)[effect.rows] - float(effect.diagnostics["cutoff"])
    jumps = _jumps(table, effect)
    limit = p["alpha"] / max(1, len(jumps))
    off = [j for j in jumps if j["p_value"] < limit]
    left, right, error, h = density_jump(x)
    few = len(np.unique(x)) < 0.8 * len(x) or len(x) < FEWEST or error == 0
    ratio = (right - left) / error if error > 0 else 0.0
    p_value = 2 * float(ndtr(-abs(ratio)))
    said = (f"{name} takes few values (or there are few rows), so the density was not tested. " if few else
            f"Just below the cutoff the density is {number(left)}, just above {number(right)} ({p_text(p_value)}). ")
    if jumps:
        said += (f"Of {len(jumps)} controls, {len(off)} jump at the cutoff: {listing([j['control'] for j in off])}."
                 if off else f"None of {len(jumps)} controls jumps at the cutoff.")
    worried = bool(off) or (not few and p_value < p["alpha"])
    edges = np.linspace(-3 * h, 3 * h, 2 * BINS + 1) if h > 0 else np.array([-1.0, 1.0])
    return Check(
        CARD.name, CARD.title, "worry" if worried else "informational" if few and not jumps else "pass",
        worry="More rows on one side of the cutoff than a smooth density allows, or people who differ in what was "
        "fixed before.",
        saw=said.strip(),
        cannot_show="Sorting that leaves equal numbers and equal controls on both sides, and anything else that "
        "changes at the same cutoff.",
        numbers={"density_left": left, "density_right": right, "p_value": p_value, "window": h, "tested": not few,
                 "controls": jumps, "jumping": [j["control"] for j in off]},
        figure={"kind": "histogram_at_cutoff", "label": name, "cutoff": float(effect.diagnostics["cutoff"]),
                "edges": edges.tolist(), "counts": np.histogram(x, edges)[0].tolist()},
    )


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
