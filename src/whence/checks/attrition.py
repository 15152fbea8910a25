"""Attrition: whether outcomes of an experiment went missing because of the treatment, and what that could change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.words import count, listing, number, p_text, percent
from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, to_plain
from whence.data.table import Column, Table
from whence.estimation.effect import Effect, summarise
from whence.estimation.prepare import Prepared, prepare
from whence.estimation.within import blocks
from whence.graphs.graph import Graph
from whence.stats.features import features, plain
from whence.stats.lee import LeeBounds, lee_bounds
from whence.stats.regress import covariance_matrix, influence, ols

MARK = "outcome is missing"
ROWS_PER_COLUMN = 5

CARD = Card(
    name="attrition",
    task="check",
    title="Were outcomes lost because of the treatment?",
    summary="How many outcomes are missing in each arm, of whom, and the range of effects if the extremes were lost.",
    data_kinds=("binary", "categorical"),
    assumptions=("The treatment was drawn by lot, and it is known for those whose outcome is missing.",),
    parameters=(
        Parameter("alpha", "float", 0.05, "A p-value below this counts as a difference.", 0.0, 1.0, open_ends=True),
        Parameter("share", "float", 0.1, "A difference between the arms' shares of missing outcomes from which the "
                  "bounds decide, even where chance could explain it.", 0.0, 1.0),
    ),
    output="whence.checks.check.Check",
    cost="One least-squares fit on the rows with and without outcome.",
    citations=(
        "Lee, D. S. (2009). Training, wages, and sample selection: estimating sharp bounds on treatment effects. "
        "Review of Economic Studies 76(3).",
        "Imbens, G. W. and Manski, C. F. (2004). Confidence intervals for partially identified parameters. "
        "Econometrica 72(6).",
        "Ghanem, D., Hirshleifer, S. and Ortiz-Becerra, K. (2023). Testing attrition bias in field experiments. "
        "Journal of Human Resources.",
    ),
    function="whence.checks.attrition:attrition",
)


@dataclass(frozen=True)
class _Lost:
    """Every row whose treatment is one of the two compared. missing: bool (n,). outcome: (n,), NaN where missing.
    weights: (n,), by which both arms have every stratum in its proportion. controls: the effect's."""

    data: Prepared
    missing: np.ndarray
    outcome: np.ndarray
    weights: np.ndarray
    controls: tuple[str, ...]

    @property
    def treated(self) -> np.ndarray:
        return self.data.treatment.codes == 1


def attrition(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """Shares of missing outcomes by arm, their dependence on the controls by arm, and Lee's (2009) bounds.

    The shares are compared with robust (or clustered) errors. With controls, a joint test asks whether being missing
    goes with them differently in the two arms. Lee's bounds, with Imbens and Manski's interval, are of the effect on
    those whose outcome would be seen in either arm. Worry: one of the two tests has a p-value below half of ``alpha``,
    or the shares differ by more than ``share`` and the bounds' interval includes zero where the effect's does not.
    Raises ``WhenceError`` for unknown parameters and for tables that are not the effect's.
    """
    p = CARD.checked(params)
    if effect.provenance.data != table.hash:
        raise WhenceError("The effect was estimated on another table.", code="other_table",
                          value=effect.provenance.data, hint="Check it on the table it came from.")
    if effect.spec.strategy != "rct":
        return does_not_apply(CARD, "The treatment was not drawn by lot, so there were no groups to lose rows from.")
    found = _lost(table, effect)
    if found is None:
        return Check(CARD.name, CARD.title, "pass", _worry(p), f"Nobody was lost: all {effect.n:,} rows that have the "
                     "treatment have the outcome.", "People lost before the table was made leave no trace in it.",
                     {"missing": 0, "rows": effect.n})
    if isinstance(found, str):
        return does_not_apply(CARD, found)
    numbers = _rates(found, effect.level) | _by_controls(found)
    bounds = lee_bounds(found.outcome, found.treated, found.weights, found.data.clusters, effect.level)
    return _told(numbers, bounds, effect, p)


def _lost(table: Table, effect: Effect) -> _Lost | str | None:
    """The rows with their treatment known, whether or not their outcome is; None when nobody's is missing."""
    missing = table.column(effect.spec.outcome).missing
    if not missing.any():
        return None
    # Whether the outcome is missing takes its place; controls may be missing too and are looked at apart.
    marked = table.replace(Column(MARK, "continuous", missing.astype(float)))
    data = prepare(marked, replace(effect.spec, outcomes=(MARK,), controls=()))
    if isinstance(data, Refused):
        return None if data.code == "outcome_constant" else f"The rows of the two arms cannot be told: {data.reason}"
    if not data.treatment.discrete:
        return "The treatment is a quantity, so there are no two groups to compare."
    data = data.take(data.treatment.codes < 2)
    gone = data.outcome > 0
    if not gone.any():
        return None
    values = np.full(data.n, np.nan)
    values[~gone] = _numbers(table, effect, data.rows[~gone])
    strata, codes = blocks(data).strata, data.treatment.codes
    mass = np.zeros((int(strata.max()) + 1, 2))
    np.add.at(mass, (strata, codes), data.w)
    both = np.all(mass > 0, axis=1)
    weights = np.where(both[strata], data.w * mass.sum(axis=1)[strata] / mass[strata, codes], 0.0)
    if not both.any():
        return "No stratum has rows of both arms."
    return _Lost(data, gone, values, weights / weights.mean(), effect.spec.controls)


def _numbers(table: Table, effect: Effect, rows: np.ndarray) -> np.ndarray:
    """The outcome as the effect counts it."""
    column = table.column(effect.spec.outcome)
    coded = next((w for w in effect.warnings if w.code == "outcome_coded"), None)
    if coded is None or column.levels is None:
        return column.numeric()[rows]
    one = [plain(v) for v in column.levels].index(coded.evidence["one"])
    return np.equal(column.values[rows], one).astype(float)


def _rates(found: _Lost, level: float) -> dict[str, Any]:
    """Shares of missing outcomes and their difference."""
    d, t = found.data, found.treated.astype(float)
    inside = found.weights > 0
    design = np.column_stack([1 - t, t])[inside]
    clusters = None if d.clusters is None else d.clusters[inside]
    fit = ols(design, found.missing[inside].astype(float), found.weights[inside])
    contrast = np.array([[-1.0, 1.0]])
    error = float(np.sqrt(covariance_matrix(influence(fit, contrast, "HC2", clusters), clusters)[0, 0]))
    gap = float((contrast @ fit.coefficients)[0])
    df = None if clusters is None else len(np.unique(clusters)) - 1.0
    interval, p_value = summarise(gap, error, level, df)
    return {
        "missing": int(found.missing.sum()), "rows": d.n, "column": d.treatment.name, "treated": d.treatment.arms[1],
        "control": d.treatment.arms[0], "rate_treated": float(fit.coefficients[1]),
        "rate_control": float(fit.coefficients[0]), "difference": gap, "difference_low": interval[0],
        "difference_high": interval[1], "difference_p": p_value,
    }


def _by_controls(found: _Lost) -> dict[str, Any]:
    """Wald test that being missing goes with the controls in the same way in both arms, where there is room for it."""
    from scipy.special import fdtrc

    d, names = found.data, found.controls
    whole = d.table.complete(names)[d.rows]
    made = features(d.table, names, d.rows[whole]) if names and whole.any() else None
    if made is None or isinstance(made, Refused) or not made.labels:
        return {}
    x, t, gone = made.matrix, found.treated[whole], found.missing[whole]
    k = x.shape[1]
    if min(t.sum(), (~t).sum()) < ROWS_PER_COLUMN * (k + 1) or gone.sum() < ROWS_PER_COLUMN * (k + 1):
        return {}
    centred = x - x.mean(axis=0)
    design = np.column_stack([np.ones(len(t)), t, centred, centred * t[:, None]])
    clusters = None if d.clusters is None else d.clusters[whole]
    fit = ols(design, gone.astype(float), d.w[whole])
    chosen = np.eye(design.shape[1])[np.flatnonzero(fit.kept & (np.arange(design.shape[1]) >= 2 + k))]
    spread = covariance_matrix(influence(fit, chosen, "HC3", clusters), clusters)
    df = int(np.linalg.matrix_rank(spread, hermitian=True))
    spare = len(t) - fit.rank if clusters is None else len(np.unique(clusters)) - 1
    if df == 0 or spare <= df:
        return {}
    gaps = chosen @ fit.coefficients
    statistic = float(gaps @ np.linalg.pinv(spread, hermitian=True) @ gaps)
    return {"controls": len(names), "controls_statistic": statistic / df, "controls_df": df,
            "controls_p": float(fdtrc(df, spare, statistic / df))}


def _worry(p: dict[str, Any]) -> str:
    return ("Outcomes missing more often in one arm, or of another kind of people in one arm than in the other, beyond "
            f"what chance gives in {number(100 * p['alpha'])} of 100 experiments; or a difference of more than "
            f"{percent(p['share'])} that could turn the answer.")


def _told(numbers: dict[str, Any], bounds: LeeBounds | None, effect: Effect, p: dict[str, Any]) -> Check:
    turned = False
    if bounds is not None:
        numbers |= {"lower": bounds.lower, "upper": bounds.upper, "bounds_low": bounds.interval[0],
                    "bounds_high": bounds.interval[1], "trimmed": bounds.trimmed}
        clear = not effect.interval[0] <= 0 <= effect.interval[1]
        turned = clear and bounds.interval[0] <= 0 <= bounds.interval[1]
    limit = p["alpha"] / 2
    reasons = [
        words for words, holds in (
            ("the arms lost different shares", numbers["difference_p"] < limit),
            ("the arms lost different kinds of people", numbers.get("controls_p", 1.0) < limit),
            ("the bounds no longer leave out zero", turned and abs(numbers["difference"]) > p["share"]),
        ) if holds
    ]
    return Check(
        CARD.name, CARD.title, "worry" if reasons else "pass", _worry(p), _saw(numbers, reasons),
        "Equal shares do not prove that the same kind of people were lost. The bounds hold if the treatment makes "
        "losses only rarer or only more frequent, and are about those whose outcome would be seen either way; they use "
        "no controls.", to_plain(numbers | {"alpha": p["alpha"], "share": p["share"]}),
    )


def _saw(n: dict[str, Any], reasons: list[str]) -> str:
    text = (f"{count(n['missing'], 'outcome')} of {n['rows']:,} {'is' if n['missing'] == 1 else 'are'} missing: "
            f"{percent(n['rate_treated'])} with {n['column']} = {n['treated']} and {percent(n['rate_control'])} with "
            f"{n['control']} ({p_text(n['difference_p'])} for the difference).")
    if "controls_p" in n:
        text += (f" Whether being missing goes with {count(n['controls'], 'control')} differently in the two arms: "
                 f"{p_text(n['controls_p'])}.")
    if "lower" in n:
        text += (f" If those lost were the most extreme of their arm, the effect on people whose outcome is seen "
                 f"either way would still lie between {number(n['lower'])} and {number(n['upper'])} (interval "
                 f"{number(n['bounds_low'])} to {number(n['bounds_high'])}).")
    return text + (f" So {listing(reasons)}." if reasons else "")
