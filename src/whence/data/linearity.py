"""Is one column a straight line of another, plus noise? A partition test of lack of linear fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 6
MIN_ROWS = 10 * BINS


@dataclass(frozen=True)
class LackOfFit:
    """Whether the mean of ``outcome`` bends over ``cause``.

    statistic: F of ``bins`` group means against the straight line, with (df1, df2) degrees of freedom.
    effect: the share of what the line leaves unexplained that the bend explains.
    """

    cause: str
    outcome: str
    statistic: float
    df1: int
    df2: int
    p_value: float
    effect: float


def lack_of_fit(x: np.ndarray, ys: np.ndarray, cause: str, outcomes: tuple[str, ...]) -> list[LackOfFit]:
    """Tests of each column of ``ys`` (n, k) on ``x`` (n,); no missing values.

    The rows are cut into ``BINS`` groups of equal size along x; the F test compares the regression on
    (1, x, groups) with that on (1, x) (Christensen, 1991, Communications in Statistics 20, who calls it a
    partitioned lack-of-fit test). It is exact for Gaussian noise of constant variance and close to its size
    for other noise, because every group is large.
    """
    from scipy.special import fdtrc

    n = len(x)
    bend = _bends(x)
    if n < MIN_ROWS or bend is None:
        return []
    df1, df2 = bend.shape[1], n - bend.shape[1] - 2
    z = (x - x.mean()) / x.std()
    centred = ys - ys.mean(axis=0)
    spread = np.sqrt((centred**2).mean(axis=0))
    left = centred - np.outer(z, z @ centred / n)
    rest = (left**2).sum(axis=0)
    explained = ((bend.T @ left) ** 2).sum(axis=0)
    out = []
    for j, outcome in enumerate(outcomes):
        noise = rest[j] - explained[j]
        # A perfect line, or a constant, leaves only rounding error: there is no bend to test.
        if rest[j] > 1e-18 * n * spread[j] ** 2 > 0:
            f = (explained[j] / df1) / max(noise / df2, 1e-12 * rest[j] / n)
            p = float(fdtrc(df1, df2, f))
            out.append(LackOfFit(cause, outcome, float(f), df1, df2, p, float(explained[j] / rest[j])))
    return out


def _bends(x: np.ndarray) -> np.ndarray | None:
    """Orthonormal basis (n, groups - 1) of what group means add to the line; None with fewer than 3 groups."""
    cuts = np.unique(np.quantile(x, np.arange(1, BINS) / BINS))
    group = np.searchsorted(cuts, x, side="right")
    used, group = np.unique(group, return_inverse=True)
    if len(used) < 3 or x.std() == 0:
        return None
    line = np.column_stack([np.ones(len(x)), (x - x.mean()) / x.std()])
    design = np.column_stack([line, np.eye(len(used))[group][:, 1:]])
    q, r = np.linalg.qr(design)
    keep = np.abs(np.diag(r)) > 1e-8 * np.sqrt(len(x))
    keep[:2] = False
    return q[:, keep] if keep.any() else None
