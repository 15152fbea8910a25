"""Adjustment through an embedding: many numbers that stand for an image, a text or a place, as the controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.aipw import arm_scores
from whence.estimation.inference import Answer, cluster_factor
from whence.estimation.interactive import CLIP, SMALLEST_ARM, most_folds
from whence.estimation.ipw import continuous_refusal
from whence.estimation.overlap import balancing_weights, require_overlap
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared, require_arms
from whence.stats.features import features
from whence.stats.foldwise import Rows, logistic, others, ridge
from whence.stats.regress import covariance_matrix
from whence.stats.resample import folds

PENALTIES = (1.0, 10.0, 100.0, 1000.0)  # on half the squared coefficients of standardised controls
FREE = 30.0  # standard deviation of the predicted outcomes in the logit: about a thousandth of the penalty
EXTREME = 0.02  # a chance of treatment nearer to 0 or 1 than this is flagged
WARNED_SHARE = 0.002  # of rows with such a chance
FEWEST_FOLDS = 3  # two to choose the penalty, one to predict
MOVED = 2.0  # standard errors of the change that the last doubling of the components may make
LEAST_GAIN = 0.005  # part of the constant's loss that the components must save to say anything of the treatment

CARD = Card(
    name="embedding",
    task="estimation",
    title="Adjustment through an embedding",
    summary="Principal components of many numeric controls (an embedding of images, texts or places) predict treatment "
    "and outcome by penalised regressions on other groups of rows; weighted and augmented comparison.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among rows with the same embedding, who was treated has nothing else to do with the outcome: the embedding "
        "holds the common causes themselves, not only something that goes with them.",
        "Rows with every embedding could have been in either arm.",
        "The chance of treatment is close to a logit, and the outcome close to linear, in the components.",
        "Rows whose embedding was made from the same image, text or place are named as a cluster.",
    ),
    parameters=(
        Parameter("estimator", "choice", "aipw", "'aipw': predicted outcomes corrected by weighted residuals. 'hajek': "
                  "weighted means alone; its errors take the chances of treatment as known.",
                  choices=("aipw", "hajek")),
        Parameter("components", "int", 256, "Most principal components that enter.", 1),
        Parameter("n_folds", "int", 5, "Folds of the cross-fitting, which keep clusters whole; three at least.", 2, 50),
        CLIP, LEVEL,
    ),
    output="Effect",
    cost="About 300 n k^2 operations for n rows and k components, and a singular value decomposition.",
    citations=(
        "Jerzak, Johansson and Daoud (2023), Integrating Earth observation data into causal inference: challenges and "
        "opportunities, arXiv 2301.12985",
        "Veitch, Sridhar and Blei (2020), Adapting text embeddings for causal inference, Uncertainty in Artificial "
        "Intelligence",
        "Leacy and Stuart (2014), On the joint use of propensity and prognostic scores in estimation of the average "
        "treatment effect on the treated, Statistics in Medicine 33",
        "Chernozhukov et al. (2018), Double/debiased machine learning, Econometrics Journal 21",
    ),
    function="whence.estimation.embedding:embedding",
    strategies=("adjustment",),
)


@dataclass(frozen=True)
class _Fit:
    """With the first ``components``: chances (n, arms) as learned, estimates (m,), influence (n, m), the difference of
    weighted means (first comparison), the log loss of the treatment on rows held out, and the part of the outcome's
    variance within the arms that is explained there."""

    components: int
    chances: np.ndarray
    estimates: np.ndarray
    influence: np.ndarray
    weighted: float
    loss: float
    explained: float


def embedding(
    data: Prepared, *, estimator: str = "aipw", components: int = 256, n_folds: int = 5, clip: float = 0.01,
    level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Cross-fitted weighting or AIPW on the principal components of the controls.

    The standardised controls are turned to their components (by the controls alone, so no outcome leaks), which keep
    their spreads: a ridge penalty then means the same as on the controls. On the rows of other folds ridge regressions
    give the outcome by arm, and a logit the chance of each arm, from the components (ridge penalty) and the predicted
    outcomes (almost none): what matters to the outcome is balanced even where the penalty shrinks much (prognostic
    scores beside the propensity, Leacy and Stuart 2014). Penalties are those that predict the remaining folds best (of
    the logit the smallest within one standard error of the best log loss). Clusters stay whole in the folds; where rows
    share an embedding and no cluster is named, so do these.

    The estimate is made again with the first 1, 2, 4, ... components: ``dimension_curve`` in the diagnostics.

    Refused: ``continuous_treatment``, ``small_arm``, ``no_controls``, ``too_few_clusters``, ``no_overlap``.
    """
    if not data.treatment.discrete:
        return continuous_refusal(data, "embedding")
    enough = require_arms(data, SMALLEST_ARM)
    if isinstance(enough, Refused):
        return enough
    data = enough
    matrix = standardised(data)
    if not matrix.shape[1]:
        return Refused("no_controls", "There are no controls that vary, so there is no embedding to adjust for.",
                       {"controls": list(data.spec.controls)}, "Use method='difference', or name the embedding's "
                       "columns as controls.")
    groups, said = _groups(data, matrix)
    fold = _folds(data, groups, n_folds, seed)
    if isinstance(fold, Refused):
        return fold
    scores = principal_components(matrix, components)
    most = scores.shape[1]
    counts = sorted({2**j for j in range(most.bit_length()) if 2**j < most} | {most})
    progress.begin("components", len(counts))
    fits = []
    try:
        for k in counts:
            fits.append(_fit(data, scores[:, :k], fold, clip, estimator))
            progress.step()
    finally:
        progress.end()
    return _answer(data, fits, clip, said, fold, matrix.shape[1])


def standardised(data: Prepared) -> np.ndarray:
    """The controls' columns (n, p) in the order of their names, mean 0 and standard deviation 1; constant ones left
    out. Columns may outnumber the rows."""
    blocks = []
    for name in sorted(set(data.spec.controls)):
        made = features(data.table, [name], data.rows, 1)
        if not isinstance(made, Refused):
            blocks.append(made.matrix)
    matrix = np.column_stack(blocks) if blocks else np.empty((data.n, 0))
    matrix = matrix - matrix.mean(axis=0)
    spread = matrix.std(axis=0)
    return matrix[:, spread > 0] / spread[spread > 0]


def principal_components(matrix: np.ndarray, most: int) -> np.ndarray:
    """Scores (n, k) of the first ``most`` components of centred columns (n, p), the largest positive in each;
    components that rounding alone fills are left out."""
    n, p = matrix.shape
    # The smaller of the two Gram matrices has the same components.
    gram = matrix.T @ matrix if p <= n else matrix @ matrix.T
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    keep = np.flatnonzero(values > 1e-10 * max(values[0], 1e-300))[:most]
    scores = matrix @ vectors[:, keep] if p <= n else vectors[:, keep] * np.sqrt(values[keep])
    return scores * np.where(scores[np.abs(scores).argmax(axis=0), np.arange(len(keep))] >= 0, 1.0, -1.0)


def _groups(data: Prepared, matrix: np.ndarray) -> tuple[np.ndarray | None, tuple[Remark, ...]]:
    """What the folds keep whole, and a remark where rows share an embedding without a cluster that says so."""
    if data.clusters is not None:
        return data.clusters, ()
    rows = np.ascontiguousarray(matrix).view(np.dtype((np.void, matrix.shape[1] * matrix.itemsize)))[:, 0]
    distinct, codes = np.unique(rows, return_inverse=True)
    if len(distinct) == data.n:
        return None, ()
    return codes, (Remark(
        "shared_embeddings", f"The {data.n:,} rows have {len(distinct):,} different embeddings. Rows with the same one "
        "stay together when predicted, but errors take rows as independent: name the key of the image, text or place "
        "as the cluster.", (), {"rows": data.n, "embeddings": len(distinct)}),)


def _folds(data: Prepared, groups: np.ndarray | None, n_folds: int, seed: int) -> np.ndarray | Refused:
    codes = data.treatment.codes
    fewest = most_folds(data, codes) if groups is None or data.clusters is not None else min(
        len(np.unique(groups[codes == arm])) for arm in np.unique(codes))
    if fewest < FEWEST_FOLDS:
        return Refused("too_few_clusters", f"Some arm lies in {fewest} groups of rows that belong together, too few to "
                       "predict it from others.", {"groups": fewest, "needed": FEWEST_FOLDS},
                       "Use a finer cluster column.")
    fold = folds(min(max(n_folds, FEWEST_FOLDS), fewest), codes, groups, seed, 0)
    table = np.zeros((int(fold.max()) + 1, len(data.treatment.arms)))
    np.add.at(table, (fold, codes), 1.0)
    left = int(others(table).min())
    if left < SMALLEST_ARM // 2 or (table > 0).sum(axis=0).min() < FEWEST_FOLDS:
        return Refused("too_few_clusters", "The groups of rows that belong together are so large that some fold leaves "
                       "too few rows of an arm to learn from.", {"rows_left": left}, "Use a finer cluster column.")
    return fold


def _fit(data: Prepared, scores: np.ndarray, fold: np.ndarray, clip: float, estimator: str) -> _Fit:
    codes, arms, w = data.treatment.codes, len(data.treatment.arms), data.w
    every = np.ones(data.n, dtype=bool)
    outcome = np.column_stack([_predicted(scores, fold, codes == arm, data) for arm in range(arms)])
    spread = outcome.std(axis=0)
    prognostic = FREE * (outcome - outcome.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    whole = Rows.of(np.column_stack([prognostic, scores]), fold, every, w)
    tried = [found for penalty in PENALTIES if (found := logistic(whole, codes, arms, penalty)) is not None]
    share = np.bincount(codes, w, arms) / data.n
    if not tried:
        tried = [np.tile(share, (data.n, 1))]
    losses = np.column_stack([-np.log(np.maximum(p[np.arange(data.n), codes], 1e-12)) for p in tried])
    best = np.array([least_shrunk(losses[fold != k], w[fold != k]) for k in range(whole.count)])[fold]
    chances = np.stack(tried)[best, np.arange(data.n)]
    used = np.maximum(chances, np.maximum(np.minimum(clip, share / 10), 1e-12))
    plain = hajek(data, used)
    estimates, influence = arm_scores(data, outcome, used) if estimator == "aipw" else plain
    own = data.outcome - outcome[np.arange(data.n), codes]
    means = np.bincount(codes, w * data.outcome, arms) / np.bincount(codes, w, arms)
    rest = data.outcome - means[codes]
    explained = 1 - float(w @ own**2) / max(float(w @ rest**2), 1e-300)
    return _Fit(scores.shape[1], chances, estimates, influence * cluster_factor(data.clusters),
                float(plain[0][0]), float(w @ losses[np.arange(data.n), best]) / data.n, explained)


def least_shrunk(losses: np.ndarray, weights: np.ndarray) -> int:
    """The first column of ``losses`` (n, penalties) whose mean is within one standard error of the least one's.

    Weights built from chances that are shrunk too much leave confounding behind, those shrunk too little only vary
    more: so the smallest penalty is taken that predicts no worse than chance explains.
    """
    share = weights / weights.sum()
    gaps = losses - losses[:, [int(np.argmin(share @ losses))]]
    means = share @ gaps
    errors = np.sqrt(((share[:, None] * (gaps - means)) ** 2).sum(axis=0))
    return int(np.argmax(means <= errors))


def _predicted(scores: np.ndarray, fold: np.ndarray, train: np.ndarray, data: Prepared) -> np.ndarray:
    """The outcome (n,) in the arm ``train``, from the rows of it in other folds."""
    found = ridge(Rows.of(scores, fold, train, data.w), data.outcome, scaled=False)
    assert found is not None  # there are three folds
    return found


def hajek(data: Prepared, chances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences (m,) of weighted means from the first arm's, and influence values (n, m), chances taken as known."""
    estimates, columns = [], []
    for arm in range(1, len(data.treatment.arms)):
        total, psi = 0.0, np.zeros(data.n)
        for sign, b in ((1.0, arm), (-1.0, 0)):
            weights = data.w * balancing_weights(data, chances, arm, b)
            weights = weights / weights.mean()
            mean = float(weights @ data.outcome) / data.n
            total, psi = total + sign * mean, psi + sign * weights * (data.outcome - mean)
        estimates.append(total)
        columns.append(psi)
    return np.array(estimates), np.column_stack(columns)


def _answer(
    data: Prepared, fits: list[_Fit], clip: float, said: tuple[Remark, ...], fold: np.ndarray, columns: int
) -> Answer | Refused:
    last, t = fits[-1], data.treatment
    share = np.bincount(t.codes, data.w, len(t.arms)) / data.n
    lowest = np.maximum(np.minimum(clip, share / 10), 1e-12)
    overlap = require_overlap(data, last.chances, lowest)
    if isinstance(overlap, Refused):
        return overlap
    diagnostics, remarks = overlap
    constant = -float(share @ np.log(share))
    remarks = (*said, *remarks, *_extreme(data, last), *_gain(data, last, constant), *_curve(data, fits))
    curve = [{"components": f.components, "estimate": float(f.estimates[0]), "loss": f.loss,
              "standard_error": _error(data, f.influence)} for f in fits]
    return Answer(
        data, last.estimates, last.influence, remarks=remarks, propensity=last.chances[:, 1],
        common=data.spec.quantity == "ATE", diagnostics=diagnostics | {
            "columns": columns, "components": last.components, "n_folds": int(fold.max()) + 1,
            "held_out_loss": last.loss, "constant_loss": constant, "outcome_explained": last.explained,
            "hajek": last.weighted, "dimension_curve": curve})


def _error(data: Prepared, influence: np.ndarray) -> float:
    return float(np.sqrt(covariance_matrix(influence[:, :1], data.clusters)[0, 0]))


def _extreme(data: Prepared, fit: _Fit) -> tuple[Remark, ...]:
    outside = float(data.w @ (fit.chances < EXTREME).any(axis=1)) / data.n
    evidence: Mapping[str, Any] = {"share": outside, "limit": EXTREME}
    if outside <= WARNED_SHARE:
        return ()
    return (Remark("extreme_chances", f"For {outside:.1%} of the rows the embedding all but decides the treatment (a "
                   f"chance of some arm below {EXTREME:g}): they have hardly a counterpart, and few rows weigh much.",
                   (data.treatment.name,), evidence),)


def _gain(data: Prepared, fit: _Fit, constant: float) -> tuple[Remark, ...]:
    """What the components say of the treatment on rows they were not fitted on, beside a constant chance."""
    name, gain = data.treatment.name, 1 - fit.loss / constant
    evidence = {"held_out_loss": fit.loss, "constant_loss": constant, "gain": gain}
    if gain < LEAST_GAIN:
        return (Remark("nothing_predicted", f"On rows held out the embedding predicts {name} no better than its share "
                       f"does (log loss {fit.loss:.3f} against {constant:.3f}): either it had no part in who was "
                       "treated, or it does not show what had. Adjusting for it then changes little.", (name,),
                       evidence),)
    return (Remark("predicted", f"On rows held out the embedding predicts {name} with a log loss of {fit.loss:.3f}, "
                   f"{gain:.0%} below that of a constant chance ({constant:.3f}), and explains {fit.explained:.0%} of "
                   f"{data.spec.outcome} within the arms.", (name,), evidence),)


def _curve(data: Prepared, fits: list[_Fit]) -> tuple[Remark, ...]:
    """How the estimate moves as components are added, in words."""
    if len(fits) < 3:
        return ()
    before, last = fits[-2], fits[-1]
    change = float(last.estimates[0] - before.estimates[0])
    error = _error(data, last.influence - before.influence)
    named = ", ".join(f"{f.estimates[0]:.3g} with {f.components}" for f in (fits[0], *fits[len(fits) // 2 : -1], last))
    evidence = {"change": change, "change_error": error}
    text = f"With more components the estimate goes: {named}."
    if abs(change) > MOVED * error and abs(change) > 0.25 * _error(data, last.influence):
        return (Remark("still_moving", f"{text} The last doubling still moved it by {change:.2g} (standard error "
                       f"{error:.2g}): a finer embedding may well move it on.", (), evidence),)
    return (Remark("dimension_curve", f"{text} The last doubling moved it by {change:.2g}, no more than chance would. "
                   "What no component shows cannot be seen in this.", (), evidence),)
