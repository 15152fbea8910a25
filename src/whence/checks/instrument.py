"""Instruments: whether they move the treatment enough, and whether they go with what came before it."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.words import count, listing, number, p_text
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, to_plain
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.estimation.prepare import Prepared, prepare
from whence.graphs.graph import Graph
from whence.stats.features import features, independent

CARD = Card(
    name="instrument",
    task="check",
    title="Is the instrument strong, and was it left to chance?",
    summary="An instrument that hardly moves the treatment, or goes with what came before, may carry other effects.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=("The controls were fixed before the instrument.",),
    parameters=(
        Parameter("strength", "float", 10.0, "An effective F below this worries us.", 0.0),
        Parameter("alpha", "float", 0.01, "Level of the test of chance (shared among the instruments).", 0.0, 1.0,
                  open_ends=True),
    ),
    output="whence.checks.check.Check",
    cost="A regression of each instrument on the controls.",
    citations=(
        "Montiel Olea and Pflueger (2013), A robust test for weak instruments, Journal of Business and Economic "
        "Statistics 31",
        "Staiger and Stock (1997), Instrumental variables regression with weak instruments, Econometrica 65",
    ),
    function="whence.checks.instrument:instrument",
)


def instrument(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0, progress: Progress = SILENT,
    **params: Any,
) -> Check:
    """The effective F of the first stage, and for each instrument a robust Wald test that no control explains it.

    Worry: an effective F below ``strength``, or controls that explain an instrument at ``alpha`` over their number.
    The second does no harm where the controls are all it goes with, which the data cannot tell.
    """
    p = CARD.checked(params)
    if effect.spec.strategy != "iv":
        return does_not_apply(CARD, "No instrument is used.")
    data = prepare(table, effect.spec)
    if isinstance(data, Refused):
        return does_not_apply(CARD, data.reason)
    if effect.rows is not None:
        data = data.take(np.isin(data.rows, effect.rows))
    strength, by_treatment = effect.diagnostics.get("effective_f"), effect.diagnostics.get("conditional_f")
    of = "The effective F of the first stage is"
    if by_treatment:
        strength = min(by_treatment.values())
        of = f"The smallest conditional F, that of {min(by_treatment, key=by_treatment.__getitem__)}, is"
    found = explained(table, data)
    limit = p["alpha"] / max(1, len(found))
    off = {name: value for name, value in found.items() if value < limit}
    weak = strength is not None and strength < p["strength"]
    saw = [] if strength is None else [f"{of} {number(strength)}."]
    if found:
        saw.append(f"{listing(sorted(off))} {'goes' if len(off) == 1 else 'go'} with the controls "
                   f"({p_text(min(off.values()))})." if off else
                   f"The controls do not explain {listing(sorted(found))} ({p_text(min(found.values()))}).")
    return Check(
        CARD.name, CARD.title, "worry" if weak or off else "pass" if saw else "informational",
        worry=f"An effective F below {number(p['strength'])}, or an instrument that the controls explain more than "
        "chance would.",
        saw=" ".join(saw) or "There is no first stage with one F, and no control to look at.",
        cannot_show="Whether the instrument affects the outcome in other ways than through the treatment, or goes with "
        "something that was not measured. No test of one instrument can show that.",
        numbers=to_plain({"effective_f": strength, "p_values": found, "controls": count(len(effect.spec.controls),
                                                                                      "control")}),
    )


def explained(table: Table, data: Prepared) -> dict[str, float]:
    """Instrument -> p-value of no dependence on the controls, errors robust and by cluster; empty without controls."""
    if not data.spec.controls:
        return {}
    made = features(table, data.spec.controls, data.rows)
    if isinstance(made, Refused) or made.matrix.shape[1] == 0:
        return {}
    x = made.matrix - made.matrix.mean(0)
    x = x[:, independent(x, intercept=False)]
    found = {}
    for name in data.spec.instruments:
        column = table.column(name)
        if x.shape[1] and column.kind not in ("categorical", "text", "datetime"):
            found[name] = _wald(column.numeric()[data.rows].astype(float), x, data.clusters)
    return found


def _wald(z: np.ndarray, x: np.ndarray, clusters: np.ndarray | None) -> float:
    """p-value that no column of x (n, k), centred, explains z (n,)."""
    from scipy.special import fdtrc

    n, k = x.shape
    inverse = np.linalg.pinv(x.T @ x, hermitian=True)
    slope = inverse @ (x.T @ (z - z.mean()))
    scores = x * (z - z.mean() - x @ slope)[:, None]
    units = n
    if clusters is not None:
        units = int(clusters.max()) + 1
        scores = np.column_stack([np.bincount(clusters, s, units) for s in scores.T])
    if units <= k + 1:
        return 1.0
    spread = inverse @ (scores.T @ scores) @ inverse * units / (units - 1)
    statistic = float(slope @ np.linalg.pinv(spread, hermitian=True) @ slope) / k
    return float(fdtrc(k, units - 1, max(statistic, 0.0)))
