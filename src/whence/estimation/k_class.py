"""The k-class of instrumental estimators: its constant, its errors, and the test of too many instruments."""

from __future__ import annotations

import numpy as np

from whence.core.result import Refused
from whence.estimation.inference import Errors
from whence.estimation.linear_errors import Linear, described, reduced
from whence.estimation.partialled import Partialled
from whence.estimation.prepare import Prepared
from whence.stats.regress import COVARIANCES, adjusted_residuals


def k_class(made: Partialled, estimator: str, q: np.ndarray) -> float:
    """The constant kappa of ``estimator``; q: (n, L), an orthonormal basis of the instruments.

    1 for two-stage least squares; for LIML the smallest eigenvalue of (W'W) relative to W'MW, W the outcome and the
    treatments; for Fuller that less 1 / (n - columns).
    """
    if estimator == "2sls":
        return 1.0
    both = np.column_stack([made.outcome, made.treatments])
    left = both - q @ (q.T @ both)
    kappa = float(np.linalg.eigvals(np.linalg.solve(left.T @ left, both.T @ both)).real.min())
    return kappa if estimator == "liml" else kappa - 1 / (len(both) - made.columns - q.shape[1])


def k_class_errors(
    data: Prepared, made: Partialled, name: str, direction: np.ndarray, residuals: np.ndarray
) -> tuple[np.ndarray, Errors] | Refused:
    """Influence values (n, m) of the estimates ``direction' outcome``, direction (n, m), and which errors they give."""
    q = np.column_stack([made.base, np.linalg.qr(direction)[0]])
    if name in ("CR2", "CR3"):
        return reduced(data, Linear(q, direction, residuals), name)
    if name in COVARIANCES:
        adjusted = adjusted_residuals(residuals, (q * q).sum(axis=1), name, q.shape[1])
    else:
        adjusted = residuals * np.sqrt(made.factor)
    return len(residuals) * direction * adjusted[:, None], Errors(name, described(data, name))


def overidentified(made: Partialled, residuals: np.ndarray) -> dict[str, float]:
    """Hansen's J: whether the instruments agree on the effects. Nothing to test with as many as treatments."""
    from scipy.special import chdtrc

    more = made.instruments.shape[1] - made.slopes
    if more < 1:
        return {}
    # One step from the two-stage residuals to the efficient weights (Hansen 1982).
    weight = np.linalg.pinv(made.products(made.instruments * residuals[:, None]) / made.factor, hermitian=True)
    towards, target = made.instruments.T @ made.treatments, made.instruments.T @ made.outcome
    best = np.linalg.solve(towards.T @ weight @ towards, towards.T @ weight @ target)
    off = target - towards @ best
    j = float(off @ weight @ off)
    return {"hansen_j": j, "hansen_p": float(chdtrc(more, j))}
