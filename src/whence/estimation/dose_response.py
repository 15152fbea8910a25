"""The dose-response curve of a continuous treatment, doubly robust, with a joint band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.core.rng import generator
from whence.estimation.dose_nuisances import DoseNuisances, dose_nuisances
from whence.estimation.inference import Answer
from whence.estimation.interactive import N_FOLDS, N_SPLITS, combined, default_splits, designs_for
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.quantile_effect import weighted_quantile
from whence.estimation.regression import dropped_controls
from whence.estimation.treatment import canonical
from whence.stats.learners import NAMES
from whence.stats.local_polynomial import kernel_weights
from whence.stats.regress import covariance_matrix

FEW_DOSES = 12
FEW_ROWS = 60
GRID = 41
ENDS = (0.05, 0.95)  # quantiles of the dose between which the curve is drawn
LACKING = 0.02  # a density below this part of the dose's own counts as no chance of it
REFUSED_SHARE = 0.25
FEWEST = 15.0  # effective rows near a dose
NEAR = 40  # rows within the bandwidth, at least
LARGEST_WEIGHT = 50.0
DRAWS = 4000

CARD = Card(
    name="dose_response",
    task="estimation",
    title="Doubly robust dose response",
    summary="Average outcomes if everybody had each dose, by a local regression of outcomes freed from the controls; "
    "right when the model of the outcome or of the dose is.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, which dose they had has nothing else to do with the outcome.",
        "People of every kind in the controls could have had the doses compared.",
        "The learners come close enough to the outcome and to the density of doses (their errors multiply).",
        "The average outcome changes smoothly with the dose.",
    ),
    parameters=(
        Parameter("doses", "str", None, "Doses to compare, commas between; the others are compared with the first. "
                  "None: the contrast of the spec, or the upper with the lower quartile.", optional=True),
        Parameter("outcome_learner", "choice", "auto", "Learner of the outcome from dose and controls, or an object "
                  "with fit and predict. auto: linear, quadratic and boosting, stacked.", choices=NAMES),
        Parameter("treatment_learner", "choice", "auto", "Learner of the mean dose from the controls, or an object "
                  "with fit and predict. auto: as for the outcome.", choices=NAMES),
        Parameter("bandwidth", "float", None, "How far from a dose rows count, in units of the dose. None: by the "
                  "rule for local lines, at which local parabolas have hardly any bias.", 0.0, None, optional=True,
                  open_ends=True),
        N_FOLDS, N_SPLITS, LEVEL,
    ),
    output="Effect",
    cost="n_splits x n_folds fits of each learner and predictions at 41 doses.",
    citations=(
        "Kennedy, Ma, McHugh and Small (2017), Non-parametric methods for doubly robust estimation of continuous "
        "treatment effects, J. Royal Statistical Society B 79",
        "Calonico, Cattaneo and Farrell (2018), On the effect of bias estimation on coverage accuracy in nonparametric "
        "inference, JASA 113",
        "Fan and Gijbels (1996), Local polynomial modelling and its applications, Chapman and Hall",
    ),
    function="whence.estimation.dose_response:dose_response",
    quantities=("ATE",),
)


@dataclass(frozen=True)
class _Points:
    """doses: (m,), compared first, then those of the curve. compared: how many are compared. grid: (g,), doses at which
    nuisances are known, for interpolation."""

    doses: np.ndarray
    compared: int
    grid: np.ndarray


def dose_response(
    data: Prepared, *, doses: str | None = None, outcome_learner: Any = "auto", treatment_learner: Any = "auto",
    bandwidth: float | None = None, n_folds: int = 5, n_splits: int | None = None, level: float = 0.95, seed: int = 0,
    progress: Progress = SILENT,
) -> Answer | Refused:
    """The average outcome theta(a) if everybody had dose a, and its differences between doses.

    With m(x, a) the outcome, p(a | x) the density of the dose and p(a) its mean over x, all cross-fitted (Kennedy et
    al. 2017, section 3.1), the doses' pseudo-outcomes

        z_i = (y_i - m(x_i, a_i)) p(a_i) / p(a_i | x_i) + mean_j m(x_j, a_i)

    are regressed on the dose by local parabolas at the bandwidth that is best for local lines: local lines with their
    bias estimated at the same bandwidth and taken away, errors included (Calonico, Cattaneo and Farrell 2018). The
    influence values add m(x_i, a) - mean_j m(x_j, a) to those of the local fit. The joint band holds the whole curve,
    by normal multipliers of the influence values.

    Refused: ``treatment_in_groups``, ``few_doses``, ``small_sample``, ``no_controls``, ``dose_out_of_reach``,
    ``no_overlap``. Raises ``WhenceError`` (``bad_parameter``, ``bad_learner``).
    """
    refused = _cannot(data)
    if refused is not None:
        return refused
    asked, remarks = _asked(data, doses)
    points = _points(data, asked)
    designs = designs_for(data, outcome_learner, treatment_learner)
    for a in asked:
        if not data.treatment.values.min() <= a <= data.treatment.values.max():
            return _out_of_reach(data, a, 0.0)
    if isinstance(designs, Refused):
        return designs
    n_splits = n_splits or default_splits(data.n)
    learners = (outcome_learner, treatment_learner)
    n_folds = min(n_folds, data.n_clusters or n_folds)
    runs = [dose_nuisances(data, designs, points.grid, learners, n_folds, split, seed, progress)
            for split in range(n_splits)]
    pseudo = [_pseudo_outcomes(data, points, run) for run in runs]
    width = bandwidth or float(np.median([rule_of_thumb(data.treatment.values, z, data.w) for z, _ in pseudo]))
    seen = _within_reach(data, points, runs, pseudo, width)
    if isinstance(seen, Refused):
        return seen
    keep, lacking = seen
    points = _Points(points.doses[keep], points.compared, points.grid)
    scored = [_curve(data, points, run, z, width) for run, (z, _) in zip(runs, pseudo, strict=True)]
    levels, influence, _ = combined(data, scored)
    if designs[1].dropped:
        remarks = (*remarks, dropped_controls(designs[1]))
    c = points.compared
    return Answer(
        data, estimates=levels[1:c] - levels[0], influence=influence[:, 1:c] - influence[:, :1], remarks=remarks,
        labels=tuple(f"{a:g} against {asked[0]:g}" for a in asked[1:]),
        diagnostics={
            "bandwidth": width, "n_folds": n_folds, "n_splits": n_splits, "learned": runs[0].learned,
            "lacking_overlap": dict(zip((f"{a:g}" for a in asked), lacking, strict=True)),
            "largest_weight": float(max(w.max() for _, w in pseudo)),
            "average_outcomes": _levels(data, points, levels, influence, level),
            "curve": _band(data, points, levels, influence, level, seed),
        },
    )


def _cannot(data: Prepared) -> Refused | None:
    t = data.treatment
    values = len(np.unique(t.codes if t.discrete else t.values))
    if t.discrete:
        return Refused("treatment_in_groups", f"{t.name!r} has {values} groups, not doses.", {"values": values},
                       "Use method='aipw', or read the table with this column as a number.")
    if values < FEW_DOSES:
        return Refused("few_doses", f"{t.name!r} has only {values} doses, too few to smooth between.",
                       {"values": values},
                       "Read the column as categorical and use method='aipw', or use method='regression'.")
    if data.n < FEW_ROWS:
        return Refused("small_sample", f"{data.n} rows are too few for a curve.", {"rows": data.n, "needed": FEW_ROWS},
                       "Use method='regression'.")
    if not data.spec.controls:
        return Refused("no_controls", "There is nothing to adjust for.", {"controls": []},
                       "Use method='regression', or name controls.")
    return None


def _asked(data: Prepared, doses: str | None) -> tuple[tuple[float, ...], tuple[Remark, ...]]:
    """The reference and the doses compared with it."""
    if doses is not None:
        try:
            numbers = tuple(dict.fromkeys(float(part) for part in doses.split(",")))
        except ValueError:
            numbers = ()
        if len(numbers) < 2 or not np.isfinite(numbers).all():
            raise WhenceError(f"Parameter 'doses' of 'dose_response' must be at least two numbers, not {doses!r}.",
                              code="bad_parameter", value=doses, allowed="such as '0, 5, 10'")
        return numbers, ()
    contrast = data.spec.contrast
    if contrast is not None and contrast.treated is not None and contrast.control is not None:
        return (float(canonical(contrast.control)), float(canonical(contrast.treated))), ()
    low, high = (weighted_quantile(data.treatment.values, data.w, q) for q in (0.25, 0.75))
    if low == high:
        low, high = float(data.treatment.values.min()), float(data.treatment.values.max())
    return (low, high), (Remark(
        "doses_chosen", f"The upper quartile of {data.treatment.name}, {high:g}, is compared with the lower, {low:g}.",
        (data.treatment.name,), {"treated": high, "control": low},
    ),)


def _points(data: Prepared, asked: tuple[float, ...]) -> _Points:
    dose = data.treatment.values
    low, high = np.quantile(dose, ENDS)
    drawn = np.linspace(low, high, GRID)
    grid = np.unique(np.concatenate([np.quantile(dose, np.linspace(0, 1, GRID)), drawn[::2], asked]))
    return _Points(np.concatenate([asked, drawn]), len(asked), grid)


def _pseudo_outcomes(data: Prepared, points: _Points, run: DoseNuisances) -> tuple[np.ndarray, np.ndarray]:
    """Pseudo-outcomes (n,) and the weights of their residuals (n,)."""
    dose, w = data.treatment.values, data.w / data.n
    marginal = np.interp(dose, points.grid, w @ run.density)
    weights = np.minimum(marginal / np.maximum(run.own_density, 1e-300), LARGEST_WEIGHT)
    mean = np.interp(dose, points.grid, w @ run.surface)
    return (data.outcome - run.predicted) * weights + mean, weights


def rule_of_thumb(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    """Bandwidth of local lines with the Epanechnikov kernel (Fan and Gijbels 1996, eq. 4.3).

    From a global quartic; between a twentieth and half of the range that holds 90 % of the doses.
    """
    low, high = np.quantile(x, ENDS)
    z = (x - x.mean()) / x.std()
    design = np.vander(z, 5, increasing=True)
    root = np.sqrt(w)
    beta = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
    noise = float(np.average((y - design @ beta) ** 2, weights=w))
    inside = (x >= low) & (x <= high)
    bend = (2 * beta[2] + 6 * beta[3] * z + 12 * beta[4] * z**2) / x.std() ** 2
    curvature = float((w * bend**2)[inside].sum())
    span = float(high - low)
    best = 1.719 * (noise * span / curvature) ** 0.2 if curvature > 0 else span
    return float(np.clip(best, span / 20, span / 2))


def _within_reach(
    data: Prepared, points: _Points, runs: list[DoseNuisances], pseudo: list[tuple[np.ndarray, np.ndarray]],
    width: float,
) -> tuple[np.ndarray, list[float]] | Refused:
    """Which points have support (boolean (m,)), and the share of people lacking each dose compared."""
    w = data.w / data.n
    density = np.mean([run.density for run in runs], axis=0)
    share = np.interp(points.doses, points.grid, w @ (density < LACKING * (w @ density)))
    weights = np.mean([found for _, found in pseudo], axis=0) * data.w
    effective = np.empty(len(points.doses))
    for j, a in enumerate(points.doses):
        local = kernel_weights(data.treatment.values - a, _local(data, a, width), "epanechnikov") * weights
        effective[j] = local.sum() ** 2 / max(float((local**2).sum()), 1e-300)
    fine = (share <= REFUSED_SHARE) & (effective >= FEWEST)
    for j in range(points.compared):
        a = float(points.doses[j])
        if share[j] > REFUSED_SHARE:
            return Refused(
                "no_overlap", f"{share[j]:.0%} of the people have almost no chance of {data.treatment.name} = {a:g} "
                "given the controls, so their outcome at it cannot be known.", {"dose": a, "share": float(share[j])},
                "Compare doses nearer to each other, or ask about a narrower population.",
            )
        if not fine[j]:
            return _out_of_reach(data, a, float(effective[j]))
    return fine, share[: points.compared].tolist()


def _out_of_reach(data: Prepared, dose: float, effective: float) -> Refused:
    ends = [float(data.treatment.values.min()), float(data.treatment.values.max())]
    return Refused(
        "dose_out_of_reach", f"There are too few rows near {data.treatment.name} = {dose:g} to say what would happen "
        "there.",
        {"dose": dose, "effective_rows": effective, "needed": FEWEST, "lowest": ends[0], "highest": ends[1]},
        f"Choose doses well inside {ends[0]:g} to {ends[1]:g}, where there are rows.",
    )


def _local(data: Prepared, dose: float, width: float) -> float:
    """The bandwidth at a dose: wide enough for ``NEAR`` rows."""
    far = np.abs(data.treatment.values - dose)
    return max(width, 1.0001 * float(np.partition(far, NEAR - 1)[NEAR - 1]))


def _curve(
    data: Prepared, points: _Points, run: DoseNuisances, pseudo: np.ndarray, width: float
) -> tuple[np.ndarray, np.ndarray]:
    """theta at the points (m,) and influence values (n, m), for one split."""
    w, n = data.w, data.n
    levels, psi = np.empty(len(points.doses)), np.zeros((n, len(points.doses)))
    means = w @ run.surface / n
    for j, a in enumerate(points.doses):
        h = _local(data, a, width)
        u = (data.treatment.values - a) / h
        near = np.abs(u) < 1
        design = np.vander(u[near], 3, increasing=True)
        mass = kernel_weights(u[near], 1.0, "epanechnikov") * w[near]
        bread = np.linalg.pinv((design * mass[:, None]).T @ design, hermitian=True)
        beta = bread @ (design.T @ (mass * pseudo[near]))
        leverage = mass * np.einsum("ij,jk,ik->i", design, bread, design)
        room = 1 - np.minimum(leverage, 0.99)
        levels[j] = beta[0]
        psi[near, j] = n * mass * (design @ bread[0]) * (pseudo[near] - design @ beta) / room
        psi[:, j] += w * (_at(run.surface, points.grid, a) - float(np.interp(a, points.grid, means)))
    return levels, psi


def _at(surface: np.ndarray, grid: np.ndarray, dose: float) -> np.ndarray:
    """Columns of ``surface`` (n, grid) interpolated at a dose."""
    k = int(np.clip(np.searchsorted(grid, dose), 1, len(grid) - 1))
    share = (dose - grid[k - 1]) / (grid[k] - grid[k - 1])
    return (1 - share) * surface[:, k - 1] + share * surface[:, k]


def _errors(data: Prepared, influence: np.ndarray) -> np.ndarray:
    """Covariance (m, m) of estimates with these influence values."""
    if data.dependence is not None:
        return data.dependence.products(influence) / len(influence) ** 2
    return covariance_matrix(influence, data.clusters)


def _levels(
    data: Prepared, points: _Points, levels: np.ndarray, influence: np.ndarray, level: float
) -> list[dict[str, float]]:
    """Average outcomes at the doses compared, with intervals."""
    from scipy.special import ndtri

    c = points.compared
    half = float(ndtri(0.5 + level / 2)) * np.sqrt(np.diagonal(_errors(data, influence[:, :c])))
    return [{"dose": float(a), "outcome": float(v), "lower": float(v - e), "upper": float(v + e)}
            for a, v, e in zip(points.doses[:c], levels[:c], half, strict=True)]


def _band(
    data: Prepared, points: _Points, levels: np.ndarray, influence: np.ndarray, level: float, seed: int
) -> dict[str, Any]:
    """The curve with pointwise intervals and a band that holds all of it, as lists for a figure."""
    from scipy.special import ndtri

    c = points.compared
    doses, theta = points.doses[c:], levels[c:]
    covariance = _errors(data, influence[:, c:])
    error = np.sqrt(np.diagonal(covariance))
    values, vectors = np.linalg.eigh(covariance)
    draws = generator(seed, "dose band").standard_normal((DRAWS, len(values)))
    paths = draws @ (vectors * np.sqrt(np.maximum(values, 0.0))).T / np.where(error > 0, error, 1.0)
    reach = float(np.quantile(np.abs(paths).max(axis=1), level))
    half = float(ndtri(0.5 + level / 2)) * error
    return {
        "kind": "dose_response", "dose": doses.tolist(), "outcome": theta.tolist(), "level": level,
        "lower": (theta - half).tolist(), "upper": (theta + half).tolist(),
        "band_lower": (theta - reach * error).tolist(), "band_upper": (theta + reach * error).tolist(),
        "standard_errors_reached": reach, "treatment": data.treatment.name, "outcome_name": data.spec.outcome,
    }
