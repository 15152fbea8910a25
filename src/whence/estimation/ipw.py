"""Inverse probability weighting with a (multinomial) logit propensity."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.inference import Answer, Errors, cluster_factor
from whence.estimation.linear_errors import described
from whence.estimation.overlap import TINY, balancing_weights, log_slope, require_overlap, target_log_slope
from whence.estimation.parameters import DEGREE, LEVEL
from whence.estimation.prepare import Prepared, require_arms
from whence.estimation.regression import SHOWN, dropped_controls
from whence.stats.features import Features
from whence.stats.left_out import left_out
from whence.stats.logit import LogitFit, multinomial

Move = Callable[[np.ndarray], np.ndarray]

MOST = 0.5  # share of an arm's weight that a row or cluster may have: beyond it nothing is left to judge it by
MOST_CLUSTERS = 500  # that are left out one by one; the plain errors of more differ by next to nothing

CARD = Card(
    name="ipw",
    task="estimation",
    title="Inverse probability weighting",
    summary="Weighted means by arm (Hajek), each row weighted by one over its chance of the arm it is in; for the ATO "
    "by its chance of the other arm (overlap weights).",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "People of every kind in the controls could have been in either arm.",
        "The chance of treatment follows a logistic model in the design columns (controls with their powers).",
    ),
    parameters=(
        DEGREE,
        Parameter("trim", "float", 0.0, "Rows whose chance of some arm is below this are set aside and the chances "
                  "fitted again; the effect is then about the rest.", 0.0, 0.25),
        Parameter("trim_rule", "choice", "fixed", "fixed: by 'trim'. crump: the rows that give the most precise "
                  "effect, found from the chances (Crump et al. 2009).", choices=("fixed", "crump")),
        Parameter("truncate", "float", 0.0, "Smallest chance used in a weight; smaller ones count as this. Shorter "
                  "intervals, for a bias that is not in them.", 0.0, 0.25),
        LEVEL,
    ),
    output="Effect",
    cost="A few Newton steps of n k^2 for n rows and k columns.",
    citations=(
        "Hirano, Imbens and Ridder (2003), Efficient estimation of average treatment effects, Econometrica 71",
        "Lunceford and Davidian (2004), Stratification and weighting via the propensity score, Stat. in Medicine 23",
        "MacKinnon and White (1985), Some heteroskedasticity-consistent covariance matrix estimators",
        "Crump, Hotz, Imbens and Mitnik (2009), Dealing with limited overlap, Biometrika 96",
        "Li, Morgan and Zaslavsky (2018), Balancing covariates via propensity score weighting, JASA 113",
    ),
    function="whence.estimation.ipw:ipw",
    quantities=("ATE", "ATT", "ATC", "ATO"),
)


def ipw(
    data: Prepared, *, degree: int = 2, trim: float = 0.0, trim_rule: str = "fixed", truncate: float = 0.0,
    level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Hajek weighted means by arm and their differences from the control arm.

    The weights of arm b are h(x) / P(b | x), with h = 1 (ATE), P(treated | x) (ATT), P(control | x)
    (ATC) or e (1 - e) (ATO, overlap weights). Being normalised by arm, stabilised weights give the same. The variance
    is that of the stacked estimating equations of means and propensity model, so it accounts for the propensity being
    estimated (Lunceford and Davidian 2004, eq. 21 and following):

        psi_i = w_i (y_i - mu) / mean(w) + C' psi_i(gamma),  C = d mean(w (y - mu) / mean(w)) / d gamma.

    Each is the move of one Newton step that leaves the row, or its cluster, out of all these equations, derivatives
    included (the jackknife of least squares, HC3 and CR3, carried over): a row of large weight pulls mean and model
    towards itself, and the plain form falls short on few rows. The plain form, with G / (G - 1) for clusters, serves
    rows that depend on each other in another way, and more than 500 clusters. Trimming takes the rows kept as given.

    Refused: ``continuous_treatment``, ``more_features_than_rows``, ``separation``, ``no_convergence``,
    ``no_overlap``, ``small_arm`` (after trimming).
    """
    if not data.treatment.discrete:
        return continuous_refusal(data, "ipw")
    fitted = fit_propensity(data, degree)
    if not isinstance(fitted, Refused) and (trim > 0 or trim_rule == "crump"):
        keep, said = _kept(data, fitted[0].probabilities, trim, trim_rule)
        if not keep.all():
            trimmed = require_arms(data.take(keep, said))
            if isinstance(trimmed, Refused):
                return trimmed
            data, fitted = trimmed, fit_propensity(trimmed, degree)
    if isinstance(fitted, Refused):
        return fitted
    fit, controls = fitted
    overlap = require_overlap(data, fit.probabilities, max(truncate, TINY))
    if isinstance(overlap, Refused):
        return overlap
    diagnostics, remarks = overlap
    if controls.dropped:
        remarks = (*remarks, dropped_controls(controls))
    if truncate > 0:
        remarks = (*remarks, *_truncated(data, fit.probabilities, truncate))
    few = data.dependence is None and (data.n_clusters or 0) <= MOST_CLUSTERS
    move = left_out(fit, data.clusters) if few else None
    pairs = [_contrast(data, fit, arm, truncate, move) for arm in range(1, len(data.treatment.arms))]
    return Answer(
        data, estimates=np.array([estimate for estimate, _ in pairs]),
        influence=np.column_stack([psi for _, psi in pairs]) * (1.0 if few else cluster_factor(data.clusters)),
        remarks=remarks, propensity=fit.probabilities[:, 1], common=data.spec.quantity in ("ATE", "ATO"),
        errors=Errors("HC3", described(data, "HC3")) if few and data.clusters is None else
        Errors("CR3", described(data, "CR3", (data.n_clusters or 0) - 1.0)) if few else None,
        diagnostics=diagnostics | {
            "degree": degree, "columns": fit.design.shape[1], "iterations": fit.iterations,
            "log_likelihood": fit.log_likelihood, "controls": list(controls.labels[:SHOWN]),
            "controls_dropped": list(controls.dropped[:SHOWN]),
        },
    )


def continuous_refusal(data: Prepared, method: str) -> Refused:
    """Weighting and AIPW compare groups; a dose has none."""
    t = data.treatment
    values = len(np.unique(t.values))
    return Refused(
        "continuous_treatment", f"{t.name!r} is a dose with {values:,} values, not groups.",
        {"column": t.name, "values": values},
        "Use method='regression', or read the table with this column as categorical.", method,
    )


def fit_propensity(data: Prepared, degree: int) -> tuple[LogitFit, Features] | Refused:
    """The (multinomial) logit of the arms on the controls, and the controls' columns.

    Refused: ``more_features_than_rows``, ``separation``, ``no_convergence``.
    """
    controls = data.features(degree)
    if isinstance(controls, Refused):
        return controls
    t = data.treatment
    k = controls.matrix.shape[1] + 1
    smallest = int(np.bincount(t.codes, minlength=len(t.arms)).min())
    if k * (len(t.arms) - 1) >= data.n or k > 2 * smallest:
        return Refused(
            "more_features_than_rows", f"The propensity model has {k} columns, too many for {data.n:,} rows with "
            f"{smallest:,} in the smallest arm.", {"columns": k, "rows": data.n, "smallest_arm": smallest},
            "Use fewer controls, or degree=1.",
        )
    fit = multinomial(np.column_stack([np.ones(data.n), controls.matrix]), t.codes, len(t.arms), data.weights)
    if fit.problem is not None:
        return _failed(data, controls, fit)
    return fit, controls


def _failed(data: Prepared, controls: Features, fit: LogitFit) -> Refused:
    """Separation, with the columns that cause it by themselves."""
    t = data.treatment
    sure = float((fit.probabilities.max(axis=1) > 1 - 1e-4).mean())
    culprits = [label for j, label in enumerate(controls.labels) if _separates(controls.matrix[:, j], t.codes)]
    evidence = {"rows_predicted_perfectly": sure, "columns": culprits[:10], "iterations": fit.iterations}
    if fit.problem == "no_convergence":
        return Refused("no_convergence", "The propensity model did not converge.", evidence,
                       "Use degree=1 or fewer controls.")
    named = f" ({', '.join(culprits[:3])})" if culprits else ""
    return Refused(
        "separation", f"The controls{named} predict perfectly who is in which arm for part of the rows, so those "
        "have no counterpart.", evidence,
        "Leave out the controls that decide the treatment, merge rare levels, restrict the population to where "
        "both arms occur, or use degree=1.",
    )


def _separates(column: np.ndarray, codes: np.ndarray) -> bool:
    """Whether some arm lies wholly at or beyond one end of another on this column."""
    ends = [(column[codes == a].min(), column[codes == a].max()) for a in np.unique(codes)]
    return any(low >= high for i, (low, _) in enumerate(ends) for j, (_, high) in enumerate(ends) if i != j)


def _contrast(
    data: Prepared, fit: LogitFit, arm: int, truncate: float, move: Move | None
) -> tuple[float, np.ndarray]:
    """Estimate and influence values (n,) of ``arm`` against arm 0."""
    treated, psi_treated = _arm_mean(data, fit, arm, arm, truncate, move)
    control, psi_control = _arm_mean(data, fit, arm, 0, truncate, move)
    return treated - control, psi_treated - psi_control


def _arm_mean(
    data: Prepared, fit: LogitFit, treated: int, arm: int, truncate: float, move: Move | None
) -> tuple[float, np.ndarray]:
    """Weighted mean outcome in ``arm`` over the population asked for, and its influence values (n,).

    move: ``left_out`` of the fit, for the jackknife; None for the plain values.
    """
    p, m = fit.probabilities, len(data.treatment.arms)
    quantity = data.spec.quantity
    floored = np.maximum(p, truncate)
    weights = data.w * balancing_weights(data, p, treated, arm)
    if truncate > 0:  # the population asked for stays; only the division is by the larger chance
        weights = weights * p[:, arm] / floored[:, arm]
    weights = weights / weights.mean()
    mean = float(weights @ data.outcome) / data.n
    own = weights * (data.outcome - mean)
    # A truncated chance does not move with the model.
    slope = target_log_slope(quantity, treated, m, p) - log_slope(arm, m, p) * (p[:, arm] >= truncate)[:, None]
    if move is None:
        return mean, own + fit.influence((slope * own[:, None]).T @ fit.design / data.n)
    share = weights / data.n
    if data.clusters is not None:
        codes = np.unique(data.clusters, return_inverse=True)[1]
        share = np.bincount(codes, share)[codes]
    return mean, (own + move(slope * own[:, None])) / (1 - np.minimum(share, MOST))


def _kept(data: Prepared, p: np.ndarray, trim: float, rule: str) -> tuple[np.ndarray, Remark]:
    """Rows kept (boolean (n,)) and the remark on the others."""
    if rule == "crump":
        burden = (1 / np.maximum(p, TINY)).sum(axis=1)
        most = crump_limit(burden, data.w)
        keep = burden <= most
        which = f"whose chances of the arms are too uneven (1 / chance summed over the arms above {most:.3g})"
    else:
        keep = p.min(axis=1) >= trim
        which = f"with a chance below {trim:g} of some arm"
    lost = int((~keep).sum())
    return keep, Remark(
        "trimmed", f"{lost:,} of {data.n:,} rows {which} are set aside; the effect is about the rest.",
        (data.treatment.name,), {"dropped": lost, "used": int(keep.sum()), "trim": trim, "rule": rule},
    )


def crump_limit(burden: np.ndarray, w: np.ndarray) -> float:
    """Largest ``burden`` kept under equal outcome variances (Crump et al. 2009, theorem 1 and corollary 1).

    burden: (n,), 1 / (e (1 - e)), or for several arms the sum of 1 / P(b | x). Keeping the rows up to a limit makes
    the variance of the effect proportional to mean(burden | kept) / share kept, which the limit makes smallest; at it
    limit = 2 mean(burden | kept), or nothing is set aside.
    """
    order = np.argsort(burden, kind="stable")
    mass = w[order]
    variance = np.cumsum(mass * burden[order]) / np.cumsum(mass) ** 2
    return float(burden[order][np.argmin(variance)])


def _truncated(data: Prepared, p: np.ndarray, truncate: float) -> tuple[Remark, ...]:
    cut = int((p[np.arange(data.n), data.treatment.codes] < truncate).sum())
    if not cut:
        return ()
    return (Remark(
        "truncated", f"The weights of {cut:,} of {data.n:,} rows are cut to 1 / {truncate:g}; the bias that this "
        "brings is not in the interval.", (data.treatment.name,), {"rows": cut, "truncate": truncate},
    ),)
