"""Effects by generalised linear models: fitted for yes-or-no outcomes and counts, then averaged over the population."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.dependence import KINDS
from whence.estimation.effect import summarise
from whence.estimation.inference import Answer, Errors, covariance_of
from whence.estimation.linear_errors import chosen, described
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.regression import dropped_controls, target_weights
from whence.stats.features import Features, independent
from whence.stats.glm import FAMILIES, Family, GlmFit, glm
from whence.stats.regress import COVARIANCES, kept_columns

EVENTS_PER_COLUMN = 5  # of the rarer outcome in an arm, for a model of its own
SHOWN = 60

CARD = Card(
    name="glm",
    task="estimation",
    title="Generalised linear model, standardised",
    summary="A logit, probit or log-linear model of the outcome, averaged over the population under each treatment.",
    data_kinds=("binary", "count", "continuous", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "Through its link, the outcome's mean is a linear function of the design columns (controls with their powers).",
    ),
    parameters=(
        Parameter("family", "choice", "auto", "The outcome's model. 'logit', 'probit', 'cloglog': outcomes from 0 to "
                  "1. 'poisson': counts and other outcomes that are not negative, log link, any variance. auto: logit "
                  "for outcomes from 0 to 1, else poisson. In an experiment logit and poisson are right on average "
                  "whatever the true model.", choices=("auto", *FAMILIES)),
        Parameter("degree", "int", None, "Highest power of each numeric control. None: 1 in an experiment, else 2.", 1,
                  5, optional=True),
        Parameter("interactions", "bool", None, "Whether each arm has a model of its own. None: yes where the rarer "
                  "outcome has 5 rows per column in every arm; no for a dose.", optional=True),
        Parameter("covariance", "choice", None, "Standard errors: HC0 to HC3; CR1 with clusters; 'two_way', 'hac' and "
                  "'conley' as for every method. None: HC3, or CR1 with clusters.",
                  choices=(*COVARIANCES, "CR1", *KINDS), optional=True),
        LEVEL,
    ),
    output="Effect",
    cost="Newton steps of n k^2 for n rows and k design columns.",
    citations=(
        "McCullagh and Nelder (1989), Generalized linear models",
        "Gourieroux, Monfort and Trognon (1984), Pseudo maximum likelihood methods, Econometrica 52",
        "Papke and Wooldridge (1996), Econometric methods for fractional response variables, Journal of Applied "
        "Econometrics 11",
        "Rosenblum and van der Laan (2010), Simple, efficient estimators of treatment effects in randomized trials "
        "using generalized linear models, International Journal of Biostatistics 6",
        "Albert and Anderson (1984), On the existence of maximum likelihood estimates in logistic regression models, "
        "Biometrika 71",
    ),
    function="whence.estimation.glm:standardised_glm",
)


@dataclass(frozen=True)
class _Design:
    """base: (n, c), intercept and centred controls. crossed: bool (c,), those with products with the treatment.
    treatment: (n, m), dummies of arms 1.. or the dose in steps. kept: bool, columns that can be told apart."""

    base: np.ndarray
    crossed: np.ndarray
    treatment: np.ndarray
    kept: np.ndarray

    def at(self, treatment: np.ndarray) -> np.ndarray:
        """The design (n, k) with other treatment columns (n, m) or (m,)."""
        columns = np.broadcast_to(treatment, self.treatment.shape).T
        return np.column_stack([self.base, *(c[:, None] * self.base[:, self.crossed] for c in columns)])[:, self.kept]

    @property
    def starts(self) -> np.ndarray:
        """Positions of the treatment's own columns before any are dropped."""
        return self.base.shape[1] + np.arange(self.treatment.shape[1]) * int(self.crossed.sum())


def standardised_glm(
    data: Prepared, *, family: str = "auto", degree: int | None = None, interactions: bool | None = None,
    covariance: str | None = None, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Standardisation (g-computation) with a generalised linear model, as a difference of means.

    With link inverse g, design rows x_i(a) under arm a and population weights v_i of mean 1, the mean under a is
    m_a = mean of v_i g(x_i(a)'b) and its influence values

        v_i (g(x_i(a)'b) - m_a) + n G_a' I^-1 x_i s_i,   G_a = mean of v_i g'(x_i(a)'b) x_i(a),

    s_i the score with its small-sample factor and I the observed information. For a dose: the average slope, times
    the contrast's step. For groups the diagnostics hold the means, their ratio and their odds ratio with intervals.

    Refused: ``outcome_out_of_range``, ``separation``, ``no_convergence``, ``more_features_than_rows``,
    ``treatment_determined``.
    """
    chosen_family = _family(data, family)
    if isinstance(chosen_family, Refused):
        return chosen_family
    degree = degree or (1 if data.spec.strategy == "rct" else 2)
    controls = data.features(degree)
    if isinstance(controls, Refused):
        return controls
    fitted = _fit(data, controls, chosen_family, interactions)
    if isinstance(fitted, Refused):
        return fitted
    design, fit, remarks = fitted
    name = chosen(data, covariance or (None if data.clusters is None else "CR1"))
    errors = Errors(name, described(data, name))
    by_row = name if name in COVARIANCES else "HC1"
    df = float(data.n - fit.design.shape[1])
    diagnostics = {
        "family": chosen_family.name, "columns": fit.design.shape[1], "degree": degree, "covariance": name,
        "interactions": bool(design.crossed[1:].any()), "iterations": fit.iterations, "dispersion": fit.dispersion,
        "log_likelihood": fit.log_likelihood, "controls": list(controls.labels[:SHOWN]),
    }
    if not data.treatment.discrete:
        estimate, values = _slope(data, design, fit, by_row)
        return Answer(data, np.array([estimate]), values[:, None], np.array([df]), diagnostics, remarks, errors=errors)
    compared = [_compare(data, design, fit, by_row, arm) for arm in range(1, len(data.treatment.arms))]
    answer = Answer(
        data, np.array([m[1] - m[0] for m, _ in compared]), np.column_stack([p[:, 1] - p[:, 0] for _, p in compared]),
        np.full(len(compared), df), diagnostics, remarks, errors=errors)
    ratios = {label: _ratios(answer, means, values, level, chosen_family.binary)
              for label, (means, values) in zip(data.treatment.labels, compared, strict=True)}
    return Answer(data, answer.estimates, answer.influence, answer.df, diagnostics | {"means": ratios},
                  (*remarks, *_said(data, ratios)), errors=errors)


def _family(data: Prepared, asked: str) -> Family | Refused:
    y, name = data.outcome, data.spec.outcome
    low, high = float(y.min()), float(y.max())
    within = low >= 0 and high <= 1
    if asked == "auto":
        asked = "logit" if within else "poisson"
    family = FAMILIES[asked]
    if (family.binary and not within) or low < 0:
        where = "from 0 to 1" if family.binary else "not negative"
        other = "family='poisson'" if family.binary and low >= 0 else "method='regression'"
        return Refused(
            "outcome_out_of_range", f"The {asked} model needs outcomes that are {where}; {name!r} runs from {low:g} to "
            f"{high:g}.", {"column": name, "smallest": low, "largest": high, "family": asked}, f"Use {other}.")
    return family


def _fit(
    data: Prepared, controls: Features, family: Family, interactions: bool | None
) -> tuple[_Design, GlmFit, tuple[Remark, ...]] | Refused:
    """The fitted model; where a model for each arm does not exist, one for all of them is tried, with a remark."""
    t, k = data.treatment, controls.matrix.shape[1]
    remarks = [dropped_controls(controls)] if controls.dropped else []
    crossed = interactions if interactions is not None else t.discrete and k > 0 and _room(data, family, k)
    if interactions is None and not crossed and k and t.discrete:
        remarks.append(Remark(
            "no_interactions", f"The rarer outcome is too rare in an arm for {k} control columns of its own; on the "
            "scale of the model the treatment is taken to do the same for everyone.", (t.name,), {"columns": k}))
    while True:
        design = _design(data, controls, bool(crossed))
        if data.n <= len(design.kept):
            return Refused("more_features_than_rows", f"The model has {len(design.kept)} columns for {data.n} rows.",
                           {"columns": len(design.kept), "rows": data.n},
                           "Use fewer controls, degree=1 or interactions=False.")
        if not design.kept[design.starts].all():
            return Refused(
                "treatment_determined", f"The controls determine {t.name!r} exactly: no two rows alike in them differ "
                "in treatment.", {"columns": list(controls.labels)[:20]},
                "Remove the controls that decide the treatment.")
        fit = glm(design.at(design.treatment), data.outcome, family, data.weights)
        if fit.problem is None:
            return design, fit, tuple(remarks)
        if interactions is not None or not crossed:
            return _failed(data, controls, fit)
        crossed = False
        remarks.append(Remark("no_interactions", "A model for each arm has no finite fit, so the treatment is taken to "
                              "do the same for everyone on the scale of the model.", (t.name,), {"columns": k}))


def _room(data: Prepared, family: Family, k: int) -> bool:
    """Whether every arm has five rows per column of the rarer outcome (of any, for outcomes that are not binary)."""
    y, codes = data.outcome, data.treatment.codes
    sizes = np.bincount(codes)
    if family.binary:
        events = np.bincount(codes, y)
        sizes = np.minimum(events, sizes - events)
    return bool(sizes.min() >= EVENTS_PER_COLUMN * (k + 1))


def _design(data: Prepared, controls: Features, interactions: bool) -> _Design:
    t, x = data.treatment, controls.matrix
    centred = x - np.average(x, axis=0, weights=data.w) if x.size else x
    base = np.column_stack([np.ones(data.n), centred[:, independent(centred)]])
    treatment = (t.codes[:, None] == np.arange(1, len(t.arms))).astype(float) if t.discrete \
        else (t.values / t.step)[:, None]
    crossed = np.ones(base.shape[1], dtype=bool)
    crossed[1:] = interactions
    width = base.shape[1] + treatment.shape[1] * int(crossed.sum())
    whole = _Design(base, crossed, treatment, np.ones(width, dtype=bool))
    # The treatment's own columns come before its products when it is asked which columns can be told apart.
    own = whole.starts
    order = np.concatenate([np.arange(base.shape[1]), own, np.setdiff1d(np.arange(base.shape[1], width), own)])
    kept = np.zeros(width, dtype=bool)
    kept[order] = kept_columns(whole.at(treatment)[:, order])
    return _Design(base, crossed, treatment, kept)


def _compare(data: Prepared, design: _Design, fit: GlmFit, by_row: str, arm: int) -> tuple[np.ndarray, np.ndarray]:
    """Means (2,) under the first arm and under ``arm``, and their influence values (n, 2)."""
    target = target_weights(data, arm)
    means, gradients, own = [], [], []
    for value in (0, arm):
        matrix = design.at((np.arange(1, len(data.treatment.arms)) == value).astype(float))
        mean, slope, _ = fit.family.mean(matrix @ fit.coefficients)
        means.append(float(target @ mean) / data.n)
        gradients.append((target * slope) @ matrix / data.n)
        own.append(target * (mean - means[-1]))
    values = fit.influence(np.array(gradients), by_row, data.clusters)
    return np.array(means), values + np.column_stack(own)


def _slope(data: Prepared, design: _Design, fit: GlmFit, by_row: str) -> tuple[float, np.ndarray]:
    """The average derivative of the mean by the dose, per step, and its influence values (n,)."""
    change = design.at(np.ones(1)) - design.at(np.zeros(1))
    _, slope, second = fit.family.mean(fit.eta)
    steepness = change @ fit.coefficients
    effects = slope * steepness
    estimate = float(data.w @ effects) / data.n
    gradient = (data.w * second * steepness) @ fit.design + (data.w * slope) @ change
    values = fit.influence(gradient[None, :] / data.n, by_row, data.clusters)[:, 0]
    return estimate, values + data.w * (effects - estimate)


def _ratios(answer: Answer, means: np.ndarray, values: np.ndarray, level: float, binary: bool) -> dict[str, Any]:
    """The two means, their ratio and, for outcomes from 0 to 1, their odds ratio, with intervals on the log scale."""
    told: dict[str, Any] = {"treated": float(means[1]), "control": float(means[0])}
    scales = [("ratio", np.log(means), 1 / means)]
    if binary:
        scales.append(("odds_ratio", np.log(means / (1 - means)), 1 / (means * (1 - means))))
    for name, level_of, slope in scales:
        one = (values * slope) @ np.array([-1.0, 1.0])
        error = float(np.sqrt(covariance_of(Answer(answer.data, answer.estimates, one[:, None]))[0, 0]))
        df = None if answer.data.n_clusters is None else answer.data.n_clusters - 1.0
        interval, p_value = summarise(float(level_of[1] - level_of[0]), error, level, df)
        told[name] = {"estimate": float(np.exp(level_of[1] - level_of[0])), "p_value": p_value,
                      "interval": [float(np.exp(e)) for e in interval]}
    return told


def _said(data: Prepared, ratios: dict[str, dict[str, Any]]) -> Iterator[Remark]:
    for j, (label, told) in enumerate(ratios.items()):
        treated, control = data.treatment.arms[j + 1], data.treatment.arms[0]
        text = (f"The mean of {data.spec.outcome} would be {told['treated']:.3g} under {data.treatment.name} = "
                f"{treated} and {told['control']:.3g} under {control}: a ratio of {_between(told['ratio'])}")
        text += f", an odds ratio of {_between(told['odds_ratio'])}." if "odds_ratio" in told else "."
        yield Remark("in_ratios", text, (data.spec.outcome,), {"comparison": label, **told})


def _between(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['estimate']:.3g} ({low:.3g} to {high:.3g})"


def _failed(data: Prepared, controls: Features, fit: GlmFit) -> Refused:
    """Why there is no finite fit: an arm without one of the outcomes, or controls that tell the outcome."""
    t, y = data.treatment, data.outcome
    if fit.problem == "no_convergence":
        return Refused("no_convergence", "The model of the outcome did not converge.", {"iterations": fit.iterations},
                       "Use degree=1, fewer controls, or method='regression'.")
    for arm, name in enumerate(t.arms):
        inside = y[t.codes == arm]
        if np.ptp(inside) == 0:
            return Refused(
                "separation", f"Every row with {t.name} = {name} has {data.spec.outcome} = {inside[0]:g}, so no finite "
                "model fits them.", {"arm": name, "value": float(inside[0]), "rows": len(inside)},
                "Use method='difference', 'regression' or 'randomisation', which need no such model.")
    told = y == y.max() if fit.family.binary else y > 0
    culprits = [label for label, c in zip(controls.labels, controls.matrix.T, strict=True) if _tells(c, told)]
    named = f" ({', '.join(culprits[:3])})" if culprits else ""
    return Refused(
        "separation", f"The design columns{named} predict {data.spec.outcome!r} perfectly for part of the rows, so no "
        "finite model fits.", {"columns": culprits[:10], "iterations": fit.iterations},
        "Leave out or merge rare levels of the controls, use interactions=False or degree=1, or method='regression'.")


def _tells(column: np.ndarray, told: np.ndarray) -> bool:
    """Whether some value of a control, or everything beyond one, has only one of the two outcomes."""
    if len(np.unique(column)) == 2:
        return any(np.ptp(told[column == v].astype(float)) == 0 for v in np.unique(column))
    inside, outside = column[told], column[~told]
    return bool(len(inside) and len(outside) and (inside.min() >= outside.max() or inside.max() <= outside.min()))
