"""Instrumental variables: two-stage least squares, LIML and Fuller, with what weak instruments do to the interval."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.anderson_rubin import AndersonRubin, anderson_rubin
from whence.estimation.inference import Answer
from whence.estimation.parameters import LEVEL
from whence.estimation.partialled import Partialled, effective_f, partialled
from whence.estimation.prepare import Prepared
from whence.stats.regress import cluster_sums

STRONG = 23.1  # Montiel Olea and Pflueger (2013), table 1: relative bias of at most 10 % with one instrument

CARD = Card(
    name="iv",
    task="estimation",
    title="Instrumental variables (2SLS, LIML, Fuller)",
    summary="Compares outcomes along differences in treatment that the instruments made, and only those.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Given the controls, the instruments are as good as chosen by chance, and they affect the outcome only through "
        "the treatment.",
        "The instruments move the treatment the same way for everybody they move; the effect is that of those they "
        "move.",
        "Given the controls, outcome and treatment are linear in the controls.",
    ),
    parameters=(
        Parameter("estimator", "choice", "2sls", "How several instruments are weighed: two-stage least squares, "
                  "limited information maximum likelihood, or Fuller's correction of it with less spread.",
                  choices=("2sls", "liml", "fuller")),
        Parameter("interval", "choice", "auto", "'wald', estimate plus and minus; 'anderson_rubin', the effects that "
                  "the data do not reject, right however weak the instruments; 'auto', the latter below an effective F "
                  f"of {STRONG}.", choices=("auto", "wald", "anderson_rubin")),
        LEVEL,
    ),
    output="Effect",
    cost="n k^2 for n rows and k columns of controls and instruments.",
    citations=(
        "Angrist, Imbens and Rubin (1996), Identification of causal effects using instrumental variables, Journal of "
        "the American Statistical Association 91",
        "Anderson and Rubin (1949), Estimation of the parameters of a single equation in a complete system of "
        "stochastic equations, Annals of Mathematical Statistics 20",
        "Fuller (1977), Some properties of a modification of the limited information estimator, Econometrica 45",
        "Montiel Olea and Pflueger (2013), A robust test for weak instruments, Journal of Business and Economic "
        "Statistics 31",
    ),
    function="whence.estimation.iv:iv",
    strategies=("iv",),
    quantities=("ATE", "LATE"),
)


def iv(data: Prepared, *, estimator: str = "2sls", interval: str = "auto", level: float = 0.95, seed: int = 0,
       progress: Progress = SILENT) -> Answer | Refused:
    """The coefficient of the treatment, intercept and controls partialled out.

    A k-class estimate d'(I - kappa M) y / d'(I - kappa M) d, with M what the instruments leave: kappa is 1 (2SLS), the
    smallest root of LIML, or that less 1 / (n - columns) (Fuller 1977). Errors are robust (HC1) or by cluster (CR1).

    Refused: ``several_arms``, ``weak_instrument`` (effects without end agree with the data), those of ``partialled``.
    """
    if len(data.treatment.arms) > 2:
        return Refused("several_arms", f"The treatment {data.treatment.name!r} has {len(data.treatment.arms)} values "
                       "that are not numbers; instruments move one quantity.", {"arms": list(data.treatment.arms)},
                       "Compare two of them: limit the population to these, or make a numeric treatment.")
    made = partialled(data)
    if isinstance(made, Refused):
        return made
    y, d, z = made.outcome, made.treatment, made.instruments
    n, count = z.shape
    q = np.linalg.qr(z)[0]
    fitted = q @ (q.T @ d)
    strength, ar = effective_f(made), anderson_rubin(made, level)
    if ar.unbounded:
        return _weak(data, strength)
    kappa = 1.0 if estimator == "2sls" else _smallest_root(y, d, q)
    if estimator == "fuller":
        kappa -= 1 / (n - made.columns - count)
    moved = d - kappa * (d - fitted)
    slope = float(moved @ d) / n
    if slope <= 0:
        return _weak(data, strength)
    estimate = float(moved @ y) / n / slope
    residuals = y - estimate * d
    step = data.treatment.step
    influence = step * moved * residuals / slope * np.sqrt(made.factor)
    share = float(fitted @ fitted) / count / (float((d - fitted) @ (d - fitted)) / (n - made.columns - count))
    diagnostics = {"effective_f": strength, "first_stage_f": share, "instruments": count,
                   "partial_r2": float(fitted @ fitted / (d @ d)), "least_squares": step * float(d @ y / (d @ d)),
                   "anderson_rubin_p": ar.p_value, **_overidentified(made, residuals), **_exogenous(made, d - fitted)}
    ends = None if ar.interval is None else _scaled(ar.interval, step)
    if ends is not None:
        diagnostics["anderson_rubin"] = list(ends)
    robust = ends is not None and (interval == "anderson_rubin" or (interval == "auto" and strength < STRONG))
    return Answer(
        data, np.array([step * estimate]), influence[:, None],
        None if data.clusters is not None else np.array([made.df]), diagnostics,
        tuple(_remarks(data, diagnostics, robust, interval, ar)),
        interval=ends if robust else None, p_value=ar.p_value if robust else None,
    )


def _scaled(ends: tuple[float, float], step: float) -> tuple[float, float]:
    low, high = sorted((step * ends[0], step * ends[1]))
    return low, high


def _smallest_root(y: np.ndarray, d: np.ndarray, q: np.ndarray) -> float:
    """LIML's kappa: the smallest eigenvalue of (W'W) relative to W'MW, W = (y, d)."""
    both = np.column_stack([y, d])
    left = both - q @ (q.T @ both)
    return float(np.linalg.eigvals(np.linalg.solve(left.T @ left, both.T @ both)).real.min())


def _overidentified(made: Partialled, residuals: np.ndarray) -> dict[str, float]:
    """Hansen's J: whether the instruments agree on one effect. Nothing to test with one instrument."""
    from scipy.special import chdtrc

    count = made.instruments.shape[1]
    if count < 2:
        return {}
    # One step from the two-stage residuals to the efficient weights (Hansen 1982).
    scores = made.scores(residuals)
    weight = np.linalg.pinv(scores.T @ scores, hermitian=True)
    towards, target = made.instruments.T @ made.treatment, made.instruments.T @ made.outcome
    best = float(towards @ weight @ target / (towards @ weight @ towards))
    off = target - best * towards
    j = float(off @ weight @ off)
    return {"hansen_j": j, "hansen_p": float(chdtrc(count - 1, j))}


def _exogenous(made: Partialled, first: np.ndarray) -> dict[str, float]:
    """Wu and Hausman: the first-stage residual's coefficient beside the treatment, by a robust t."""
    from scipy.special import stdtr

    y, design = made.outcome, np.column_stack([made.treatment, first])
    gram = design.T @ design
    if np.linalg.cond(gram) > 1e12:
        return {}
    beta = np.linalg.solve(gram, design.T @ y)
    values = design * (y - design @ beta)[:, None] @ np.linalg.inv(gram)
    values = values if made.clusters is None else cluster_sums(values, made.clusters)
    error = np.sqrt(made.factor * float((values[:, 1] ** 2).sum()))
    return {} if error == 0 else {"hausman_p": 2 * float(stdtr(made.df, -abs(beta[1]) / error))}


def _weak(data: Prepared, strength: float) -> Refused:
    names = ", ".join(data.spec.instruments)
    return Refused(
        "weak_instrument", f"The data do not show that {names} moves {data.treatment.name!r} (effective F "
        f"{strength:.2f}): effects of any size agree with them.",
        {"effective_f": strength, "instruments": list(data.spec.instruments)},
        "More rows, or an instrument that moves the treatment more, are needed.",
    )


def _remarks(data: Prepared, found: dict[str, Any], robust: bool, asked: str, ar: AndersonRubin) -> Iterator[Remark]:
    names = data.spec.instruments
    if found["effective_f"] < STRONG:
        said = ("The interval is that of Anderson and Rubin, which is right for weak instruments too." if robust else
                "The interval may be too narrow." if asked == "wald" or ar.interval is None else "")
        text = (f"The instruments are weak: effective F {found['effective_f']:.1f}, below {STRONG}; the estimate leans "
                f"towards plain regression ({found['least_squares']:.4g}). {said}")
        yield Remark("weak_instruments", text.strip(), names, {"effective_f": found["effective_f"], "strong": STRONG})
    if found.get("hansen_p", 1.0) < 0.05:
        yield Remark("instruments_disagree", f"The instruments point to different effects (Hansen's J, p "
                     f"{found['hansen_p']:.2g}): one of them may affect the outcome in another way, or they move "
                     "different people.", names, {"p_value": found["hansen_p"]})
    if data.spec.quantity == "ATE":
        yield Remark("local_effect", f"The effect is that of those whose {data.treatment.name} the instruments move "
                     "(LATE); it is everybody's only if the effect is the same for all.", (data.treatment.name,))
