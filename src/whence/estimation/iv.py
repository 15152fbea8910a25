"""Instrumental variables: two-stage least squares, LIML and Fuller, with what weak instruments do to the interval."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.core.rng import generator
from whence.estimation.anderson_rubin import AndersonRubin, anderson_rubin
from whence.estimation.dependence import KINDS
from whence.estimation.inference import Answer
from whence.estimation.k_class import k_class, k_class_errors, overidentified
from whence.estimation.linear_errors import BY_CLUSTER, DRAWS, FEW, bootstrapped, chosen, few_clusters
from whence.estimation.parameters import LEVEL
from whence.estimation.partialled import Partialled, effective_f, partialled
from whence.estimation.prepare import Prepared
from whence.estimation.several_moved import several_moved
from whence.stats.features import level_codes
from whence.stats.regress import COVARIANCES
from whence.stats.wild_instruments import wild_two_stage

STRONG = 23.1  # Montiel Olea and Pflueger (2013), table 1: relative bias of at most 10 % with one instrument
MANY = 5  # instruments

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
        Parameter("covariance", "choice", None, "Standard errors. Independent rows: HC0 to HC3. Clusters: CR1; "
                  "CR2 or CR3, corrected for few or unequal clusters; 'wild', the cluster bootstrap (of 2SLS, one "
                  "treatment). Rows that depend on each other in another way: "
                  "'two_way' (with also_cluster), 'hac' (along the spec's time), 'conley' (with latitude, longitude, "
                  f"distance_km). None: HC1, or with clusters CR1, and CR2 below {FEW} of them.",
                  choices=(*COVARIANCES, *BY_CLUSTER, *KINDS), optional=True),
        DRAWS, LEVEL,
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
        "Sanderson and Windmeijer (2016), A weak instrument F-test in linear IV models with multiple endogenous "
        "variables, Journal of Econometrics 190",
        "Davidson and MacKinnon (2010), Wild bootstrap tests for IV regression, Journal of Business and Economic "
        "Statistics 28",
    ),
    function="whence.estimation.iv:iv",
    strategies=("iv",),
    quantities=("ATE", "LATE"),
    several_treatments=True,
)


def iv(data: Prepared, *, estimator: str = "2sls", interval: str = "auto", covariance: str | None = None,
       bootstrap_draws: int = 9999, level: float = 0.95, seed: int = 0, progress: Progress = SILENT
       ) -> Answer | Refused:
    """The coefficient of the treatment, intercept and controls partialled out.

    A k-class estimate d'(I - kappa M) y / d'(I - kappa M) d, with M what the instruments leave: kappa is 1 (2SLS), the
    smallest root of LIML, or that less 1 / (n - columns) (Fuller 1977). HC2, HC3, CR2 and CR3 take the leverage of the
    second stage's design; the interval of 'wild' is that of ``wild_two_stage`` unless that of Anderson and Rubin is
    asked for. The tests of strength and of Anderson and Rubin let rows depend on each other in the same way.

    Several treatments: see ``several_moved``. Refused: ``several_arms``, ``weak_instrument`` (effects without end agree
    with the data), ``too_few_clusters``, ``errors_not_available`` (the bootstrap of another estimator), those of
    ``partialled``.
    """
    name = chosen(data, covariance, rows="HC1")
    refused = _cannot(data, name, estimator)
    if refused is not None:
        return refused
    made = partialled(data)
    if isinstance(made, Refused):
        return made
    if data.others:
        return several_moved(data, made, estimator, interval, name, level)
    answer = _one_moved(data, made, estimator, interval, name, level)
    if isinstance(answer, Refused) or name != "wild" or answer.interval is not None or data.clusters is None:
        return answer
    found = wild_two_stage(made.outcome, made.treatment, made.instruments, made.base, data.clusters, level,
                           bootstrap_draws, generator(seed, "wild"))
    return bootstrapped(answer, found, level, data.treatment.step)


def _cannot(data: Prepared, name: str, estimator: str) -> Refused | None:
    t = data.treatment
    if len(t.arms) > 2:
        return Refused("several_arms", f"The treatment {t.name!r} has {len(t.arms)} values that are not numbers; "
                       "instruments move one quantity.", {"arms": list(t.arms)},
                       "Compare two of them: limit the population to these, or make a numeric treatment.")
    if name == "wild" and (estimator != "2sls" or data.others):
        return Refused("errors_not_available", "The cluster bootstrap here is that of two-stage least squares with one "
                       "treatment.", {"estimator": estimator, "treatments": [t.name for t in data.treatments]},
                       "Use covariance='CR2' or 'CR3'.")
    return None


def _one_moved(
    data: Prepared, made: Partialled, estimator: str, interval: str, name: str, level: float
) -> Answer | Refused:
    """The answer for one treatment, without the bootstrap."""
    y, d, z = made.outcome, made.treatment, made.instruments
    n, count = z.shape
    q = np.linalg.qr(z)[0]
    fitted = q @ (q.T @ d)
    strength, ar = effective_f(made), anderson_rubin(made, level)
    if ar.mute and (interval == "anderson_rubin" or strength < STRONG):
        return _few(data, strength)
    if ar.unbounded and not ar.mute:
        return _weak(data, strength)
    kappa = k_class(made, estimator, q)
    moved = d - kappa * (d - fitted)
    slope = float(moved @ d) / n
    if slope <= 0:
        return _weak(data, strength)
    estimate = float(moved @ y) / n / slope
    residuals = y - estimate * d
    step = data.treatment.step
    data, few = few_clusters(data, name)
    found = k_class_errors(data, made, name, (step * moved / (slope * n))[:, None], residuals)
    if isinstance(found, Refused):
        return found
    influence, errors = found
    share = float(fitted @ fitted) / count / (float((d - fitted) @ (d - fitted)) / (n - made.columns - count))
    diagnostics = {"effective_f": strength, "first_stage_f": share, "instruments": count,
                   "partial_r2": float(fitted @ fitted / (d @ d)), "least_squares": step * float(d @ y / (d @ d)),
                   "anderson_rubin_p": ar.p_value, "covariance": name, **overidentified(made, residuals),
                   **_exogenous(made, d - fitted), **_encouragement(data, made)}
    ends = None if ar.interval is None else _scaled(ar.interval, step)
    if ends is not None:
        diagnostics["anderson_rubin"] = list(ends)
    robust = ends is not None and (interval == "anderson_rubin" or (interval == "auto" and strength < STRONG
                                                                    and name != "wild"))
    remarks = (*few, *_remarks(data, diagnostics, robust, interval, ar), *_many(data, diagnostics, estimator))
    return Answer(
        data, np.array([step * estimate]), influence, None if data.clusters is not None else np.array([made.df]),
        diagnostics, remarks, interval=ends if robust else None, p_value=ar.p_value if robust else None, errors=errors,
    )


def _scaled(ends: tuple[float, float], step: float) -> tuple[float, float]:
    low, high = sorted((step * ends[0], step * ends[1]))
    return low, high


def _exogenous(made: Partialled, first: np.ndarray) -> dict[str, float]:
    """Wu and Hausman: the first-stage residual's coefficient beside the treatment, by a robust t."""
    from scipy.special import stdtr

    y, design = made.outcome, np.column_stack([made.treatment, first])
    gram = design.T @ design
    if np.linalg.cond(gram) > 1e12:
        return {}
    beta = np.linalg.solve(gram, design.T @ y)
    values = design * (y - design @ beta)[:, None] @ np.linalg.inv(gram)
    error = np.sqrt(max(float(made.products(values[:, 1:])[0, 0]), 0.0))
    return {} if error == 0 else {"hausman_p": 2 * float(stdtr(made.df, -abs(beta[1]) / error))}


def _encouragement(data: Prepared, made: Partialled) -> dict[str, Any]:
    """With one instrument of two values: what it does to the outcome and to the treatment, and who follows it."""
    if len(data.spec.instruments) != 1:
        return {}
    codes, labels = level_codes(data.table.column(data.spec.instruments[0]), data.rows)
    values, z = np.unique(codes, return_inverse=True)
    if len(values) != 2:
        return {}
    along = made.left(z * np.sqrt(data.w))
    along = along / (along @ along)
    effects = {}
    for what, values_of in (("itt", made.outcome), ("first_stage", made.treatment)):
        effect = float(along @ values_of)
        rest = values_of - effect * along / (along @ along)
        error = np.sqrt(max(float(made.products((along * rest)[:, None])[0, 0]), 0.0))
        effects |= {what: effect, f"{what}_error": float(error)}
    found: dict[str, Any] = {"of": f"{labels[values[1]]} vs {labels[values[0]]}", **effects}
    if data.treatment.discrete:
        shares = [float(np.average(data.treatment.codes[z == k], weights=data.w[z == k])) for k in (0, 1)]
        low, high = shares if effects["first_stage"] >= 0 else reversed(shares)
        found |= {"take_up": dict(zip((labels[v] for v in values), shares, strict=True)),
                  "one_sided": "nobody_else_treated" if low == 0 else "everybody_moved_treated" if high == 1 else None}
    return {"encouragement": found}


def _many(data: Prepared, found: dict[str, Any], estimator: str) -> Iterator[Remark]:
    """What many instruments do, and whose effect it is when take-up is one-sided."""
    count, names, t = found["instruments"], data.spec.instruments, data.treatment.name
    if estimator == "2sls" and count >= MANY and (found["effective_f"] < STRONG or count > data.n / 20):
        yield Remark(
            "many_instruments", f"{count} instruments, few of them strong: the two-stage estimate leans towards plain "
            f"regression ({found['least_squares']:.4g}) the more of them there are. estimator='liml' or 'fuller' does "
            "not, and fewer instruments may say more.", names, {"instruments": count, "rows": data.n},
        )
    one_sided = found.get("encouragement", {}).get("one_sided")
    if one_sided == "nobody_else_treated":
        yield Remark("one_sided_take_up", f"Nobody has {t} = {data.treatment.arms[1]} without the instrument, so the "
                                          f"effect "
                     "is that of all those treated (ATT).", names)
    if one_sided == "everybody_moved_treated":
        yield Remark("one_sided_take_up", f"Everybody moved by the instrument has {t} = {data.treatment.arms[1]}, so "
                                          f"the "
                     "effect is that of all those not treated (ATC).", names)


def _weak(data: Prepared, strength: float) -> Refused:
    names = ", ".join(data.spec.instruments)
    return Refused(
        "weak_instrument", f"The data do not show that {names} moves {data.treatment.name!r} (effective F "
        f"{strength:.2f}): effects of any size agree with them.",
        {"effective_f": strength, "instruments": list(data.spec.instruments)},
        "More rows, or an instrument that moves the treatment more, are needed.",
    )


def _few(data: Prepared, strength: float) -> Refused:
    return Refused(
        "too_few_clusters", f"With {data.n_clusters} clusters Anderson and Rubin's test can reject no effect, so there "
        f"is no interval that allows for weak instruments (effective F {strength:.2f}).",
        {"clusters": data.n_clusters, "effective_f": strength},
        "Use a finer cluster column, more clusters, or none if rows are independent.",
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
