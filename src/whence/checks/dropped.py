"""Dropped covariates: leave out each control in turn and see how far the estimate moves."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.linear import Regressions, without_groups
from whence.checks.setting import setting
from whence.checks.words import also, count, listing, number
from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.graphs.graph import Graph

CARD = Card(
    name="dropped",
    task="check",
    title="Does the answer hang on one control?",
    summary="The effect is estimated again without each control in turn.",
    data_kinds=("binary", "categorical", "continuous"),
    assumptions=("A linear regression shows well enough what leaving a control out does.",),
    parameters=(),
    output="whence.checks.check.Check",
    cost="One QR factorisation of the controls; then columns^3 for each control.",
    citations=(
        "Leamer, E. E. (1983). Let's take the con out of econometrics. American Economic Review 73(1).",
        "Frisch, R. and Waugh, F. V. (1933). Partial time regressions as compared with individual trends. "
        "Econometrica 1(4).",
    ),
    function="whence.checks.dropped:dropped",
)


def dropped(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """Re-estimate by linear regression without each control; all levels of a category go together.

    Worry: without some control the estimate changes sign or leaves the interval of the regression on
    all controls. Raises ``WhenceError`` for unknown parameters and for tables that are not the effect's.
    """
    CARD.checked(params)
    s = setting(table, effect, several=True)
    if not s.names:
        return does_not_apply(CARD, "There are no controls to leave out.")
    found = without_groups(s.outcome, s.treatment, s.controls, s.groups(s.names), s.weights, s.clusters)
    low, high = _intervals(found, effect.level)
    moved = np.abs(found.estimate[1:] - found.estimate[0])
    order = sorted(range(len(s.names)), key=lambda g: (-moved[g], s.names[g]))
    flips = [s.names[g] for g in order if found.estimate[g + 1] * found.estimate[0] < 0]
    leaves = [s.names[g] for g in order if not low[0] <= found.estimate[g + 1] <= high[0]]
    most = order[0]
    numbers = {
        "controls": len(s.names), "estimate": float(found.estimate[0]), "low": float(low[0]), "high": float(high[0]),
        "smallest": float(found.estimate[1:].min()), "largest": float(found.estimate[1:].max()),
        "moves_most": s.names[most], "without_it": float(found.estimate[most + 1]),
        "flips": flips, "leaves": leaves, "effect": effect.estimate,
    }
    rows = [
        {"label": label, "estimate": float(found.estimate[g]), "low": float(low[g]), "high": float(high[g])}
        for label, g in [("all controls", 0), *((f"without {s.names[g]}", g + 1) for g in order)]
    ]
    return Check(
        CARD.name, CARD.title, "worry" if flips or leaves else "pass",
        worry="An estimate that changes sign, or leaves its interval, when a single control is left out.",
        saw=_saw(numbers),
        cannot_show=("A control that matters is no fault in itself: it then has to be measured well. And what "
                     "leaving out a known control does says little about the unknown ones."),
        numbers=numbers, figure={"kind": "dropped", "rows": rows},
    )


def _intervals(found: Regressions, level: float) -> tuple[np.ndarray, np.ndarray]:
    from scipy.special import ndtri

    half = float(ndtri(0.5 + level / 2)) * found.standard_error
    return found.estimate - half, found.estimate + half


def _saw(numbers: dict[str, Any]) -> str:
    how = also(numbers["estimate"], numbers["effect"])
    text = (
        f"A linear regression on {'the one control' if numbers['controls'] == 1 else 'all controls'} gives "
        f"{number(numbers['estimate'])}, interval {number(numbers['low'])} to {number(numbers['high'])}{how}. "
    )
    if numbers["controls"] == 1:
        text += f"Without {numbers['moves_most']!r} it is {number(numbers['without_it'])}."
    else:
        text += (f"Leaving out each of the {count(numbers['controls'], 'control')} in turn gives "
                 f"{number(numbers['smallest'])} to {number(numbers['largest'])}; {numbers['moves_most']!r} matters "
                 f"most ({number(numbers['without_it'])} without it).")
    if numbers["flips"]:
        return text + f" The sign changes without {listing([repr(n) for n in numbers['flips']])}."
    if numbers["leaves"]:
        return text + f" The estimate leaves its interval without {listing([repr(n) for n in numbers['leaves']])}."
    return text
