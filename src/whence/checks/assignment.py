"""Assignment: whether chance alone would have made groups that differ this much in all controls together."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.setting import Setting, setting
from whence.checks.words import count, number, p_text
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import to_plain
from whence.core.rng import generator
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.estimation.within import blocks
from whence.graphs.graph import Graph
from whence.stats.assignment import Draws, observed_sums, random_assignments
from whence.stats.features import independent

CARD = Card(
    name="assignment",
    task="check",
    title="Could chance have made these groups?",
    summary="One test of whether the arms of an experiment differ in all controls together by more than a lot gives.",
    data_kinds=("binary", "categorical"),
    assumptions=("The treatment was drawn by lot: within strata, and by cluster, if the spec names them.",),
    parameters=(
        Parameter("alpha", "float", 0.01, "A p-value below this worries us.", 0.0, 1.0, open_ends=True),
        Parameter("few", "int", 1000, "Up to so many rows (or clusters) the p-value comes from redrawn lots, beyond "
                  "from the chi-squared distribution.", low=0),
        Parameter("draws", "int", 999, "Lots redrawn.", low=99),
    ),
    output="whence.checks.check.Check",
    cost="draws x rows x columns of the controls for few rows, else rows x columns^2.",
    citations=(
        "Hansen, B. B. and Bowers, J. (2008). Covariate balance in simple, stratified and clustered comparative "
        "studies. Statistical Science 23(2).",
    ),
    function="whence.checks.assignment:assignment",
)


def assignment(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """Hansen and Bowers' (2008) omnibus test of balance.

    The sums of the controls over the treated rows (or clusters), less what the lot gives on average within each
    stratum, as a quadratic form in the inverse of their covariance over lots: chi-squared for many units, or compared
    with redrawn lots. Worry: a p-value below ``alpha``, which by chance alone happens to that share of sound
    experiments. Raises ``WhenceError`` for unknown parameters and for tables that are not the effect's.
    """
    p = CARD.checked(params)
    s = setting(table, effect, parts=True)
    if not s.randomised:
        return does_not_apply(CARD, "The treatment was not drawn by lot.")
    if not s.arms:
        return does_not_apply(CARD, "The treatment is a quantity, so there are no two groups to compare.")
    if not s.labels:
        return does_not_apply(CARD, "There are no controls in which the groups could be compared.")
    s = s.columns(s.plain_columns)
    made = _units(s)
    if isinstance(made, str):
        return does_not_apply(CARD, made)
    draws, columns = made
    found = omnibus(draws, columns)
    if found is None:
        return does_not_apply(CARD, "Within the strata the controls do not vary, or one arm is empty, so chance has no "
                              "room.")
    statistic, df, p_value = found
    redrawn = len(draws.strata) <= p["few"]
    if redrawn:
        p_value = _redrawn(draws, columns, p["draws"], seed)
    numbers = {
        "statistic": statistic, "df": df, "p_value": p_value, "alpha": p["alpha"], "controls": len(s.labels),
        "units": len(draws.strata), "strata": len(draws.sizes), "redrawn": p["draws"] if redrawn else None,
    }
    return Check(
        CARD.name, CARD.title, "worry" if p_value < p["alpha"] else "pass",
        worry=(f"Differences in the controls that a fair lot gives in fewer than {number(100 * p['alpha'])} of 100 "
               "experiments."),
        saw=_saw(s, numbers), numbers=to_plain(numbers),
        cannot_show=("Groups alike in the columns we have may differ in others, and a lot that was tampered with can "
                     "leave no trace here. A sound experiment fails this test now and then; adjusting for the controls "
                     "that differ is then enough."),
    )


def _units(s: Setting) -> tuple[Draws, np.ndarray] | str:
    """What was drawn and the controls' sums over each unit; or why that is not clear."""
    found = blocks(s.data)
    treated = s.treated
    if s.clusters is None:
        return Draws(found.strata, treated), s.controls
    _, first, group = np.unique(s.clusters, return_index=True, return_inverse=True)
    group = group.ravel()
    if (treated != treated[first][group]).any() or (found.strata != found.strata[first][group]).any():
        return "The treatment varies within clusters, so it is not clear what was drawn by lot."
    # The size of a cluster is something in which the arms should be alike too.
    columns = np.column_stack([s.controls, np.ones(s.n)])
    return Draws(found.strata[first], treated[first]), np.column_stack([np.bincount(group, c) for c in columns.T])


def centred(draws: Draws, columns: np.ndarray) -> np.ndarray:
    """Columns (u, k) less their stratum's mean, without those that then follow from others; scaled to length 1."""
    means = np.column_stack([np.bincount(draws.strata, c) for c in columns.T]) / draws.sizes[:, None]
    x = columns - means[draws.strata]
    length = np.sqrt((x**2).sum(axis=0))
    size = np.sqrt((columns**2).sum(axis=0))
    x = x[:, length > 1e-9 * np.maximum(size, 1e-300)]
    x = x / np.sqrt((x**2).sum(axis=0))
    return x[:, independent(x, intercept=False)]


def covariance(draws: Draws, x: np.ndarray) -> np.ndarray:
    """Covariance (k, k) over lots of the sums of centred columns over the treated (Hansen and Bowers 2008, eq. 4)."""
    n, m = draws.sizes.astype(float), draws.chosen
    scale = np.where(n > 1, m * (n - m) / (n * np.maximum(n - 1, 1)), 0.0)
    return x.T @ (x * scale[draws.strata][:, None])


def omnibus(draws: Draws, columns: np.ndarray) -> tuple[float, int, float] | None:
    """Statistic, degrees of freedom and chi-squared p-value; None where nothing can vary."""
    from scipy.special import chdtrc

    x = centred(draws, columns)
    spread = covariance(draws, x)
    df = int(np.linalg.matrix_rank(spread, hermitian=True)) if x.shape[1] else 0
    if df == 0:
        return None
    gap = x[draws.treated].sum(axis=0)
    statistic = float(gap @ np.linalg.pinv(spread, hermitian=True) @ gap)
    return statistic, df, float(chdtrc(df, statistic))


def _redrawn(draws: Draws, columns: np.ndarray, number: int, seed: int) -> float:
    """Share of lots, this one counted, with a statistic at least as large."""
    x = centred(draws, columns)
    inverse = np.linalg.pinv(covariance(draws, x), hermitian=True)

    def statistic(sums: np.ndarray) -> np.ndarray:
        gap = sums.sum(axis=1)
        return np.einsum("ai,ij,aj->a", gap, inverse, gap)

    seen = statistic(observed_sums(draws, x))[0]
    rng = generator(seed, "assignment")
    beyond = sum(int((statistic(part) >= seen * (1 - 1e-9)).sum()) for part in
                 random_assignments(draws, x, number, rng))
    return (1 + beyond) / (1 + number)


def _saw(s: Setting, numbers: dict[str, Any]) -> str:
    unit = "row" if s.clusters is None else "cluster"
    where = f" within {count(numbers['strata'], 'stratum', 'strata')}" if numbers["strata"] > 1 else ""
    how = f"{count(numbers['redrawn'], 'redrawn lot')}" if numbers["redrawn"] else "the chi-squared distribution"
    text = (f"Over {count(numbers['controls'], 'column')} of the controls together, {count(numbers['units'], unit)}"
            f"{where} drawn by lot would differ at least this much with {p_text(numbers['p_value'])} (from {how}).")
    return text + (" That is hard to put down to chance: was the lot kept to?" if numbers["p_value"] < numbers["alpha"]
                   else "")
