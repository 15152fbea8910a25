"""Several treatments moved by instruments: the k-class with a joint first stage, and how strong it is for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from whence.core.result import Refused, Remark
from whence.estimation.inference import Answer
from whence.estimation.k_class import k_class, k_class_errors, overidentified
from whence.estimation.linear_errors import few_clusters
from whence.estimation.partialled import Partialled
from whence.estimation.prepare import Prepared

STRONG = 10.0  # of the conditional F, the rule of thumb of Staiger and Stock (1997)


def several_moved(
    data: Prepared, made: Partialled, estimator: str, interval: str, name: str, level: float
) -> Answer | Refused:
    """The coefficients of several treatments, intercept and controls partialled out; errors ``name``.

    b = (D'(I - kappa M)D)^-1 D'(I - kappa M)y with D the treatments, M what the instruments leave, and kappa as with
    one treatment. Refused: ``weak_instrument`` (the instruments do not move some treatment apart from the others, at
    the interval's level), ``errors_not_available`` (Anderson and Rubin's set is a region of all effects together),
    ``too_few_clusters``.
    """
    from scipy.special import fdtrc

    if interval == "anderson_rubin":
        return Refused("errors_not_available", "What Anderson and Rubin's test does not reject is a region of all "
                       "effects together, not an interval for each.", {"treatments": [t.name for t in data.treatments]},
                       "Use interval='wald', or one treatment at a time.")
    z, d = made.instruments, made.treatments / np.array([t.step for t in data.treatments])
    q = np.linalg.qr(z)[0]
    strength = {t.name: conditional_f(made, q, j) for j, t in enumerate(data.treatments)}
    for treatment, found in strength.items():
        if found["p_value"] > 1 - level:
            return _weak(data, treatment, found)
    moved = d - k_class(made, estimator, q) * (d - q @ (q.T @ d))
    if np.linalg.eigvalsh(d.T @ moved).min() <= 0:
        weakest = min(strength, key=lambda treatment: strength[treatment]["f"])
        return _weak(data, weakest, strength[weakest])
    direction = moved @ np.linalg.inv(d.T @ moved)
    estimates = direction.T @ made.outcome
    residuals = made.outcome - d @ estimates
    data, few = few_clusters(data, name)
    found = k_class_errors(data, made, name, direction, residuals)
    if isinstance(found, Refused):
        return found
    scores = z * made.outcome[:, None]
    total, spread = scores.sum(axis=0), np.linalg.pinv(made.products(scores), hermitian=True)
    none = float(fdtrc(z.shape[1], made.df, float(total @ spread @ total) / z.shape[1]))
    diagnostics = {"instruments": z.shape[1], "conditional_f": {t: each["f"] for t, each in strength.items()},
                   "conditional_p": {t: each["p_value"] for t, each in strength.items()},
                   "least_squares": np.linalg.lstsq(d, made.outcome, rcond=None)[0].tolist(),
                   "anderson_rubin_p": none, "covariance": name, **overidentified(made, residuals)}
    df = None if data.clusters is not None else np.full(len(estimates), made.df)
    return Answer(data, estimates, found[0], df, diagnostics, (*few, *_remarks(data, diagnostics)), errors=found[1],
                  labels=tuple(t.name for t in data.treatments))


def conditional_f(made: Partialled, q: np.ndarray, j: int) -> dict[str, float]:
    """How much the instruments move treatment ``j`` apart from the others (Sanderson and Windmeijer 2016, section 3).

    q: (n, L), an orthonormal basis of the instruments. f: of the treatment less the others' two-stage fit on the
    instruments, which are free in L - m + 1 directions. p_value: of no such movement, robust as the errors are.
    """
    from scipy.special import fdtrc

    d, n = made.treatments, len(q)
    one, others = d[:, j], np.delete(d, j, axis=1)
    seen = q.T @ others
    free = q @ np.linalg.qr(seen, mode="complete")[0][:, others.shape[1]:]
    gap = one - others @ np.linalg.lstsq(seen, q.T @ one, rcond=None)[0]
    along, rest = free.T @ gap, gap - q @ (q.T @ gap)
    count = free.shape[1]
    spread = np.linalg.pinv(made.products(free * rest[:, None]), hermitian=True)
    f = float(along @ along) / count / (float(rest @ rest) / (n - made.columns - q.shape[1]))
    return {"f": f, "p_value": float(fdtrc(count, made.df, float(along @ spread @ along) / count))}


def _weak(data: Prepared, treatment: str, found: dict[str, float]) -> Refused:
    names = ", ".join(data.spec.instruments)
    return Refused(
        "weak_instrument", f"The data do not show that {names} moves {treatment!r} apart from the other treatments "
        f"(conditional F {found['f']:.2f}): effects of any size agree with them.",
        {"conditional_f": found["f"], "p_value": found["p_value"], "treatment": treatment,
         "instruments": list(data.spec.instruments)},
        "More rows, an instrument that moves this treatment more, or one treatment at a time.",
    )


def _remarks(data: Prepared, found: dict[str, Any]) -> Iterator[Remark]:
    names = data.spec.instruments
    weakest = min(found["conditional_f"], key=lambda name: found["conditional_f"][name])
    if found["conditional_f"][weakest] < STRONG:
        yield Remark("weak_instruments", f"The instruments are weak for {weakest!r}: conditional F "
                     f"{found['conditional_f'][weakest]:.1f}, below {STRONG:g}; the estimates lean towards plain "
                     "regression, and the intervals may be too narrow.", names,
                     {"conditional_f": found["conditional_f"], "strong": STRONG})
    if found.get("hansen_p", 1.0) < 0.05:
        yield Remark("instruments_disagree", f"The instruments point to different effects (Hansen's J, p "
                     f"{found['hansen_p']:.2g}): one of them may affect the outcome in another way, or they move "
                     "different people.", names, {"p_value": found["hansen_p"]})
    yield Remark("same_for_all", "Several treatments moved by instruments have numbers of their own only where each "
                 "has the same effect on everybody whom the instruments move.", tuple(t.name for t in data.treatments))
