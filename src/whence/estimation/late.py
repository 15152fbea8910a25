"""The effect on those who follow a binary instrument, with controls in any shape (interactive IV model)."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.data.table import CODED, NUMERIC
from whence.estimation.aipw import Nuisances
from whence.estimation.inference import Answer
from whence.estimation.interactive import (
    CLIP,
    N_FOLDS,
    N_SPLITS,
    OUTCOME_LEARNER,
    TREATMENT_LEARNER,
    Interactive,
    combined,
    interactive,
)
from whence.estimation.iv import STRONG
from whence.estimation.parameters import LEVEL
from whence.estimation.partially_linear_iv import local_effect, weak_instrument
from whence.estimation.prepare import Prepared
from whence.estimation.treatment import Treatment, code_treatment
from whence.stats.regress import covariance_matrix

CARD = Card(
    name="late",
    task="estimation",
    title="Local average treatment effect with controls, by double machine learning",
    summary="What the instrument does to the outcome over what it does to the treatment, both doubly robust: the "
    "effect on those whose treatment follows the instrument.",
    data_kinds=("binary", "categorical", "ordinal", "count", "continuous"),
    assumptions=(
        "Given the controls, the instrument is as good as chosen by chance, and it affects the outcome only through "
        "the treatment.",
        "Nobody does the opposite of what the instrument asks.",
        "People of every kind in the controls could have had either value of the instrument.",
        "The learners come close enough to outcome, treatment and instrument given the controls.",
    ),
    parameters=(OUTCOME_LEARNER, TREATMENT_LEARNER, N_FOLDS, N_SPLITS, CLIP, LEVEL),
    output="Effect",
    cost="n_splits x n_folds x 5 fits of each learner.",
    citations=(
        "Imbens and Angrist (1994), Identification and estimation of local average treatment effects, Econometrica 62",
        "Froelich (2007), Nonparametric IV estimation of local average treatment effects with covariates, J. of "
        "Econometrics 139",
        "Chernozhukov et al. (2018), Double/debiased machine learning, Econometrics Journal 21 (section 5.2)",
        "Fieller (1954), Some problems in interval estimation, J. of the Royal Statistical Society B 16",
    ),
    function="whence.estimation.late:late",
    strategies=("iv",),
    quantities=("LATE", "ATE"),
)


def late(
    data: Prepared, *, outcome_learner: Any = "auto", treatment_learner: Any = "auto", n_folds: int = 5,
    n_splits: int | None = None, clip: float = 0.01, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """The ratio of two cross-fitted AIPW effects of the instrument: on the outcome and on the treatment.

    With p(x) the chance of the instrument and m_z(x), r_z(x) outcome and treatment at each of its values, from other
    folds, psi_y = m_1 - m_0 + z (y - m_1) / p - (1 - z) (y - m_0) / (1 - p), psi_d likewise with d and r, the score is
    psi_y - theta psi_d (Chernozhukov et al. 2018, eq. 5.8). When the instrument's effect on the treatment is weak (F
    below 23.1) the interval is Fieller's, the effects that the score does not reject, right however weak it is.

    Refused: ``instrument_not_binary``, ``several_instruments``, ``treatment_not_binary``, ``instrument_constant``,
    ``weak_instrument``, ``small_arm``, ``no_controls``, ``no_overlap`` (of the instrument), those of ``interactive``.
    """
    if len(data.treatment.arms) != 2:
        return Refused("treatment_not_binary", f"The treatment {data.treatment.name!r} is not one of two values, so "
                       "nobody either follows the instrument or not.", {"treatment": data.treatment.name},
                       "Use method='iv' or 'partially_linear_iv'.")
    coded = binary_instrument(data)
    if isinstance(coded, Refused):
        return coded
    by_instrument = dataclasses.replace(data, treatment=coded, spec=data.spec.replace(quantity="ATE"))
    made = interactive(by_instrument, outcome_learner, treatment_learner, n_folds, n_splits, clip, seed, progress)
    if isinstance(made, Refused):
        return _of_the_instrument(made, data)
    taken = dataclasses.replace(by_instrument, outcome=data.treatment.values)
    try:
        moved = interactive(taken, treatment_learner, treatment_learner, n_folds, n_splits, clip, seed, progress)
    except WhenceError as error:
        raise WhenceError("The treatment learner must give probabilities (predict_proba).", code=error.code,
                          value=error.value, allowed=error.allowed) from None
    if isinstance(moved, Refused):
        return _of_the_instrument(moved, data)
    return _answer(data, made, moved, level)


def binary_instrument(data: Prepared) -> Treatment | Refused:
    """The one instrument as two arms, 1 for the value that comes second or says yes."""
    names = data.spec.instruments
    name = names[0]
    if len(names) > 1:
        return Refused("several_instruments", f"There are {len(names)} instruments; this method follows one.",
                       {"instruments": list(names)}, "Use method='iv' or 'partially_linear_iv', or name one of them.")
    column = data.table.column(name)
    values = np.unique(column.values[data.rows]) if column.kind in CODED | NUMERIC else np.empty(0)
    if len(values) == 1:
        return Refused("instrument_constant", f"The instrument {name!r} has one value on the rows used.",
                       {"instrument": name}, "Include rows with another value, or choose another instrument.")
    if len(values) != 2:
        return Refused("instrument_not_binary", f"The instrument {name!r} does not have two values but "
                       f"{len(values) or 'words'}.", {"instrument": name, "values": len(values)},
                       "Use method='iv' or 'partially_linear_iv', or make an instrument of two values.")
    coded = code_treatment(column, data.rows, None, arms=True)
    if isinstance(coded, Refused):
        return coded
    instrument, _ = coded
    return instrument


def _of_the_instrument(refusal: Refused, data: Prepared) -> Refused:
    """The same refusal, in terms of the instrument."""
    name = data.spec.instruments[0]
    return Refused(refusal.code, f"Of the instrument {name!r}: {refusal.reason}", refusal.evidence,
                   "Use method='iv', a narrower population, or leave out controls that only decide the instrument.")


def _scores(data: Prepared, instrument: Treatment, run: Nuisances, outcome: np.ndarray) -> np.ndarray:
    """AIPW scores (n,) of the instrument's effect on ``outcome``, without weights."""
    z = instrument.codes
    one, zero = run.outcome[:, 1], run.outcome[:, 0]
    return (one - zero + np.where(z == 1, (outcome - one) / run.propensity[:, 1], 0.0)
            - np.where(z == 0, (outcome - zero) / run.propensity[:, 0], 0.0))


def _answer(data: Prepared, made: Interactive, moved: Interactive, level: float) -> Answer | Refused:
    w, scored, pairs = data.w, [], []
    instrument, d = made.data.treatment, data.treatment.values
    for first, second in zip(made.runs, moved.runs, strict=True):
        both = w[:, None] * np.column_stack([_scores(data, instrument, first, data.outcome),
                                             _scores(data, instrument, second, d)])
        mean = both.mean(axis=0)
        pairs.append((mean, both - w[:, None] * mean))
        if mean[1] == 0:
            return weak_instrument(data, 0.0)
        theta = float(mean[0] / mean[1])
        scored.append((np.array([theta]), (both[:, :1] - theta * both[:, 1:]) / mean[1]))
    (effect_y, effect_d), influence, _ = combined(data, pairs)
    covariance = covariance_matrix(influence, data.clusters)
    strength = float(effect_d**2 / covariance[1, 1]) if covariance[1, 1] > 0 else np.inf
    ends = fieller(effect_y, effect_d, covariance, _critical(data, level))
    if ends is None:
        return weak_instrument(data, strength)
    estimates, values, by_split = combined(data, scored)
    weak = strength < STRONG
    size = {"effect": float(effect_d), "standard_error": float(np.sqrt(covariance[1, 1]))}
    diagnostics = {**made.diagnostics, **by_split, "first_stage_f": strength, "compliers": abs(float(effect_d)),
                   "first_stage": size, "reduced_form": {"effect": float(effect_y),
                                                         "standard_error": float(np.sqrt(covariance[0, 0]))},
                   "fieller": list(ends), "learned_treatment": dict(moved.runs[0].learned)}
    del diagnostics["propensity"]  # that of the instrument, which is not the treatment's
    return Answer(data, estimates, values, remarks=(*_remarks(data, made, diagnostics), *local_effect(data)),
                  diagnostics=diagnostics, interval=ends if weak else None,
                  p_value=_p_value(data, effect_y, covariance[0, 0]) if weak else None)


def _critical(data: Prepared, level: float) -> float:
    from scipy.special import ndtri, stdtrit

    groups = data.n_clusters
    return float(ndtri(0.5 + level / 2) if groups is None else stdtrit(groups - 1, 0.5 + level / 2))


def _p_value(data: Prepared, effect: float, variance: float) -> float:
    """Of no effect: the instrument then does nothing to the outcome."""
    from scipy.special import ndtr, stdtr

    ratio = -abs(effect) / np.sqrt(variance)
    return 2 * float(ndtr(ratio) if data.n_clusters is None else stdtr(data.n_clusters - 1, ratio))


def fieller(top: float, bottom: float, covariance: np.ndarray, critical: float) -> tuple[float, float] | None:
    """All b with (top - b bottom)^2 <= critical^2 var(top - b bottom); None when they have no end (Fieller 1954).

    covariance: (2, 2), of (top, bottom).
    """
    square = critical**2
    lead = bottom**2 - square * covariance[1, 1]
    if lead <= 0:
        return None
    half = top * bottom - square * covariance[0, 1]
    last = top**2 - square * covariance[0, 0]
    width = float(np.sqrt(max(half**2 - lead * last, 0.0)))
    return float(half - width) / float(lead), float(half + width) / float(lead)


def _remarks(data: Prepared, made: Interactive, found: dict[str, Any]) -> list[Remark]:
    z, name = made.data.treatment, data.spec.instruments[0]
    said = list(made.remarks)
    taken = {arm: float(np.average(data.treatment.values[z.codes == j], weights=data.w[z.codes == j]))
             for j, arm in enumerate(z.arms)}
    found["taken_by_instrument"] = taken
    share, treated = found["compliers"], data.treatment.arms[1]
    said.append(Remark("compliers", f"{name} changes {data.treatment.name!r} for {share:.1%} of the people; the effect "
                       "is theirs.", (name,), {"compliers": share}))
    if 0.0 in taken.values():
        arm = next(a for a, v in taken.items() if v == 0)
        said.append(Remark("one_sided", f"Nobody with {name} = {arm} has {data.treatment.name} = {treated}, so those "
                           "who follow the instrument are the treated: the effect is that on the treated.", (name,),
                           taken))
    elif 1.0 in taken.values():
        arm = next(a for a, v in taken.items() if v == 1)
        said.append(Remark("one_sided", f"Everybody with {name} = {arm} has {data.treatment.name} = {treated}, so "
                           "those who follow the instrument are the untreated: the effect is that on the untreated.",
                           (name,), taken))
    if found["first_stage_f"] < STRONG:
        said.append(Remark("weak_instruments", f"The instrument is weak: F {found['first_stage_f']:.1f}, below "
                           f"{STRONG}. The interval is Fieller's, which is right for weak instruments too.", (name,),
                           {"f": found["first_stage_f"], "strong": STRONG}))
    return said
