"""Correlations for Gaussian scores, also where values are missing: maximum likelihood by the EM algorithm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Remark
from whence.data.moments import moments
from whence.data.table import Table

STEPS, CLOSE = 500, 1e-6


@dataclass(frozen=True, eq=False)
class Correlations:
    """matrix: (d, d). n: rows; with gaps the average over pairs of columns of the rows that have both."""

    matrix: np.ndarray
    n: int
    remarks: tuple[Remark, ...] = ()


def correlations(table: Table, names: tuple[str, ...]) -> Correlations:
    """Correlations of numeric columns, none of them constant.

    Where values are missing, those of the normal distribution that fits all observed values best (Little and
    Rubin 2002, section 11.2.2); unbiased when values are missing at random. Raises ``WhenceError``
    (``never_together``) when two columns are never observed together.
    """
    if table.backing is not None:
        found = moments(table, names)
        remarks = () if not found.n_missing else (Remark(
            "missing_rows", f"{found.n_missing:,} rows with a missing value were not used.", (),
            {"rows": found.n_missing}),)
        return Correlations(np.ascontiguousarray(found.correlation), found.n, remarks)
    x = table.matrix(names)
    seen = ~np.isnan(x)
    if seen.all():
        return Correlations(_correlation(np.cov(_scaled(x), rowvar=False)), len(x))
    together = seen.T.astype(np.float64) @ seen
    if together.min() < 2:
        a, b = np.unravel_index(int(together.argmin()), together.shape)
        raise WhenceError(
            f"{names[a]!r} and {names[b]!r} are observed together in {together.min():.0f} rows, so nothing is known "
            "about their relation.", code="never_together", value=[names[a], names[b]],
            hint="Leave one of them out.",
        )
    matrix, steps = _expected(_scaled(x), seen)
    d = len(names)
    n = round(float(together[np.triu_indices(d, 1)].mean()))
    text = (f"{int((~seen).sum()):,} missing values were filled in by their expectation under a normal model (EM, "
            f"{steps} steps); the penalty counts {n:,} rows, the average over pairs of columns. This is right when "
            "values are missing at random.")
    gaps = {name: int(k) for name, k in zip(names, (~seen).sum(axis=0), strict=True) if k}
    return Correlations(matrix, n, (Remark("missing_expected", text, tuple(gaps), {"missing": gaps}),))


def _scaled(x: np.ndarray) -> np.ndarray:
    """Centred columns of at most unit size: sums of squares of very large or small values stay finite."""
    centred = x - np.nanmean(x, axis=0)
    return centred / np.nanmax(np.abs(centred), axis=0)


def _correlation(covariance: np.ndarray) -> np.ndarray:
    sd = np.sqrt(np.diag(covariance))
    out = covariance / sd[:, None] / sd[None, :]
    np.fill_diagonal(out, 1.0)
    return np.ascontiguousarray(out)


def _expected(x: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, int]:
    """The EM algorithm, rows grouped by which columns they have; returns the correlations and the steps taken."""
    filled = np.where(seen, x, 0.0)
    mean = np.nanmean(x, axis=0)
    cov = np.diag(np.nanvar(x, axis=0))
    patterns, which = np.unique(seen, axis=0, return_inverse=True)
    rows = [np.flatnonzero(which.ravel() == k) for k in range(len(patterns))]
    before = _correlation(cov)
    for step in range(1, STEPS + 1):
        spread = np.zeros_like(cov)
        for pattern, at in zip(patterns, rows, strict=True):
            gone, here = np.flatnonzero(~pattern), np.flatnonzero(pattern)
            if not len(gone):
                continue
            if len(here):
                slopes = np.linalg.lstsq(cov[np.ix_(here, here)], cov[np.ix_(here, gone)], rcond=None)[0]
                filled[np.ix_(at, gone)] = mean[gone] + (x[np.ix_(at, here)] - mean[here]) @ slopes
                left = cov[np.ix_(gone, gone)] - cov[np.ix_(gone, here)] @ slopes
            else:
                filled[np.ix_(at, gone)] = mean[gone]
                left = cov[np.ix_(gone, gone)]
            spread[np.ix_(gone, gone)] += len(at) * left
        mean = filled.mean(axis=0)
        centred = filled - mean
        cov = (centred.T @ centred + spread) / len(x)
        now = _correlation(cov)
        if np.abs(now - before).max() < CLOSE:
            return now, step
        before = now
    return before, STEPS
