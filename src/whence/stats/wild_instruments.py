"""The wild restricted efficient bootstrap of two-stage least squares with clusters, from sums by cluster alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.stats.wild_bootstrap import WildCluster, end, signs_for, sums_by

HALVINGS = 16  # of the search for an end of the interval
BATCH = 4_000_000  # numbers held at once


@dataclass(frozen=True)
class _Sums:
    """What no null changes. y, d: (n,), z: (n, L) orthonormal, all without the controls, whose orthonormal basis is
    ``base`` (n, k). zz: (G, L, L) and zq: (G, L, k), sums over each cluster."""

    y: np.ndarray
    d: np.ndarray
    z: np.ndarray
    base: np.ndarray
    code: np.ndarray
    zz: np.ndarray
    zq: np.ndarray


def wild_two_stage(
    y: np.ndarray, d: np.ndarray, z: np.ndarray, base: np.ndarray, clusters: np.ndarray, level: float, draws: int,
    rng: np.random.Generator,
) -> WildCluster:
    """Restricted efficient wild cluster bootstrap (WRE; Davidson and MacKinnon 2010, section 3, with signs by cluster).

    y, d: (n,), outcome and treatment; z: (n, L), instruments; base: (n, k), orthonormal basis of the controls, which
    are out of the others already. All rows times the root of their weights. Under the null b, the residual u = y - b d
    enters the first stage beside the instruments, d = z p + u c + e, and both residuals, u and d - z p, are multiplied
    by one sign per cluster. The statistic is the t of two-stage least squares with errors by cluster; the interval
    inverts the test, the signs kept.
    """
    _, code = np.unique(clusters, return_inverse=True)
    groups, q = int(code.max()) + 1, np.linalg.qr(z)[0]
    pairs = (q[:, :, None] * np.column_stack([q, base])[:, None, :]).reshape(len(y), -1)
    crossed = sums_by(pairs, code, groups).reshape(groups, q.shape[1], -1)
    sums = _Sums(y, d, q, base, code, crossed[:, :, : q.shape[1]], crossed[:, :, q.shape[1]:])
    signs = signs_for(groups, draws, rng)
    kept = list(signs.batches)
    estimate, error = _two_stage(sums)

    def p_value(null: float) -> float:
        t = abs(estimate - null) / error * (1 - 1e-8)
        beyond = np.concatenate([_drawn(sums, null, v) for v in kept]) >= t
        return float(beyond.mean()) if signs.complete else float((1 + beyond.sum()) / (1 + len(beyond)))

    ends = [end(lambda shift, side=side: p_value(estimate + side * shift), error, 1 - level, HALVINGS)
            for side in (-1, 1)]
    low, high = ends if signs.smallest < 1 - level else (None, None)
    interval = None if low is None or high is None else (estimate - low, estimate + high)
    return WildCluster(max(p_value(0.0), signs.smallest), interval, sum(v.shape[1] for v in kept), signs.complete,
                       signs.weights)


def _two_stage(s: _Sums) -> tuple[float, float]:
    """The estimate and its error by cluster, without the factor for few."""
    fitted = s.z @ (s.z.T @ s.d)
    estimate = float(fitted @ s.y / (fitted @ s.d))
    by_cluster = np.bincount(s.code, fitted * (s.y - estimate * s.d))
    return estimate, float(np.sqrt(by_cluster @ by_cluster) / (fitted @ s.d))


def _drawn(s: _Sums, null: float, signs: np.ndarray) -> np.ndarray:
    """|t| (draws,) of samples drawn under the null, ``signs`` (G, draws)."""
    groups = len(signs)
    u = s.y - null * s.d
    first = np.linalg.lstsq(np.column_stack([s.z, u]), s.d, rcond=None)[0][:-1]
    v = s.d - s.z @ first
    zu, zv = (sums_by(s.z * e[:, None], s.code, groups) for e in (u, v))  # (G, L)
    qu, qv = (sums_by(s.base * e[:, None], s.code, groups) for e in (u, v))  # (G, k)
    fixed = s.zz @ first
    found, most = [], max(1, BATCH // zu.size)
    for start in range(0, signs.shape[1], most):
        w = signs[:, start : start + most]
        along = first[:, None] + zv.T @ w  # (L, draws): z'd of each draw
        off = (along * (zu.T @ w)).sum(axis=0) / (along**2).sum(axis=0)  # its estimate less the null
        left_u = zu[:, :, None] * w[:, None, :] - s.zq @ (qu.T @ w)  # (G, L, draws): z'u by cluster, controls out
        left_d = fixed[:, :, None] + zv[:, :, None] * w[:, None, :] - s.zq @ (qv.T @ w)
        scores = (along * (left_u - off * left_d)).sum(axis=1)
        found.append(np.abs(off) * (along**2).sum(axis=0) / np.sqrt((scores**2).sum(axis=0)))
    return np.concatenate(found)
