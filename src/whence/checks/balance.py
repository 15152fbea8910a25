"""Balance: how much the two arms differ in each control, before and after weighting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.setting import Setting, inverse_weights, propensity, setting
from whence.checks.words import count, listing, number
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import to_plain
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.graphs.graph import Graph

CARD = Card(
    name="balance",
    task="check",
    title="Are the groups alike after adjustment?",
    summary="Standardised mean differences of every control between the two arms, before and after weighting.",
    data_kinds=("binary", "categorical"),
    assumptions=("The treatment compares two groups.",),
    parameters=(
        Parameter("threshold", "float", 0.1, "Largest standardised difference that does not worry us.", low=0.0),
    ),
    output="whence.checks.check.Check",
    cost="One logistic regression when the effect has no propensity scores; then linear in rows x columns.",
    citations=(
        "Austin, P. C. (2009). Balance diagnostics for comparing the distribution of baseline covariates "
        "between treatment groups in propensity-score matched samples. Statistics in Medicine 28(25).",
    ),
    function="whence.checks.balance:balance",
)


@dataclass(frozen=True)
class Balance:
    """before, after: standardised mean differences (k,), treated less control; infinite where both arms
    are constant and differ. ratio_before, ratio_after: variance treated over control, NaN where undefined.
    """

    before: np.ndarray
    after: np.ndarray
    ratio_before: np.ndarray
    ratio_after: np.ndarray


def differences(columns: np.ndarray, treated: np.ndarray, before: np.ndarray, after: np.ndarray) -> Balance:
    """Compare two arms column by column.

    columns: (n, k). treated: bool (n,). before, after: weights (n,). The denominator of both differences is
    the root of the mean of the two arms' variances under the weights ``before`` (Austin 2009), so that
    weighting changes only the numerator.
    """
    b1, v1 = _moments(columns[treated], before[treated])
    b0, v0 = _moments(columns[~treated], before[~treated])
    a1, w1 = _moments(columns[treated], after[treated])
    a0, w0 = _moments(columns[~treated], after[~treated])
    spread = np.sqrt((v1 + v0) / 2)
    return Balance(_over(b1 - b0, spread), _over(a1 - a0, spread), _ratio(v1, v0), _ratio(w1, w0))


def _moments(columns: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    share = weights / weights.sum()
    mean = share @ columns
    spare = 1 - float(share @ share)  # n / (n - 1) under equal weights
    return mean, share @ (columns - mean) ** 2 / spare if spare > 0 else np.zeros(columns.shape[1])


def _over(gap: np.ndarray, spread: np.ndarray) -> np.ndarray:
    flat = spread <= 1e-12
    out = gap / np.where(flat, 1.0, spread)
    return np.where(flat, np.where(np.abs(gap) <= 1e-12, 0.0, np.copysign(np.inf, gap)), out)


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    usable = (bottom > 1e-12) & (top > 1e-12)
    return np.where(usable, top / np.where(usable, bottom, 1.0), np.nan)


def balance(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """Standardised mean differences of the controls between the arms compared.

    Worry: after weighting by the inverse propensity, some difference exceeds ``threshold``. An effect
    that does not adjust (a difference in means) is judged by the differences before weighting; with a
    treatment assigned by chance, only those beyond three times what chance gives count.
    Raises ``WhenceError`` for unknown parameters and for tables that are not the effect's.
    """
    threshold = CARD.checked(params)["threshold"]
    s = setting(table, effect, parts=True)
    if not s.arms:
        return does_not_apply(CARD, "The treatment is a quantity, so there are no two groups to compare.")
    if not s.labels:
        return does_not_apply(CARD, "There are no controls whose balance could be compared.")
    adjusts = effect.method != "difference"
    before = s.data.w
    after = inverse_weights(s, propensity(s)) if adjusts else before
    s = s.columns(s.plain_columns)
    found = differences(s.controls, s.treated, before, after)
    chance = math.sqrt(1 / s.treated.sum() + 1 / (~s.treated).sum())
    limit = max(threshold, 3 * chance) if s.randomised else threshold
    return _told(s, found, adjusts, threshold, limit, chance)


def _told(s: Setting, found: Balance, adjusts: bool, threshold: float, limit: float, chance: float) -> Check:
    judged = np.abs(found.after if adjusts else found.before)
    off = [s.labels[j] for j in np.argsort(-judged, kind="stable") if judged[j] > limit]
    worst, worst_before = int(judged.argmax()), int(np.abs(found.before).argmax())
    numbers = {
        "controls": len(s.labels), "threshold": threshold, "limit": limit, "chance": chance,
        "largest_before": float(abs(found.before[worst_before])), "largest": float(judged[worst]),
        "largest_of": s.labels[worst], "above": len(off), "columns_above": off,
        "above_before": int((np.abs(found.before) > limit).sum()),
        "variance_ratio_range": _range(found.ratio_after if adjusts else found.ratio_before),
        "weighted_by": "inverse propensity" if adjusts else None,
    }
    return Check(
        CARD.name, CARD.title, "worry" if off else "pass",
        worry=_worry_words(s, adjusts, limit), saw=_saw_words(s, numbers, adjusts),
        cannot_show="Balance in the columns we have says nothing about things nobody measured.",
        numbers=to_plain(numbers), figure=to_plain(_figure(s, found, threshold)),
    )


def _worry_words(s: Setting, adjusts: bool, limit: float) -> str:
    when = "after weighting" if adjusts else "between the groups, which this estimate compares as they are,"
    why = " (three times what chance alone gives)" if s.randomised else ""
    return (f"A control whose average differs {when} by more than {number(limit)} of its standard "
            f"deviation{why}.")


def _saw_words(s: Setting, numbers: dict[str, Any], adjusts: bool) -> str:
    first = (f"Before any weighting, the largest difference among {count(numbers['controls'], 'column')} is "
             f"{number(numbers['largest_before'])} standard deviations")
    if adjusts:
        first += f"; after weighting by the inverse propensity it is {number(numbers['largest'])}"
        first += f" ({numbers['largest_of']!r})"
    text = first + f". Chance alone gives about {number(numbers['chance'])} in groups of this size."
    if numbers["above"]:
        text += (f" {count(numbers['above'], 'column')} beyond {number(numbers['limit'])}: "
                 f"{listing([repr(c) for c in numbers['columns_above']])}.")
    if s.method == "regression":
        text += " (The estimate itself adjusts by regression; the weights are a second look at the same controls.)"
    return text


def _range(ratios: np.ndarray) -> list[float] | None:
    known = ratios[np.isfinite(ratios)]
    return [float(known.min()), float(known.max())] if len(known) else None


def _figure(s: Setting, found: Balance, threshold: float) -> dict[str, Any]:
    rows = [
        {"label": label, "before": float(found.before[j]), "after": float(found.after[j]),
         "variance_ratio_before": float(found.ratio_before[j]), "variance_ratio_after": float(found.ratio_after[j])}
        for j, label in enumerate(s.labels)
    ]
    return {"kind": "balance", "threshold": threshold, "rows": rows}
