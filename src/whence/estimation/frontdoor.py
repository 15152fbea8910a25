"""Effects by the front door: through measured mediators, in spite of hidden common causes of treatment and outcome.

    E[Y | do(x)] = E_W[ E[ h(M, W) | x, W ] ],   h(m, w) = sum over x' of E[Y | m, x', w] P(x' | w)

with mediators M and controls W (often none). Two nested regressions, so no density of the mediators is needed.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.data.table import CODED
from whence.estimation.inference import Answer, cluster_factor
from whence.estimation.parameters import DEGREE, LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.regression import effect_weights, regression
from whence.stats.features import Features, features, independent, level_codes
from whence.stats.logit import LogitFit, multinomial
from whence.stats.regress import COVARIANCES, LinearFit, influence, ols

THIN = 5  # rows of a mediator value within one arm below which its mean is hardly known
LOW = 0.02  # a chance of an arm given the mediators below this part of the arm's share counts as none
REFUSED_SHARE = 0.25  # of the rows without a counterpart
WARNED_SHARE = 0.02
ROWS_PER_COLUMN = 3
PENALTY = 0.01  # of the logistic regression that looks at the overlap, so that separation gives chances near 0

CARD = Card(
    name="frontdoor",
    task="estimation",
    title="Front-door estimate by nested regressions",
    summary="How the treatment moves the mediators, times how the mediators move the outcome with the treatment held.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "The treatment affects the outcome only through the mediators, nothing hidden affects both treatment and "
        "mediators, and given the treatment nothing hidden affects both mediators and outcome.",
        "The outcome's mean is linear in the design columns (mediators with their powers, controls, and their products "
        "with the treatment); a table of mediator values makes no such assumption.",
    ),
    parameters=(
        Parameter("model", "choice", "auto", "How the mediators enter: 'table', one mean for each combination of their "
                  "values; 'linear', main effects with powers; 'auto', a table when they are discrete and every "
                  "combination occurs under every treatment.", choices=("auto", "table", "linear")),
        DEGREE,
        Parameter("interactions", "bool", None, "Whether the mediators' effect may differ with the treatment. None: "
                  "yes when the rows suffice.", optional=True),
        Parameter("covariance", "choice", "HC3", "Robust covariance when rows are independent (clusters use CR1).",
                  choices=COVARIANCES),
        LEVEL,
    ),
    output="Effect",
    cost="n k^2 for n rows and k design columns.",
    citations=(
        "Pearl (1995), Causal diagrams for empirical research, Biometrika 82, section 3.3",
        "Fulcher, Shpitser, Marealle and Tchetgen Tchetgen (2020), Robust inference on population indirect causal "
        "effects: the generalized front door criterion, Journal of the Royal Statistical Society B 82",
        "Newey and McFadden (1994), Large sample estimation and hypothesis testing, section 6",
    ),
    function="whence.estimation.frontdoor:frontdoor",
    strategies=("frontdoor",),
    quantities=("ATE",),
)


@dataclass(frozen=True)
class _Mediators:
    """Their design columns (n, k) without intercept, and whether they are a table of all combinations."""

    matrix: np.ndarray
    table: bool
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class _Outcome:
    """E[Y | m, x, w] is ``base`` times the first coefficients plus, for treatment column k, x_k ``base`` times its
    own. fit: on (n, (1 + k) columns). base: (n, c), intercept, mediators and controls; ``crossed`` of them (bool (c,))
    have products with the treatment. treatment: (n, k), dummies of arms 1.. or the dose in steps."""

    fit: LinearFit
    base: np.ndarray
    crossed: np.ndarray
    treatment: np.ndarray

    def design(self, treatment: np.ndarray) -> np.ndarray:
        """The design with other treatment columns (n, k)."""
        return np.column_stack([self.base, *(column[:, None] * self.base[:, self.crossed] for column in treatment.T)])

    def slopes(self) -> np.ndarray:
        """Derivative (n, k) of the mean outcome by each treatment column."""
        width = int(self.crossed.sum())
        own = self.fit.coefficients[self.base.shape[1]:].reshape(self.treatment.shape[1], width)
        return self.base[:, self.crossed] @ own.T


@dataclass(frozen=True)
class _Given:
    """E[x_k | w]: expected (n, k); fit: the logistic or linear regression behind it, None without controls."""

    expected: np.ndarray
    design: np.ndarray
    fit: LogitFit | LinearFit | None


def frontdoor(
    data: Prepared, *, model: str = "auto", degree: int = 2, interactions: bool | None = None, covariance: str = "HC3",
    level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Least squares of the outcome on mediators, treatment, products and controls; the treatment averaged out of
    the fit given the controls; least squares of the result on the treatment (and controls), standardised.

    Three fits are stacked, so the influence values are the sum of three parts (Newey and McFadden 1994, section
    6): those of the last regression with h taken as known, those of the coefficients behind E[Y | m, x, w] and
    those of the coefficients behind P(x' | w), each through the derivative of the effect by them. For a dose the
    effect is the slope of E[h | x] in x, and both regressions are linear in x. With a table of mediators and no
    controls this is the front-door formula on the distribution of the data.

    Refused: ``positivity`` (a mediator value that does not occur under some treatment, or mediators that tell the
    treatments apart), ``mediator_constant``, ``mediator_is_treatment``, ``more_features_than_rows``,
    ``separation``, ``no_table``, those of ``regression``.
    """
    mediators = _mediators(data, model, degree)
    if isinstance(mediators, Refused):
        return mediators
    controls = data.features(degree)
    if isinstance(controls, Refused):
        return controls
    seen = _overlap(data, mediators, controls)
    if isinstance(seen, Refused):
        return seen
    lacking, said = seen
    outcome = _outcome(data, mediators, controls, interactions)
    if isinstance(outcome, Refused):
        return outcome
    given = _given(data, controls, outcome.treatment)
    if isinstance(given, Refused):
        return given
    through = outcome.design(given.expected) @ outcome.fit.coefficients
    last = dataclasses.replace(data, outcome=through)
    answer = regression(last, degree=degree, covariance=covariance if data.clusters is None else "CR1", level=level)
    if isinstance(answer, Refused):
        return answer
    loads = effect_weights(last, degree)
    total = answer.influence + _from_outcome(data, outcome, given, loads, covariance)
    total += _from_given(data, outcome, given, loads)
    return dataclasses.replace(
        answer, data=data, influence=total, df=np.full(len(answer.estimates), float(outcome.fit.df)), errors=None,
        remarks=(*mediators.remarks, *said, *answer.remarks),
        diagnostics={
            "mediators": list(data.spec.mediators), "model": "table" if mediators.table else "linear",
            "columns": outcome.fit.rank, "interactions": bool(outcome.crossed[1:].any()), "degree": degree,
            "r_squared_outcome": outcome.fit.r_squared, "share_without_counterpart": lacking,
            "covariance": "CR1" if data.clusters is not None else covariance,
        },
    )


def _from_outcome(data: Prepared, outcome: _Outcome, given: _Given, loads: np.ndarray, covariance: str) -> np.ndarray:
    """Influence (n, m) through the coefficients of E[Y | m, x, w]."""
    combination = loads.T @ outcome.design(given.expected)
    return influence(outcome.fit, combination, covariance, data.clusters)


def _from_given(data: Prepared, outcome: _Outcome, given: _Given, loads: np.ndarray) -> np.ndarray:
    """Influence (n, m) through the coefficients of E[x | w], or its mean without controls."""
    slopes = outcome.slopes()
    if given.fit is None:
        deviation = data.w[:, None] * (outcome.treatment - given.expected)
        return deviation @ (slopes.T @ loads)
    if isinstance(given.fit, LinearFit):
        combination = (loads * slopes).T @ given.design
        return influence(given.fit, combination, "HC0", data.clusters)
    p = given.expected
    pushed = p * (slopes - (p * slopes).sum(axis=1, keepdims=True))  # derivative of sum_k slope_k p_k by predictors
    columns = [given.fit.influence((pushed * load[:, None]).T @ given.design) for load in loads.T]
    return np.column_stack(columns) * cluster_factor(data.clusters)


def constant_mediator(data: Prepared) -> Refused | None:
    """The refusal of a mediator that does not vary, or None."""
    for name in sorted(data.spec.mediators):
        codes, labels = level_codes(data.table.column(name), data.rows)
        if len(np.unique(codes)) < 2:
            return Refused("mediator_constant", f"The mediator {name!r} is {labels[codes[0]]} on all rows used, so "
                           "nothing can pass through it.", {"column": name}, "Choose mediators that vary.")
    return None


def _mediators(data: Prepared, model: str, degree: int) -> _Mediators | Refused:
    names = sorted(data.spec.mediators)
    constant = constant_mediator(data)
    if constant is not None:
        return constant
    discrete = all(data.table.column(n).kind in CODED | {"text"} for n in names) and data.treatment.discrete
    if model == "table" and not discrete:
        return Refused("no_table", "A table needs mediators and a treatment with levels, not numbers.",
                       {"kinds": {n: data.table.kind(n) for n in names}}, "Use model='linear'.")
    remarks: tuple[Remark, ...] = ()
    if discrete and model != "linear":
        made = _table(data, names)
        if isinstance(made, _Mediators):
            return made
        if model == "table" or len(names) == 1:
            return made
        remarks = (Remark("mediators_linear", f"{made.reason} So the mediators enter one by one, not as a table of "
                          "their combinations.", tuple(names), made.evidence),)
    made = features(data.table, names, data.rows, degree)
    if isinstance(made, Refused):
        return made
    return _Mediators(made.matrix, False, remarks)


def _table(data: Prepared, names: list[str]) -> _Mediators | Refused:
    """Dummies of the combinations that occur, or ``positivity`` when one does not occur in some arm."""
    parts = [level_codes(data.table.column(n), data.rows) for n in names]
    found, cell = np.unique(np.column_stack([codes for codes, _ in parts]), axis=0, return_inverse=True)
    cell = cell.ravel()
    t = data.treatment
    sizes = np.bincount(cell * len(t.arms) + t.codes, minlength=len(found) * len(t.arms)).reshape(-1, len(t.arms))

    def told(k: int) -> str:
        return ", ".join(f"{n} = {labels[code]}" for n, (_, labels), code in zip(names, parts, found[k], strict=True))

    empty = np.argwhere(sizes == 0)
    if len(empty):
        k, arm = empty[0]
        return Refused(
            "positivity", f"No row with {t.name} = {t.arms[arm]} has {told(k)}, though other rows have: what such a "
            "value does there is not known.",
            {"lacking": [f"{t.name} = {t.arms[a]}, {told(j)}" for j, a in empty[:5]], "combinations": len(empty)},
            f"Merge values of {', '.join(names)}, or choose another front-door set.",
        )
    remarks: tuple[Remark, ...] = ()
    if sizes.min() < THIN:
        k, arm = np.unravel_index(sizes.argmin(), sizes.shape)
        remarks = (Remark("thin_cells", f"Only {sizes.min()} rows have {t.name} = {t.arms[arm]} and {told(int(k))}; "
                          "the interval may be too short.", tuple(names), {"rows": int(sizes.min()), "fewest": THIN}),)
    return _Mediators((cell[:, None] == np.arange(1, len(found))).astype(float), True, remarks)


def _overlap(data: Prepared, mediators: _Mediators, controls: Features
             ) -> tuple[float | None, tuple[Remark, ...]] | Refused:
    """The share of rows whose mediators (and controls) almost rule out another arm; None for a dose."""
    t = data.treatment
    if not t.discrete:
        return None, ()
    columns = np.column_stack([mediators.matrix, controls.matrix])
    design = np.column_stack([np.ones(data.n), columns[:, independent(columns)]])
    chances = multinomial(design, t.codes, len(t.arms), data.weights, PENALTY).probabilities
    share = np.bincount(t.codes, data.w, len(t.arms)) / data.n
    lacking = float(data.w @ (chances < LOW * share).any(axis=1)) / data.n
    evidence = {"share_without_counterpart": lacking, "limit": REFUSED_SHARE}
    names = ", ".join(sorted(data.spec.mediators))
    text = f"For {lacking:.0%} of the rows the values of {names} almost never occur under another value of {t.name}"
    if lacking > REFUSED_SHARE:
        return Refused("positivity", f"{text}, so what the mediators do there cannot be told from what {t.name} does.",
                       evidence, "Choose mediators that the treatment moves less, or ask about a narrower population.")
    if lacking > WARNED_SHARE:
        return lacking, (Remark("weak_overlap", f"{text}; there the answer rests on the model.", (t.name,), evidence),)
    return lacking, ()


def _outcome(data: Prepared, mediators: _Mediators, controls: Features, interactions: bool | None
             ) -> _Outcome | Refused:
    t = data.treatment
    columns = np.column_stack([mediators.matrix, controls.matrix])
    centred = columns - np.average(columns, axis=0, weights=data.w)
    base = np.column_stack([np.ones(data.n), centred[:, independent(centred)]])
    treatment = (t.codes[:, None] == np.arange(1, len(t.arms))).astype(float) if t.discrete \
        else (t.values / t.step)[:, None]
    smallest = int(np.bincount(t.codes).min()) if t.discrete else data.n // 2
    room = mediators.table or smallest >= ROWS_PER_COLUMN * base.shape[1]
    crossed = np.ones(base.shape[1], dtype=bool)
    crossed[1:] = room if interactions is None else interactions
    made = _Outcome(ols(np.ones((data.n, 1)), data.outcome), base, crossed, treatment)
    design = made.design(treatment)
    if data.n <= design.shape[1]:
        return Refused("more_features_than_rows", f"The model has {design.shape[1]} columns for {data.n} rows.",
                       {"columns": design.shape[1], "rows": data.n},
                       "Use fewer mediators or controls, degree=1 or interactions=False.")
    fit = ols(design, data.outcome, data.weights)
    first = base.shape[1]
    starts = first + np.arange(treatment.shape[1]) * int(crossed.sum())
    if not fit.kept[starts].all():
        return Refused("mediator_is_treatment", f"The mediators determine {t.name!r} exactly, so their effects "
                       "cannot be told apart.", {"mediators": sorted(data.spec.mediators)}, "Choose other mediators.")
    return dataclasses.replace(made, fit=fit)


def _given(data: Prepared, controls: Features, treatment: np.ndarray) -> _Given | Refused:
    design = np.column_stack([np.ones(data.n), controls.matrix])
    if not controls.labels:
        mean = np.average(treatment, axis=0, weights=data.w)
        return _Given(np.broadcast_to(mean, treatment.shape), design, None)
    if not data.treatment.discrete:
        fit = ols(design, treatment[:, 0], data.weights)
        return _Given((design @ fit.coefficients)[:, None], design, fit)
    fit = multinomial(design, data.treatment.codes, len(data.treatment.arms), data.weights)
    if fit.problem is not None:
        return Refused("separation", f"The controls predict {data.treatment.name!r} perfectly for some rows.",
                       {"problem": fit.problem, "columns": design.shape[1]}, "Use fewer controls or degree=1.")
    return _Given(fit.probabilities[:, 1:], design, fit)
