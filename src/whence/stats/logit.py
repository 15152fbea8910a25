"""Logistic and multinomial logistic regression by Newton's method.

Separation and non-convergence come back as values, never as huge coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ITERATIONS = 30
CONVERGED = 1e-9  # largest change of a linear predictor
FAR = 12.0  # a linear predictor beyond this, still moving after the last step, means separation


@dataclass(frozen=True)
class LogitFit:
    """A (multinomial) logit fit with class 0 as the base.

    design: (n, k). coefficients: (k, m - 1), one column per class 1 .. m - 1. probabilities: (n, m).
    errors: (n, m - 1), weight times (indicator - probability) of classes 1 .. m - 1. weights: (n,). information:
    the negative Hessian, ((m - 1) k, (m - 1) k), classes outermost. log_likelihood: without penalty.
    problem: None, ``"separation"`` (some rows are predicted perfectly, so no maximum exists) or
    ``"no_convergence"``. Nothing but ``problem`` and ``iterations`` means anything when it is set.
    """

    design: np.ndarray
    coefficients: np.ndarray
    probabilities: np.ndarray
    errors: np.ndarray
    weights: np.ndarray
    information: np.ndarray
    log_likelihood: float
    iterations: int
    problem: str | None = None

    def influence(self, combination: np.ndarray) -> np.ndarray:
        """Influence values (n,) of ``combination`` ((m - 1, k), classes outermost) of the coefficients."""
        direction = np.linalg.pinv(self.information, hermitian=True) @ combination.ravel()
        return len(self.design) * ((self.design @ direction.reshape(combination.shape).T) * self.errors).sum(axis=1)


def logit(
    design: np.ndarray, outcome: np.ndarray, weights: np.ndarray | None = None, penalty: float = 0.0
) -> LogitFit:
    """Logistic regression of ``outcome`` (0 or 1, (n,)) on ``design`` (n, k), intercept included by the caller."""
    return multinomial(design, outcome.astype(np.int64), 2, weights, penalty)


def multinomial(
    design: np.ndarray, classes: np.ndarray, n_classes: int, weights: np.ndarray | None = None,
    penalty: float = 0.0, tolerance: float = CONVERGED,
) -> LogitFit:
    """Maximum likelihood of ``classes`` (int (n,), 0 .. n_classes - 1) on ``design`` (n, k) of full column rank.

    Newton steps with halving until no linear predictor moves by ``tolerance``. penalty: half of it times
    the squared coefficients is subtracted from the log-likelihood, for all columns but the first (the
    intercept). With a finite maximum the steps shrink quadratically; under separation every step moves
    some linear predictors by about 1 for ever (Albert and Anderson 1984), which is how it is recognised.
    """
    n, k = design.shape
    w = np.ones(n) if weights is None else weights
    hot = np.zeros((n_classes, n)).T  # each class stands together, as it is read
    hot[np.arange(n), classes] = 1.0
    ridge = np.full((k, n_classes - 1), penalty)
    ridge[0] = 0.0
    beta = np.zeros((k, n_classes - 1))
    eta = design @ beta
    value, moved, iteration = _objective(eta, hot, w, beta, ridge), np.inf, 0
    while moved > tolerance and iteration < ITERATIONS:
        iteration += 1
        p = _softmax(eta)
        gradient = design.T @ (w[:, None] * (hot - p)[:, 1:]) - ridge * beta
        step = _solve(_information(design, p, w, ridge), gradient)
        if step is None:
            break
        size = 1.0
        while size > 1e-6:
            trial = beta + size * step
            trial_eta = design @ trial
            trial_value = _objective(trial_eta, hot, w, trial, ridge)
            if trial_value >= value - 1e-12 * abs(value):
                break
            size /= 2
        moved = float(np.abs(trial_eta - eta).max(initial=0.0))
        beta, eta, value = trial, trial_eta, trial_value
    problem = None
    if moved > tolerance:
        problem = "separation" if np.abs(eta).max(initial=0.0) > FAR else "no_convergence"
    p = _softmax(eta)
    likelihood = _objective(eta, hot, w, beta, 0 * ridge)
    errors = w[:, None] * (hot - p)[:, 1:]
    return LogitFit(design, beta, p, errors, w, _information(design, p, w, ridge), likelihood, iteration, problem)


def _softmax(eta: np.ndarray) -> np.ndarray:
    """Probabilities (n, m) from linear predictors (n, m - 1) of the classes after the base."""
    full = np.vstack([np.zeros(len(eta)), eta.T])
    full = np.exp(full - full.max(axis=0))
    return (full / full.sum(axis=0)).T


def _objective(eta: np.ndarray, hot: np.ndarray, w: np.ndarray, beta: np.ndarray, ridge: np.ndarray) -> float:
    full = np.vstack([np.zeros(len(eta)), eta.T])
    top = full.max(axis=0)
    log_sum = top + np.log(np.exp(full - top).sum(axis=0))
    return float(w @ ((hot.T * full).sum(axis=0) - log_sum)) - 0.5 * float((ridge * beta**2).sum())


def _information(design: np.ndarray, p: np.ndarray, w: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    """Negative Hessian of the penalised log-likelihood, classes outermost."""
    k, m = ridge.shape
    out = np.zeros((m * k, m * k))
    for a in range(m):
        for b in range(a + 1):
            curve = w * p[:, a + 1] * ((a == b) - p[:, b + 1])
            block = design.T @ (design * curve[:, None])
            out[a * k : (a + 1) * k, b * k : (b + 1) * k] = block
            out[b * k : (b + 1) * k, a * k : (a + 1) * k] = block.T
    return out + np.diag(ridge.T.ravel())


def _solve(information: np.ndarray, gradient: np.ndarray) -> np.ndarray | None:
    try:
        step = np.linalg.solve(information, gradient.T.ravel())
    except np.linalg.LinAlgError:
        return None
    return step.reshape(gradient.shape[1], -1).T if np.isfinite(step).all() else None
