"""Synthetic control: a weighted average of untreated units stands for the treated one; also in differences."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation import synthetic_inference as inference_of
from whence.estimation.donors import Panel, read_panel
from whence.estimation.inference import Answer, Errors
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.synthetic_inference import FEWEST_PLACEBOS, Part, Placebo, placebos, rank_p_values
from whence.estimation.synthetic_weights import Fit, Synthetic, augmented, pooled, simplex, synthetic_did

SHOWN = 60  # donors listed with their weights, and placebos drawn
POOR = 0.5  # root mean squared misfit before treatment, in standard deviations of the treated outcome then
CLOSELY = 20.0  # largest squared misfit of the placebos drawn, in those of the treated unit
FEWEST_DRAWN = 10  # where none is so close
TINY = 1e-9  # of the spread of the outcome; a misfit is taken as at least this

CARD = Card(
    name="synthetic_control",
    task="estimation",
    title="Synthetic control and synthetic difference in differences",
    summary="A weighted average of untreated units that moved with the treated one before treatment shows what it "
    "would have done after.",
    data_kinds=("continuous", "count", "binary", "ordinal"),
    assumptions=(
        "What moves the treated unit's outcome moves those of the untreated too, and the average that followed it "
        "before would have gone on following it.",
        "Nobody reacts before treatment starts, and treatment does not spill over to the untreated units.",
    ),
    parameters=(
        Parameter("kind", "choice", "simplex", "'simplex': weights that sum to one, on levels; 'augmented': corrected "
                  "by a ridge regression where these do not follow the treated closely; 'pooled': of several treated "
                  "units, so that their mean is followed too; 'did': synthetic difference in differences, which also "
                  "weighs periods and allows a constant distance.",
                  choices=("simplex", "augmented", "pooled", "did")),
        Parameter("errors", "choice", "placebo", "'placebo': the effects of untreated units taken for treated ones, "
                  "relative to how closely each was followed before ('augmented', and several units of 'did': as they "
                  "stand); 'spread': as they stand; 'conformal': effects that residuals moved around in time do not "
                  "reject; for 'did' with two treated units of each start or more also 'jackknife', and 'bootstrap'.",
                  choices=("placebo", "spread", "conformal", "jackknife", "bootstrap")),
        Parameter("share", "float", None, "For 'pooled': how much the misfit of the treated units' mean counts beside "
                  "those of each. None: by how far separate weights leave their mean off.", 0.0, 1.0, optional=True),
        Parameter("replicates", "int", 200, "Draws of units, for 'did' with several treated ones and the bootstrap.",
                  20),
        LEVEL,
    ),
    output="Effect",
    cost="One small quadratic program for each treated unit, and one for each untreated unit as a placebo.",
    citations=(
        "Abadie, Diamond and Hainmueller (2010), Synthetic control methods for comparative case studies, Journal of "
        "the American Statistical Association 105",
        "Arkhangelsky, Athey, Hirshberg, Imbens and Wager (2021), Synthetic difference-in-differences, American "
        "Economic Review 111",
        "Ben-Michael, Feller and Rothstein (2021), The augmented synthetic control method, Journal of the American "
        "Statistical Association 116",
        "Ben-Michael, Feller and Rothstein (2022), Synthetic controls with staggered adoption, Journal of the Royal "
        "Statistical Society B 84",
        "Chernozhukov, Wuethrich and Zhu (2021), An exact and robust conformal inference method for counterfactual and "
        "synthetic controls, Journal of the American Statistical Association 116",
    ),
    function="whence.estimation.synthetic_control:synthetic_control",
    strategies=("synthetic_control", "did"),
    quantities=("ATE", "ATT"),
)


def synthetic_control(
    data: Prepared, *, kind: str = "simplex", errors: str = "placebo", share: float | None = None,
    replicates: int = 200, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """The mean over treated units and their periods after the start.

    Each treated unit has weights of its own; for ``did`` those that start together are averaged first (Clarke et al.
    2023). Errors by placebos: see ``synthetic_inference``. The rank of one treated unit among the placebos (Abadie et
    al. 2010, section 3.4) is told in a remark and the diagnostics; the p-value is that of the interval. The spec's
    controls are matched as traits (see ``read_panel``).

    Refused: those of ``read_panel``, ``too_few_donors``, ``too_few_periods`` (conformal), ``errors_not_available``.
    """
    read = read_panel(data, in_differences=kind == "did")
    if isinstance(read, Refused):
        return read
    panel, remarks = read
    refused = _not_available(panel, kind, errors, level)
    if refused is not None:
        return refused
    parts, used = parts_of(panel, kind, share)
    fit = FITS[kind]
    starts = sorted({p.start for p in parts})
    quick = kind == "did" and len(panel.treated) > 1
    others = [] if errors not in ("placebo", "spread") or quick else placebos(panel, fit, starts, progress)
    floor = TINY * float(panel.outcome[panel.treated].std())
    found = _inference(panel, parts, others, kind, errors, replicates, level, seed, progress)
    if isinstance(found, Refused):
        return found
    spread, words, interval, p_value, df = found
    estimate = float(sum(p.share * p.fit.effect for p in parts))
    ranks = rank_p_values(parts[0], others, floor) if others and len(parts) == 1 else {}
    if ranks:
        remarks = (*remarks, _ranked(panel, ranks, len(others)))
    return Answer(
        _whole(data), estimates=np.array([estimate]), influence=_influence(panel, parts, spread),
        remarks=(*remarks, *_quality(panel, parts)), labels=("treated vs its donors",), interval=interval,
        p_value=p_value, errors=Errors(errors, words, None if df is None else np.array([df])),
        diagnostics=_diagnostics(panel, parts, others, kind) | ({"p_values": ranks} if ranks else {})
        | ({"share": used} if used is not None else {}),
    )


def _ranked(panel: Panel, ranks: dict[str, float], others: int) -> Remark:
    rank = round(ranks["ratio"] * (others + 1))
    return Remark("placebo_rank", f"By how much larger its gap is after the start than before, the treated unit is "
                  f"number {rank} of {others + 1} when each untreated unit is taken for a treated one (p = "
                  f"{ranks['ratio']:.2g}).", (panel.data.spec.treatment,), {"rank": rank, "of": others + 1} | ranks)


def _whole(data: Prepared) -> Prepared:
    """Without clusters other than the units: whole units are compared, whatever groups they form."""
    told = tuple(r for r in data.remarks if r.code not in ("clustered_by_unit", "few_clusters"))
    data = dataclasses.replace(data, remarks=told)
    if data.spec.cluster == data.spec.unit:
        return data
    return dataclasses.replace(data, clusters=None, spec=data.spec.replace(cluster=None))


FITS: dict[str, Fit] = {"simplex": simplex, "augmented": augmented, "pooled": simplex, "did": synthetic_did}


def parts_of(panel: Panel, kind: str, share: float | None = None) -> tuple[list[Part], float | None]:
    """The treated and their doubles, and for ``pooled`` the share that was used."""
    donors, starts = panel.outcome[panel.donors], panel.start[panel.treated]
    total = float((panel.periods - starts).sum())
    if kind == "did":
        parts = []
        for start in np.unique(starts).tolist():
            units = panel.treated[starts == start]
            double = synthetic_did(panel.outcome[units].mean(axis=0), donors, panel.before(start), units=len(units))
            parts.append(Part(units, start, len(units) * (panel.periods - start) / total, double))
        return parts, None
    traits = [panel.traits_of(int(u), panel.donors) for u in panel.treated]
    used = None
    if kind == "pooled":
        fits, used = pooled(panel.outcome[panel.treated], donors, starts.tolist(), share, traits)
    else:
        fits = [FITS[kind](panel.outcome[u], donors, panel.before(int(s)), t)
                for u, s, t in zip(panel.treated, starts, traits, strict=True)]
    return [Part(np.array([u]), int(s), (panel.periods - int(s)) / total, one)
            for u, s, one in zip(panel.treated, starts, fits, strict=True)], used


def _not_available(panel: Panel, kind: str, errors: str, level: float) -> Refused | None:
    if kind != "did" and errors in ("jackknife", "bootstrap"):
        return Refused("errors_not_available", f"errors={errors!r} is known to hold for kind='did' only.",
                       {"kind": kind}, "Use errors='placebo' or 'conformal'.")
    if errors == "bootstrap" and len(panel.treated) < 2:
        return Refused("errors_not_available", "The bootstrap needs several treated units.",
                       {"treated": len(panel.treated)}, "Use errors='placebo'.")
    if errors != "conformal":
        return None
    if kind == "did" or len(np.unique(panel.start[panel.treated])) > 1:
        return Refused("errors_not_available", "Conformal intervals are for weights on levels and one start.",
                       {"kind": kind}, "Use errors='placebo'.")
    if 1 / panel.periods > 1 - level:
        return Refused("too_few_periods", f"Residuals of {panel.periods} periods moved around in time give no p-value "
                       f"below {1 / panel.periods:.3g}, so no effect could be ruled out at {level:.0%}.",
                       {"periods": panel.periods}, "Use errors='placebo', a lower level, or more periods.")
    return None


Found = tuple[float, str, tuple[float, float] | None, float | None, float | None]


def _inference(
    panel: Panel, parts: Sequence[Part], others: Sequence[Placebo], kind: str, errors: str, replicates: int,
    level: float, seed: int, progress: Progress,
) -> Found | Refused:
    """Standard error, its words, and where the method has its own, interval, p-value and degrees of freedom."""
    donors, wanted = len(panel.donors), len(panel.treated)
    if errors == "conformal":
        return _conformal(panel, parts, kind, level)
    if errors == "jackknife":
        spread = inference_of.jackknife_error(panel, parts)
        if spread is None:
            return Refused("errors_not_available", "The jackknife needs two treated units of each start.",
                           {"treated": wanted}, "Use errors='placebo'.")
        return spread, f"jackknife over {donors + wanted} units", None, None, None
    if errors == "bootstrap":
        spread = inference_of.bootstrap_error(panel, _estimate, replicates, seed, progress)
        return spread, f"bootstrap of {donors + wanted} units", None, None, None
    words = f"from {donors} untreated units, each taken for a treated one"
    if kind == "did" and wanted > 1:
        if donors < wanted + max(FEWEST_PLACEBOS, wanted // 2):
            return Refused("too_few_donors", f"{donors} untreated units are too few to take {wanted} of them for the "
                           "treated.", {"untreated": donors, "treated": wanted}, "Use errors='jackknife'.")
        cohorts = [(p.start, len(p.units)) for p in parts]
        spread = inference_of.joint_placebo_error(panel, cohorts, _estimate, replicates, seed, progress)
        return spread, f"from {donors} untreated units, {wanted} at a time taken for the treated", None, None, None
    if len(others) < FEWEST_PLACEBOS:
        return Refused("too_few_donors", "There are too few untreated units to see how far such an average misses one "
                       "of them.", {"untreated": donors}, "Include more untreated units.")
    floor = TINY * float(panel.outcome[panel.treated].std())
    scaled = errors == "placebo" and kind != "augmented"
    if len(parts) > 1:
        return inference_of.error_of_several(parts, others, scaled, floor), words, None, None, donors - 1.0
    spread = inference_of.error_of_one(parts[0], others, scaled, floor)
    return spread, words, None, None, donors - 1.0


def _estimate(panel: Panel) -> float:
    return float(sum(p.share * p.fit.effect for p in parts_of(panel, "did")[0]))


def _conformal(panel: Panel, parts: Sequence[Part], kind: str, level: float) -> Found | Refused:
    def fit_of(own: Synthetic) -> Fit:
        return functools.partial(augmented, penalty=own.penalty) if kind == "augmented" else simplex

    misfit = max(p.fit.misfit for p in parts) or float(panel.outcome.std())
    interval, p_value = inference_of.conformal(panel, parts, fit_of, misfit, 1 - level)
    if interval is None or not np.isfinite(interval).all():
        return Refused("no_interval", "No effect that stays the same over the periods agrees with how the series moved "
                       "before." if interval is None else "No effect is large enough to be ruled out.",
                       {"p_value_of_none": p_value}, "Use errors='placebo'.")
    from scipy.special import ndtri

    spread = (interval[1] - interval[0]) / 2 / float(ndtri(0.5 + level / 2))
    return spread, f"conformal, from {panel.periods} moves of the residuals in time", interval, p_value, None


def _influence(panel: Panel, parts: Sequence[Part], spread: float) -> np.ndarray:
    """Values (n, 1) on the treated units' rows whose sums by unit have squares that sum to the squared error."""
    n = panel.data.n
    share = np.zeros(len(panel.start))
    for p in parts:
        share[p.units] += p.share / len(p.units)
    size = np.bincount(panel.found.unit, minlength=len(share))
    value = share / np.sqrt((share**2).sum()) * spread * n
    by_unit = panel.data.clusters is not None and panel.data.spec.cluster == panel.data.spec.unit
    return (value / (size if by_unit else np.sqrt(size)))[panel.found.unit][:, None]


def _quality(panel: Panel, parts: Sequence[Part]) -> list[Remark]:
    """How closely the treated were followed before, and where no weighted average could have followed them."""
    said, outcome = [], panel.data.spec.outcome
    misfit = float(np.sqrt(np.mean([p.fit.misfit**2 for p in parts])))
    before = np.concatenate([panel.outcome[p.units].mean(axis=0)[: p.start] for p in parts])
    if misfit > POOR * float(np.std(before)) > 0:
        said.append(Remark("poor_fit", f"Before treatment the weighted average misses the treated by {misfit:.3g}, "
                           "more than half of how much these vary; it may not stand for them.", (outcome,),
                           {"misfit": misfit}))
    donors = panel.outcome[panel.donors]
    outside = periods = 0
    for p in parts:
        own = panel.outcome[p.units].mean(axis=0)[: p.start]
        outside += int(((own > donors[:, : p.start].max(axis=0)) | (own < donors[:, : p.start].min(axis=0))).sum())
        periods += p.start
    if outside and parts[0].fit.times is None:
        said.append(Remark("outside_hull", f"In {outside} of {periods} periods before treatment the treated lies above "
                           f"or below every untreated unit, where no weighted average reaches; the misfit before is "
                           f"{misfit:.3g}. kind='augmented' or 'did' allows for such a distance.", (outcome,),
                           {"outside": outside, "periods": periods, "misfit": misfit}))
    return said


def _diagnostics(panel: Panel, parts: Sequence[Part], others: Sequence[Placebo], kind: str) -> dict[str, Any]:
    share = [p.share for p in parts]
    weights = np.average([p.fit.weights for p in parts], axis=0, weights=share)
    gap = np.average([p.fit.gap for p in parts], axis=0, weights=share)
    order = np.argsort(-np.abs(weights), kind="stable")[:SHOWN]
    named = [panel.names[u] for u in panel.donors]
    found = {
        "kind": kind, "adoption": panel.found.kind, "treated_units": len(panel.treated), "donors": len(named),
        "periods_before": int(min(p.start for p in parts)),
        "misfit_before": float(np.sqrt(np.mean([p.fit.misfit**2 for p in parts]))), "placebos": len(others),
        "weights": {named[i]: float(weights[i]) for i in order if abs(weights[i]) > 1e-6},
        "times": list(panel.times), "gap": gap.tolist(),
    }
    if others and len(parts) == 1:
        found["placebo_spread"] = float(np.std([p.fit.effect for p in others], ddof=1))
    penalties = [p.fit.penalty for p in parts if p.fit.penalty is not None]
    if penalties:
        found["penalty"] = float(np.mean(penalties))
    if len(parts) > 1:
        found["by_start"] = [{"units": [panel.names[u] for u in p.units][:SHOWN], "start": panel.times[p.start],
                              "effect": p.fit.effect, "misfit": p.fit.misfit, "share": p.share} for p in parts]
        return found | {"picture": _since(panel, parts)}
    own = panel.outcome[parts[0].units].mean(axis=0)
    near = sorted(others, key=lambda p: (p.fit.misfit, p.unit))
    drawn = [p for p in near if p.fit.misfit**2 <= CLOSELY * parts[0].fit.misfit**2][:SHOWN] or near[:FEWEST_DRAWN]
    return found | {"picture": {
        "kind": "double", "times": list(panel.times), "own": own.tolist(), "synthetic": (own - gap).tolist(),
        "start": parts[0].start, "time": str(panel.data.spec.time), "outcome": panel.data.spec.outcome,
        "gap": gap.tolist(), "placebos": [p.fit.gap.tolist() for p in drawn], "placebos_made": len(others),
    }}


def _since(panel: Panel, parts: Sequence[Part]) -> dict[str, Any]:
    """Gaps of the parts by periods since the start, over those that all of them have, and their mean by share."""
    before, after = min(p.start for p in parts), panel.periods - max(p.start for p in parts)
    gaps = np.array([p.fit.gap[p.start - before : p.start + after] for p in parts])
    mean = np.average(gaps, axis=0, weights=[p.share for p in parts])
    return {"kind": "since", "since": list(range(-before, after)), "gap": mean.tolist(),
            "each": [{"start": str(panel.times[p.start]), "gap": gap.tolist()} for p, gap in
                     zip(parts[:SHOWN], gaps, strict=False)], "outcome": panel.data.spec.outcome}
