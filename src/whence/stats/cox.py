"""Cox regression with Breslow's baseline hazard, by Newton steps on sums over risk sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEPS = 50
CLOSE = 1e-8  # largest change of the log-likelihood per unit weight that counts as none
FARTHEST = 20.0  # largest linear predictor, either way, so that its exponential stays a number


@dataclass(frozen=True)
class Cox:
    """coefficients: (p,). times: (k,), ascending, of the events. cumulative: (k,), the baseline cumulative hazard
    there, for a row whose columns are ``centre`` (p,)."""

    coefficients: np.ndarray
    times: np.ndarray
    cumulative: np.ndarray
    centre: np.ndarray

    def risk(self, x: np.ndarray) -> np.ndarray:
        """Hazard of rows (m, p) relative to the baseline, (m,)."""
        return np.exp(np.clip((x - self.centre) @ self.coefficients, -FARTHEST, FARTHEST))

    def baseline(self, when: np.ndarray, before: bool = False) -> np.ndarray:
        """Cumulative baseline hazard at times (any shape), or just before them."""
        place = np.searchsorted(self.times, when, side="left" if before else "right")
        return np.append(0.0, self.cumulative)[place]


def cox(x: np.ndarray, time: np.ndarray, event: np.ndarray, weights: np.ndarray, penalty: float = 0.01) -> Cox:
    """Fit to rows with columns x (n, p), times (n,), event (boolean (n,)) and weights (n,), ties by Breslow.

    penalty: on half the squared coefficients, which keeps them finite where the likelihood has no largest value.
    Newton with the step halved until the penalised likelihood rises (Cox 1972, Regression models and life tables,
    Journal of the Royal Statistical Society B 34; Breslow 1974, Biometrics 30). Without events the hazard is zero.
    """
    centre = np.average(x, axis=0, weights=weights) if x.shape[1] else np.zeros(0)
    x = x - centre
    times, place = np.unique(time, return_inverse=True)
    happened = np.bincount(place, weights * event, len(times))
    own = (weights * event) @ x
    beta = np.zeros(x.shape[1])
    state = _state(x, place, happened, weights, beta, own, penalty)
    for _ in range(STEPS if x.shape[1] and happened.any() else 0):
        level, _, gradient, hessian = state
        step = np.linalg.solve(hessian, gradient)
        new = beta + step
        for _ in range(STEPS):
            state = _state(x, place, happened, weights, new, own, penalty)
            if state[0] >= level - 1e-12 * abs(level):
                break
            step = step / 2
            new = beta + step
        beta = new
        if state[0] - level <= CLOSE * max(float(happened.sum()), 1.0):
            break
    seen = happened > 0
    return Cox(beta, times[seen], np.cumsum(state[1])[seen], centre)


def _state(x: np.ndarray, place: np.ndarray, happened: np.ndarray, weights: np.ndarray, beta: np.ndarray,
           own: np.ndarray, penalty: float) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Penalised log-likelihood, hazard at each time (k,), gradient and minus the second derivative."""
    score = np.clip(x @ beta, -FARTHEST, FARTHEST)
    risk = weights * np.exp(score)
    k, p = len(happened), x.shape[1]
    at_risk = np.cumsum(np.bincount(place, risk, k)[::-1])[::-1]
    hazard = happened / at_risk
    level = float(own @ beta - happened @ np.log(at_risk)) - penalty / 2 * float(beta @ beta)
    reached = risk * np.cumsum(hazard)[place]  # each row's own cumulative hazard
    sums = np.column_stack([np.bincount(place, risk * x[:, j], k) for j in range(p)]) if p else np.zeros((k, 0))
    means = np.cumsum(sums[::-1], axis=0)[::-1] / at_risk[:, None]
    gradient = own - reached @ x - penalty * beta
    hessian = (x * reached[:, None]).T @ x - (means * happened[:, None]).T @ means + penalty * np.eye(p)
    return level, hazard, gradient, hessian
