"""Multiple imputation of missing controls: chained equations with what is known of a row, pooled by Rubin's rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from whence.core.result import Refused
from whence.core.rng import generator
from whence.data.table import Column, Table
from whence.estimation.dependence import words
from whence.estimation.inference import Answer, Errors, covariance_of, degrees_of_freedom
from whence.estimation.missing_controls import handling
from whence.estimation.prepare import Prepared
from whence.stats.features import features, level_codes
from whence.stats.logit import multinomial

DRAWS, SWEEPS = 10, 5
DONORS = 5  # rows with the nearest predictions, one of which lends its value
MOST_LEVELS = 20
ROWS_PER_COLUMN = 3  # an arm with fewer rows that have the value is imputed together with the others
PENALTY = 1.0  # on the squared coefficients of levels, so that none becomes certain
RIDGE = 1e-6


def imputed(data: Prepared, run: Callable[[Prepared], Answer | Refused], seed: int) -> Answer | Refused:
    """``run`` on the data, or, where the spec asks for it and a control is missing, on ten completed copies, pooled.

    Refused: what ``run`` refuses on any copy, ``too_many_levels``, ``values_missing`` (no row has some control),
    ``rows_differ`` (the method set different rows aside), ``errors_not_available`` (an interval of its own kind).
    """
    gaps = {name: data.table.column(name).missing[data.rows] for name in sorted(data.spec.controls)}
    gaps = {name: mask for name, mask in gaps.items() if mask.any()}
    if handling(data.spec) != "impute" or not gaps:
        return run(data)
    refused = _cannot(data, gaps)
    if refused is not None:
        return refused
    answers = []
    for draw in range(DRAWS):
        table = completed(data, gaps, generator(seed, "imputation", draw))
        found = run(dataclasses.replace(data, table=table, designs={}))
        if isinstance(found, Refused):
            return found
        answers.append(found)
    return pooled(data, answers)


def _cannot(data: Prepared, gaps: dict[str, np.ndarray]) -> Refused | None:
    for name, mask in gaps.items():
        column = data.table.column(name)
        if mask.all():
            return Refused("values_missing", f"No row used has a value of {name!r}.", {"column": name},
                           f"Leave {name!r} out of the controls.")
        levels = len(np.unique(level_codes(column, data.rows[~mask])[0]))
        if _as_levels(column) and levels > MOST_LEVELS:
            return Refused("too_many_levels", f"{name!r} has {levels} levels, too many to impute.",
                           {"column": name, "levels": levels}, "Merge levels, or use missing_controls='indicator'.")
    return None


def _as_levels(column: Column) -> bool:
    return column.kind in ("binary", "categorical", "text")


def completed(data: Prepared, gaps: dict[str, np.ndarray], rng: np.random.Generator) -> Table:
    """The table with every missing control of the rows used drawn from its distribution given the rest of the row.

    Chained equations (van Buuren 2018, algorithm 4.3): each control in turn is regressed on the outcome, the treatment
    and the other controls, by arm where there are rows enough; coefficients are drawn, then values: of the rows with
    the nearest predictions (predictive mean matching, algorithm 3.3) or, for levels, from a multinomial logit.
    """
    table = data.table
    for name, mask in gaps.items():
        known = data.rows[~mask]
        table = _filled(table, name, data.rows[mask], known[rng.integers(len(known), size=int(mask.sum()))])
    for _ in range(SWEEPS if len(gaps) > 1 else 1):
        for name, mask in gaps.items():
            table = _redrawn(data, table, name, mask, rng)
    return table


def _filled(table: Table, name: str, at: np.ndarray, lenders: np.ndarray) -> Table:
    column = table.column(name)
    values = column.values.copy()
    values[at] = values[lenders]
    return table.replace(Column(name, column.kind, values, column.levels))


def _redrawn(data: Prepared, table: Table, name: str, mask: np.ndarray, rng: np.random.Generator) -> Table:
    t, column = data.treatment, table.column(name)
    rest = features(table, [c for c in data.spec.controls if c != name], data.rows, 1)
    if isinstance(rest, Refused):
        raise AssertionError("the controls had columns for these rows before")
    y = (data.outcome - data.outcome.mean()) / max(float(data.outcome.std()), 1e-300)
    x = np.column_stack([np.ones(data.n), y, rest.matrix])
    lenders = np.zeros(data.n, dtype=np.int64)
    arms = range(len(t.arms)) if t.discrete else ()
    apart = t.discrete and all(((t.codes == a) & ~mask).sum() >= ROWS_PER_COLUMN * x.shape[1] for a in arms)
    if not apart:
        dose = (t.values - t.values.mean()) / max(float(t.values.std()), 1e-300)
        doses = np.column_stack([t.codes == a for a in arms if a]) if t.discrete else dose[:, None]
        x = np.column_stack([x, doses])
    for other in data.others:
        x = np.column_stack([x, (other.values - other.values.mean()) / max(float(other.values.std()), 1e-300)])
    for inside in [t.codes == a for a in arms] if apart else [np.ones(data.n, dtype=bool)]:
        known, gone = np.flatnonzero(inside & ~mask), np.flatnonzero(inside & mask)
        if len(gone):
            lent = _by_levels if _as_levels(column) else _by_prediction
            lenders[gone] = lent(x, column, data.rows, known, gone, rng)
    return _filled(table, name, data.rows[mask], data.rows[lenders[mask]])


def _by_prediction(
    x: np.ndarray, column: Column, rows: np.ndarray, known: np.ndarray, gone: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """For each row without a value, one with it whose prediction is among the nearest to a drawn one; int (gone,)."""
    if column.kind == "datetime":
        values = column.values[rows[known]].astype("datetime64[us]").astype(float)
    else:
        values = column.numeric()[rows[known]]
    values, x = values - values.mean(), _varied(x, known)
    gram = x[known].T @ x[known]
    bread = np.linalg.inv(gram + RIDGE * np.diag(np.diagonal(gram)))
    beta = bread @ (x[known].T @ values)
    rest = values - x[known] @ beta
    spread = np.sqrt(float(rest @ rest) / rng.chisquare(max(len(known) - x.shape[1], 1)))
    drawn = beta + spread * np.linalg.cholesky((bread + bread.T) / 2) @ rng.standard_normal(len(beta))
    order = np.argsort(x[known] @ beta, kind="stable")
    fitted, wanted = (x[known] @ beta)[order], x[gone] @ drawn
    few = min(DONORS, len(known))
    at = np.searchsorted(fitted, wanted)[:, None] + np.arange(-few, few)
    gap = np.abs(fitted[np.clip(at, 0, len(known) - 1)] - wanted[:, None])
    far = np.where((at >= 0) & (at < len(known)), gap, np.inf)
    nearest = np.take_along_axis(at, np.argsort(far, axis=1, kind="stable")[:, :few], axis=1)
    return known[order[nearest[np.arange(len(gone)), rng.integers(few, size=len(gone))]]]


def _by_levels(
    x: np.ndarray, column: Column, rows: np.ndarray, known: np.ndarray, gone: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """For each row without a level, one with a level drawn from its chances; int (gone,)."""
    seen, codes = np.unique(level_codes(column, rows[known])[0], return_inverse=True)
    if len(seen) == 1:
        return known[rng.integers(len(known), size=len(gone))]
    x = _varied(x, known)
    fit = multinomial(x[known], codes, len(seen), penalty=PENALTY)
    root = np.linalg.cholesky(np.linalg.inv(fit.information + RIDGE * np.eye(len(fit.information))))
    moved = (root @ rng.standard_normal(len(root))).reshape(len(seen) - 1, -1).T
    eta = np.column_stack([np.zeros(len(gone)), np.clip(x[gone] @ (fit.coefficients + moved), -30, 30)])
    chance = np.exp(eta - eta.max(axis=1, keepdims=True))
    reached = np.cumsum(chance / chance.sum(axis=1, keepdims=True), axis=1)
    chosen = (reached < rng.random(len(gone))[:, None]).sum(axis=1).clip(0, len(seen) - 1)
    first = np.array([known[np.flatnonzero(codes == j)[0]] for j in range(len(seen))])
    return first[chosen]


def _varied(x: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The intercept and the columns that vary among the rows with a value."""
    return x[:, np.append(True, np.ptp(x[known, 1:], axis=0) > 0)]


@dataclass(frozen=True)
class Rubin:
    """error: (m,), of pooled estimates. df: (m,). lost: (m,), share of the variance that is due to the gaps."""

    error: np.ndarray
    df: np.ndarray
    lost: np.ndarray


def rubin(estimates: np.ndarray, variances: np.ndarray, complete_df: np.ndarray) -> Rubin:
    """Rubin's (1987) rules with Barnard and Rubin's (1999) degrees of freedom.

    estimates, variances: (draws, m). complete_df: (m,), without gaps, infinite for the normal.
    """
    draws = len(estimates)
    between = (1 + 1 / draws) * estimates.var(axis=0, ddof=1)
    total = variances.mean(axis=0) + between
    lost = np.divide(between, total, out=np.zeros_like(total), where=total > 0)
    by_draws = (draws - 1) / np.maximum(lost, 1e-9) ** 2
    whole = np.minimum(complete_df, 1e15)
    left = (whole + 1) / (whole + 3) * whole * (1 - lost)
    return Rubin(np.sqrt(total), 1 / (1 / by_draws + 1 / np.maximum(left, 1e-9)), lost)


def pooled(data: Prepared, answers: list[Answer]) -> Answer | Refused:
    """One answer from those on completed copies; its influence values are their mean, scaled to the pooled errors."""
    first = answers[0]
    if any(a.interval is not None for a in answers):
        return Refused("errors_not_available", "The interval of this method does not come from an error, so those of "
                       "several imputations cannot be pooled.", {"imputations": len(answers)},
                       "Use missing_controls='indicator', or errors that add up (covariance='CR2', interval='wald').")
    if any(not np.array_equal(a.data.rows, first.data.rows) for a in answers):
        return Refused("rows_differ", "The method set different rows aside in different imputations.",
                       {"imputations": len(answers)}, "Use missing_controls='indicator'.")
    estimates = np.array([a.estimates for a in answers])
    variances = np.array([np.diagonal(covariance_of(a)) for a in answers])
    freedom = [degrees_of_freedom(first, j) for j in range(estimates.shape[1])]
    found = rubin(estimates, variances, np.array([np.inf if f is None else f for f in freedom]))
    mean = dataclasses.replace(first, influence=np.mean([a.influence for a in answers], axis=0))
    own = np.sqrt(np.diagonal(covariance_of(mean)))
    scale = np.divide(found.error, own, out=np.ones_like(own), where=own > 0)
    chances = [a.propensity for a in answers if a.propensity is not None]
    told = {"draws": len(answers), "share_of_variance": float(found.lost[0]), "estimates": estimates[:, 0].tolist()}
    return dataclasses.replace(
        mean, data=dataclasses.replace(first.data, table=data.table, designs={}), estimates=estimates.mean(axis=0),
        influence=mean.influence * scale, diagnostics={**first.diagnostics, "imputation": told},
        propensity=np.mean(chances, axis=0) if len(chances) == len(answers) else None,
        errors=Errors("imputed", words(first) + f"; {len(answers)} imputations pooled", found.df),
    )
