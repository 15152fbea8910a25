"""Synthetic control: a weighted average of untreated units stands for the treated one; also in differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.adoption import Adoption, adoption
from whence.estimation.inference import Answer, Errors
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.stats.features import plain
from whence.stats.simplex import simplex_least_squares

FEWEST_PERIODS = 3  # before treatment; with fewer, any few untreated units fit
FEWEST_DONORS = 2
SHOWN = 60  # donors listed with their weights
POOR = 0.5  # root mean squared misfit before treatment, in standard deviations of the treated outcome then

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
        Parameter("kind", "choice", "simplex", "'simplex': weights that sum to one, on levels; 'did': synthetic "
                  "difference in differences, which also weighs periods and allows a constant distance.",
                  choices=("simplex", "did")),
        LEVEL,
    ),
    output="Effect",
    cost="One small quadratic program for each treated unit, and one for each untreated unit as a placebo.",
    citations=(
        "Abadie, Diamond and Hainmueller (2010), Synthetic control methods for comparative case studies, Journal of "
        "the American Statistical Association 105",
        "Arkhangelsky, Athey, Hirshberg, Imbens and Wager (2021), Synthetic difference-in-differences, American "
        "Economic Review 111",
    ),
    function="whence.estimation.synthetic_control:synthetic_control",
    strategies=("synthetic_control", "did"),
    quantities=("ATE", "ATT"),
)


@dataclass(frozen=True)
class Synthetic:
    """One treated unit. effect: the mean over the periods after the start. weights: (donors,). gap: (periods,), outcome
    less that of the weighted donors (for ``did`` less their mean distance before, too). misfit: root mean square of the
    gap before."""

    effect: float
    weights: np.ndarray
    gap: np.ndarray
    misfit: float


def simplex(own: np.ndarray, donors: np.ndarray, before: np.ndarray) -> Synthetic:
    """Abadie et al. (2010), equation 2 with the outcomes before as predictors. own: (periods,); donors: (units,
    periods); before: boolean (periods,)."""
    weights = simplex_least_squares(donors[:, before].T, own[before])
    gap = own - weights @ donors
    return Synthetic(float(gap[~before].mean()), weights, gap, float(np.sqrt((gap[before] ** 2).mean())))


def synthetic_did(own: np.ndarray, donors: np.ndarray, before: np.ndarray) -> Synthetic:
    """Arkhangelsky et al. (2021), algorithm 1: weights of donors (equation 4) and of periods (equation 6), each with an
    intercept, then the difference in differences under both."""
    early, late = donors[:, before], donors[:, ~before]
    noise = float(np.std(np.diff(early, axis=1), ddof=1))
    ridge = np.sqrt(float(late.shape[1])) * noise**2 * early.shape[1]
    target = own[before]
    weights = simplex_least_squares((early - early.mean(axis=1, keepdims=True)).T, target - target.mean(), ridge)
    after = late.mean(axis=1)
    periods = simplex_least_squares(early - early.mean(axis=0), after - after.mean(), 1e-12 * noise**2 * len(donors))
    gap = own - weights @ donors
    gap = gap - float(periods @ gap[before])
    spread = float(np.sqrt(np.var(gap[before])))
    return Synthetic(float(gap[~before].mean()), weights, gap, spread)


def synthetic_control(
    data: Prepared, *, kind: str = "simplex", level: float = 0.95, seed: int = 0, progress: Progress = SILENT
) -> Answer | Refused:
    """The mean over treated units and their periods after the start.

    Errors: the spread of the same estimate over the untreated units, each taken for a treated one (Arkhangelsky et al.
    2021, algorithm 4); with several treated units their mean has that spread over the root of their number. The p-value
    is the share of placebos whose misfit after the start, relative to that before, is as large (Abadie et al. 2010,
    section 3.4; simplex), or whose estimate is as large (did).

    Units that are not seen in every period are left out, with a remark. Refused: those of ``adoption``,
    ``treatment_switches``, ``no_unit``, ``repeated_rows``, ``too_few_periods``, ``too_few_donors``.
    """
    read = adoption(data)
    if isinstance(read, Refused):
        return read
    found, remarks = read
    refused = _unsuited(data, found)
    if refused is not None:
        return refused
    outcome, start, whole = _panel(data, found)
    names = np.zeros(len(start), dtype=np.int64)
    names[found.unit] = np.arange(data.n)
    treated = np.flatnonzero(whole & (start < outcome.shape[1]))
    donors = np.flatnonzero(whole & (start == outcome.shape[1]))
    if len(donors) < FEWEST_DONORS or not len(treated):
        return Refused("too_few_donors", f"{len(donors)} untreated and {len(treated)} treated units are seen in every "
                       "period; weights need at least two untreated ones.", {"untreated": len(donors),
                       "treated": len(treated)}, "Include untreated units, or periods that all of them have.")
    if start[treated].min() < FEWEST_PERIODS:
        return Refused("too_few_periods", f"Treatment starts after {start[treated].min()} periods; with fewer than "
                       f"{FEWEST_PERIODS} anything fits.", {"before": int(start[treated].min())},
                       "Include earlier periods, or use a difference in differences.")
    if not whole.all():
        remarks = (*remarks, Remark("units_left_out", f"{(~whole).sum():,} units are not seen in every period and are "
                                    "left out.", (str(data.spec.unit),), {"units": int((~whole).sum())}))
    fit = simplex if kind == "simplex" else synthetic_did
    made = [fit(outcome[i], outcome[donors], np.arange(outcome.shape[1]) < start[i]) for i in treated]
    placebos = _placebos(fit, outcome[donors], np.unique(start[treated]), progress)
    labels = _names(data, names[donors])
    return _answer(data, found, made, placebos, start[treated], treated, kind, labels, remarks)


def _unsuited(data: Prepared, found: Adoption) -> Refused | None:
    if found.groups != "units":
        return Refused("no_unit", "A synthetic control follows units over time, and the spec names no unit.", {},
                       "Name the unit.")
    if found.kind in ("switching", "dose"):
        return Refused("treatment_switches", f"{data.treatment.name!r} does not start and stay.", {"kind": found.kind},
                       "Use method='twfe'.")
    pairs = found.unit * (found.period.max() + 1) + found.period
    if len(np.unique(pairs)) < len(pairs):
        return Refused("repeated_rows", "Some unit has two rows in one period.", {"rows": len(pairs)},
                       "Average them first, or name a finer unit.")
    return None


def _panel(data: Prepared, found: Adoption) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes (units, periods), period of the start (units,), and which units are seen in every period."""
    units, periods = int(found.unit.max()) + 1, int(found.period.max()) + 1
    outcome = np.full((units, periods), np.nan)
    outcome[found.unit, found.period] = data.outcome
    start = np.full(units, periods)
    start[found.unit] = np.searchsorted(np.unique(found.time), found.first)
    return outcome, start, np.isfinite(outcome).all(axis=1) & (start > 0)


def _placebos(fit, donors: np.ndarray, starts: np.ndarray, progress: Progress) -> list[tuple[int, Synthetic]]:
    """Each donor as the treated unit, with the others as its donors, for each start."""
    found = []
    if len(donors) <= FEWEST_DONORS:
        return found
    progress.begin("placebos", len(donors) * len(starts))
    try:
        for begin in starts.tolist():
            before = np.arange(donors.shape[1]) < begin
            for i in range(len(donors)):
                found.append((begin, fit(donors[i], np.delete(donors, i, axis=0), before)))
                progress.step()
    finally:
        progress.end()
    return found


def _names(data: Prepared, rows: np.ndarray) -> list[str]:
    column = data.table.column(str(data.spec.unit))
    return [column.shown(int(data.rows[row])) for row in rows]


def _ratio(one: Synthetic, begin: int) -> float:
    """Misfit after the start relative to that before."""
    return float(np.sqrt((one.gap[begin:] ** 2).mean())) / max(one.misfit, 1e-300)


def _answer(
    data: Prepared, found: Adoption, made: list[Synthetic], placebos: list[tuple[int, Synthetic]], start: np.ndarray,
    treated: np.ndarray, kind: str, labels: list[str], remarks: tuple[Remark, ...],
) -> Answer | Refused:
    periods = len(made[0].gap)
    length = periods - start
    share = length / length.sum()
    estimate = float(share @ [one.effect for one in made])
    if len(placebos) < 3:
        return Refused("too_few_donors", "There are too few untreated units to see how far such an average misses one "
                       "of them.", {"untreated": len(labels)}, "Include more untreated units.")
    spread = {b: float(np.std([p.effect for at, p in placebos if at == b], ddof=1)) for b in np.unique(start).tolist()}
    influence = np.zeros((data.n, 1))
    for unit, part, begin in zip(treated, share, start, strict=True):
        own = found.unit == unit
        influence[own] = data.n * part * spread[int(begin)] / own.sum()
    misfit = float(np.sqrt(np.mean([one.misfit**2 for one in made])))
    before = np.concatenate([data.outcome[(found.unit == u)] for u in treated])
    if misfit > POOR * float(np.std(before)) > 0:
        remarks = (*remarks, Remark("poor_fit", f"Before treatment the weighted average misses the treated by "
                                    f"{misfit:.3g}, more than half of how much these vary; it may not stand for them.",
                                    (data.spec.outcome,), {"misfit": misfit}))
    own, others = ([one.effect for one in made], [p.effect for _, p in placebos]) if kind == "did" else (
        [_ratio(one, b) for one, b in zip(made, start, strict=True)], [_ratio(p, b) for b, p in placebos])
    p_value = (1 + sum(abs(v) >= abs(np.mean(own)) for v in others)) / (1 + len(others)) if len(made) == 1 else None
    weights = np.average([one.weights for one in made], axis=0, weights=share)
    order = np.argsort(-weights, kind="stable")[:SHOWN]
    gap = np.average([one.gap for one in made], axis=0, weights=share)
    return Answer(
        data, estimates=np.array([estimate]), influence=influence, remarks=remarks, labels=("treated vs its donors",),
        p_value=p_value,
        errors=Errors("placebo", f"from {len(labels)} untreated units, each taken for a treated one"),
        diagnostics={
            "kind": kind, "adoption": found.kind, "treated_units": len(made), "donors": len(labels),
            "periods_before": int(start.min()), "misfit_before": misfit, "placebos": len(placebos),
            "weights": {labels[i]: float(weights[i]) for i in order if weights[i] > 1e-6},
            "times": [plain(t) for t in np.unique(found.time).tolist()],
            "gap": gap.tolist(),
            **({} if len(made) > 1 else {"picture": _picture(data, found, treated[0], gap, start)}),
        },
    )


def _picture(data: Prepared, found: Adoption, unit: int, gap: np.ndarray, start: np.ndarray) -> dict[str, Any]:
    """The treated unit and its weighted donors over time, for a drawing."""
    own = np.zeros(len(gap))
    rows = found.unit == unit
    own[found.period[rows]] = data.outcome[rows]
    return {"kind": "double", "times": [plain(t) for t in np.unique(found.time).tolist()], "own": own.tolist(),
            "synthetic": (own - gap).tolist(), "start": int(start[0]), "time": str(data.spec.time),
            "outcome": data.spec.outcome}
