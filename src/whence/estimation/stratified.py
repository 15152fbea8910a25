"""Experiments in blocks: differences within strata, weighted by how many rows each stratum stands for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.inference import Answer, Errors
from whence.estimation.ipw import continuous_refusal
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.within import Adjusted, Blocks, Cells, adjust, cells, complete_blocks

SHOWN = 60  # strata listed in the diagnostics
HALF = 0.5 - 1e-9

CARD = Card(
    name="stratified",
    task="estimation",
    title="Differences within strata",
    summary="The difference in means within each stratum of an experiment, averaged over the strata by their size.",
    data_kinds=("continuous", "count", "binary", "ordinal"),
    assumptions=("Within each stratum, who was treated was decided by chance.",),
    parameters=(
        Parameter("sampled_strata", "bool", False, "Whether the rows are a sample of people whose strata could have "
                  "come out in other proportions. No: the effect is for strata in the proportions they have here."),
        LEVEL,
    ),
    output="Effect",
    cost="One pass over the rows, and one least-squares fit with controls.",
    citations=(
        "Neyman (1923), On the application of probability theory to agricultural experiments",
        "Imai, King and Nall (2009), The essential role of pair matching in cluster-randomized experiments, "
        "Statistical Science 24",
        "Fogarty (2018), On mitigating the analytical limitations of finely stratified experiments, Journal of the "
        "Royal Statistical Society B 80",
        "Pashley and Miratrix (2021), Insights on variance estimation for blocked and matched pairs designs, Journal "
        "of Educational and Behavioral Statistics 46",
        "Liu and Yang (2020), Regression-adjusted average treatment effect estimates in stratified randomized "
        "experiments, Biometrika 107",
    ),
    function="whence.estimation.stratified:stratified",
    strategies=("rct",),
)


@dataclass(frozen=True)
class _Compared:
    """One comparison: estimate, influence values (n,), degrees of freedom; by stratum (s,) differences and shares of
    the whole; small: strata with a single unit in an arm; borrowed: whether their error comes from other strata."""

    estimate: float
    influence: np.ndarray
    df: float
    differences: np.ndarray
    shares: np.ndarray
    small: int
    borrowed: bool


def stratified(
    data: Prepared, *, sampled_strata: bool = False, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Differences in means within the strata of ``spec.strata``, weighted by rows (ATE), treated (ATT) or controls.

    Variance: Neyman's within each stratum where both arms have two rows or more. Strata where an arm has a single
    row (matched pairs among them) are taken together and their error is read from how their differences d_k vary,

        sum over k of w_k^2 (d_k - d)^2 / ((1 - 2 w_k) (1 + sum over i of w_i^2 / (1 - 2 w_i))),

    w the strata's shares of them all (Pashley and Miratrix 2021; the matched-pair variance when shares are equal);
    it is too large when effects differ between strata, never too small on average. Where it has no meaning (one such
    stratum, or one with half the weight) a single row's variance is that of its arm's rows in other strata. With
    clusters, clusters take the place of rows in all this. Degrees of freedom by Welch's formula. Controls adjust the
    outcome, see ``within.adjust``.

    Strata without both arms are set aside, with a remark. Refused: ``continuous_treatment``, ``no_strata``,
    ``no_complete_stratum``, ``too_few_per_stratum``, ``more_features_than_rows``.
    """
    if not data.treatment.discrete:
        return continuous_refusal(data, "stratified")
    if not data.spec.strata:
        return Refused("no_strata", "The spec names no strata.", {"strategy": data.spec.strategy},
                       "Name the columns within which the treatment was drawn by lot (strata=...), or use "
                       "method='difference'.")
    found = complete_blocks(data)
    if isinstance(found, Refused):
        return found
    adjusted = adjust(found.data, found.strata)
    return adjusted if isinstance(adjusted, Refused) else within_strata(found, adjusted, sampled_strata)


def within_strata(found: Blocks, adjusted: Adjusted, sampled_strata: bool = False) -> Answer | Refused:
    """``stratified`` on complete strata and an adjusted outcome."""
    data, strata = found.data, found.strata
    table = cells(data, strata, adjusted.outcome)
    compared = []
    for arm in range(1, len(data.treatment.arms)):
        one = _compare(found, table, arm)
        if isinstance(one, Refused):
            return one
        compared.append(one)
    influence = np.column_stack([c.influence for c in compared]) * adjusted.factor
    if sampled_strata:
        influence += np.column_stack([_proportions(found, table, c, j + 1) for j, c in enumerate(compared)])
    first = compared[0]
    used = np.flatnonzero(first.shares > 0)
    rows = np.bincount(strata, minlength=len(found.names))
    spare = np.inf if adjusted.spare is None else adjusted.spare
    df = np.array([min(c.df, spare) for c in compared])
    units = "rows" if data.clusters is None else "clusters"
    return Answer(
        data, estimates=np.array([c.estimate for c in compared]), influence=influence, df=df,
        errors=None if data.dependence is not None else Errors("Neyman", f"Neyman's, from {units} within strata", df),
        remarks=(*found.remarks, *adjusted.remarks, *_said(data, compared)),
        diagnostics={
            "strata": len(used), "strata_with_single_units": first.small, "slopes": adjusted.slopes,
            "controls": list(adjusted.labels[:SHOWN]),
            "by_stratum": {
                found.names[s]: {"n": int(rows[s]), "share": float(first.shares[s]),
                                 "difference": float(first.differences[s])} for s in used[:SHOWN]
            },
        },
    )


def _compare(found: Blocks, table: Cells, arm: int) -> _Compared | Refused:
    """One arm against the first."""
    data, strata = found.data, found.strata
    units = table.units[:, [0, arm]]
    shares = stratum_shares(table, arm, data.spec.quantity)
    differences = np.where(shares > 0, table.means[:, arm] - table.means[:, 0], 0.0)
    variances = shares[:, None] ** 2 * table.variances[:, [0, arm]]
    regular = (units >= 2).all(axis=1)
    small = (shares > 0) & ~regular
    sign = (data.treatment.codes == arm).astype(float) - (data.treatment.codes == 0)
    influence = data.n * sign * (shares * regular)[strata] * table.parts
    terms = [*variances[regular].ravel()]
    freedom = [*(units[regular] - 1).ravel().astype(float)]
    between = _between(shares[small], differences[small])
    borrowed = bool(small.any()) and between is None
    if between is not None:
        # A small stratum is one draw: its whole deviation stands on one of its rows.
        influence[_first_rows(strata, np.flatnonzero(small))] += data.n * between
        terms.append(float(between @ between))
        freedom.append(float(small.sum() - 1))
    elif borrowed:
        pooled = _pooled(table, arm)
        if pooled is None:
            return Refused(
                "too_few_per_stratum", "In every stratum an arm has a single row, and there are too few strata of "
                "equal weight to see how much the differences vary.", {"strata": int((shares > 0).sum())},
                "Use coarser strata, or more of them.")
        per_unit, spare = pooled
        inside = small[strata] & (sign != 0)
        influence[inside] = data.n * (sign * shares[strata] * table.parts)[inside]
        for s in np.flatnonzero(small):
            for column, a in enumerate((0, arm)):
                one = units[s, column] == 1
                terms.append(shares[s] ** 2 * (per_unit[column] if one else table.variances[s, a]))
                freedom.append(spare[column] if one else units[s, column] - 1.0)
                if one:
                    row = np.flatnonzero((strata == s) & (data.treatment.codes == a))[0]
                    influence[row] = data.n * (1 if a else -1) * shares[s] * np.sqrt(per_unit[column])
    return _Compared(float(shares @ differences), influence, welch(np.array(terms), np.array(freedom)), differences,
                     shares, int(small.sum()), borrowed)


def stratum_shares(table: Cells, arm: int, quantity: str) -> np.ndarray:
    """Weight of each stratum (s,), summing to 1: of all its rows, of those in ``arm`` (ATT) or in the first (ATC)."""
    mass = {"ATE": table.mass.sum(axis=1), "ATT": table.mass[:, arm], "ATC": table.mass[:, 0]}[quantity]
    mass = np.where((table.units[:, 0] > 0) & (table.units[:, arm] > 0), mass, 0.0)
    return mass / mass.sum()


def between_factors(shares: np.ndarray) -> np.ndarray | None:
    """Factors (k,) on d_k - d whose squares add up to the variance of the weighted mean d of strata with ``shares``;
    None where that variance cannot be had from them."""
    if len(shares) < 2:
        return None
    w = shares / shares.sum()
    if len(w) == 2 and np.allclose(w, 0.5):
        return np.full(2, np.sqrt(0.5)) * shares.sum()  # the limit of the formula below
    if w.max() > HALF:
        return None
    room = 1 - 2 * w
    return shares.sum() * w / np.sqrt(room * (1 + (w**2 / room).sum()))


def _between(shares: np.ndarray, differences: np.ndarray) -> np.ndarray | None:
    factors = between_factors(shares)
    return None if factors is None else factors * (differences - shares @ differences / shares.sum())


def _pooled(table: Cells, arm: int) -> tuple[np.ndarray, np.ndarray] | None:
    """A single unit's variance (2,) by arm from cells with several units, and its degrees of freedom."""
    units = table.units[:, [0, arm]]
    spare = np.maximum(units - 1, 0)
    squares = (spare * units * table.variances[:, [0, arm]]).sum(axis=0)
    total = spare.sum(axis=0)
    if total.sum() == 0:
        return None
    lacking = total == 0
    squares[lacking], total[lacking] = squares.sum(), total.sum()
    return squares / total, total.astype(float)


def welch(variances: np.ndarray, freedom: np.ndarray) -> float:
    """Degrees of freedom of a sum of independent variances, Welch's V^2 / sum(v^2 / (f + 2)) - 2, at least 1."""
    below = float((variances**2 / (freedom + 2)).sum())
    return float(freedom.sum()) if below == 0 else max(float(variances.sum()) ** 2 / below - 2, 1.0)


def _first_rows(strata: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    found, first = np.unique(strata, return_index=True)
    return first[np.searchsorted(found, wanted)]


def _proportions(found: Blocks, table: Cells, one: _Compared, arm: int) -> np.ndarray:
    """Influence (n,) of the strata's proportions: each row's stratum effect less the average effect. The effects of
    strata with single units are too noisy one by one and enter by their mean."""
    codes, quantity = found.data.treatment.codes, found.data.spec.quantity
    small = (one.shares > 0) & (table.units[:, [0, arm]] < 2).any(axis=1)
    effects = one.differences.copy()
    if small.any():
        effects[small] = one.shares[small] @ effects[small] / one.shares[small].sum()
    counted = {"ATE": np.ones(found.data.n), "ATT": codes == arm, "ATC": codes == 0}[quantity]
    target = found.data.w * counted * (one.shares > 0)[found.strata]
    return target / target.mean() * (effects[found.strata] - one.estimate)


def _said(data: Prepared, compared: list[_Compared]) -> list[Remark]:
    said = []
    for label, one in zip(data.treatment.labels, compared, strict=True):
        if not one.small:
            continue
        total, unit = int((one.shares > 0).sum()), "row" if data.clusters is None else "cluster"
        text = f"In {one.small:,} of {total:,} strata an arm has a single {unit}; "
        text += (f"its variance is taken to be that of such {unit}s in other strata." if one.borrowed else
                 "their error is read from how their differences vary, which is too large if effects differ between "
                 "strata.")
        said.append(Remark("small_strata", text if len(compared) == 1 else f"{label}: {text}",
                           tuple(sorted(data.spec.strata)), {"strata": one.small, "of": total}))
    return said
