"""Two-way fixed effects: the difference in differences as a regression."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.adoption import Adoption, adoption
from whence.estimation.inference import Answer, Errors
from whence.estimation.linear_errors import (
    DRAWS,
    LINEAR_COVARIANCE,
    Linear,
    chosen,
    few_clusters,
    fit_errors,
    with_bootstrap,
)
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.stats.decomposition import bacon, negative_share
from whence.stats.fixed_effects import absorb, singletons
from whence.stats.regress import ols

FEWEST_PLACEBOS = 9
MOST_DUMMIES = 200  # periods that enter as columns of their own; more are taken out with the units
LEVERAGE = ("HC2", "HC3", "CR2", "CR3", "wild")  # covariances that need all columns to see each row's leverage
NOTHING = 1e-9  # part of a column's length that the fixed effects may leave of one that follows from them
FORBIDDEN = 0.1  # share of comparisons with the already treated that is worth a warning

CARD = Card(
    name="twfe",
    task="estimation",
    title="Two-way fixed effects (difference in differences)",
    summary="How the outcome of the treated changed, less how it changed for the others at the same times.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Without treatment, the outcomes of the treated and of the others would have moved in parallel.",
        "Nobody reacts before treatment starts.",
        "The effect is the same for all units and does not change with time since the start (where starts differ).",
    ),
    parameters=(LINEAR_COVARIANCE, DRAWS, LEVEL),
    output="Effect",
    cost="A pass over the rows per column, and the cube of the number of periods.",
    citations=(
        "Ashenfelter and Card (1985), Using the longitudinal structure of earnings to estimate the effect of training "
        "programs, Review of Economics and Statistics 67",
        "Goodman-Bacon (2021), Difference-in-differences with variation in treatment timing, Journal of Econometrics "
        "225",
        "de Chaisemartin and D'Haultfoeuille (2020), Two-way fixed effects estimators with heterogeneous treatment "
        "effects, American Economic Review 110",
        "Conley and Taber (2011), Inference with difference in differences with a small number of policy changes, "
        "Review of Economics and Statistics 93",
    ),
    function="whence.estimation.twfe:twfe",
    strategies=("did", "event_study"),
    quantities=("ATE", "ATT"),
)


def twfe(
    data: Prepared, *, covariance: str | None = None, bootstrap_draws: int = 9999, level: float = 0.95, seed: int = 0,
    progress: Progress = SILENT,
) -> Answer | Refused:
    """Least squares of the outcome on the treatment in force, unit and period effects, and controls.

    Without a unit the groups take its place (repeated cross-sections). Units take themselves out of every column;
    periods enter as columns (up to 200 of them) where small-sample corrections must see them. With staggered starts
    the weights that this regression gives to the effects of units and times are reported: the share of comparisons with
    units already treated (Goodman-Bacon 2021, theorem 1, balanced panels) and of negative weights (de Chaisemartin and
    D'Haultfoeuille 2020, theorem 1). Where one unit alone starts treatment, errors, interval and p-value come from
    taking each untreated unit for it in turn (Conley and Taber 2011).

    Refused: those of ``adoption``, ``treatment_determined`` (units and periods decide the treatment),
    ``too_few_clusters``.
    """
    read = adoption(data)
    if isinstance(read, Refused):
        return read
    found, remarks = read
    whole = found.groups != "units" or (found.in_order and len(found.begins) > 1 and len(found.when) > 1)
    alone = np.zeros(data.n, dtype=bool) if whole else singletons([found.unit, found.period])
    if alone.any():
        said = Remark("singletons", f"{alone.sum():,} rows are the only one of their unit and say nothing about "
                      "change; they are left out.", (str(data.spec.unit),), {"rows": int(alone.sum())})
        read = adoption(data.take(~alone, said))
        if isinstance(read, Refused):
            return read
        data, (found, remarks) = data.take(~alone, said), read
    return _fit(data, found, remarks, chosen(data, covariance, "HC1"), level, bootstrap_draws, seed)


def _fit(
    data: Prepared, found: Adoption, remarks: tuple[Remark, ...], name: str, level: float, draws: int, seed: int
) -> Answer | Refused:
    controls = data.features(1)
    if isinstance(controls, Refused):
        return controls
    periods = int(found.period.max()) + 1
    few = periods <= MOST_DUMMIES and name in LEVERAGE
    dummies = (found.period[:, None] == np.arange(1, periods)).astype(float) if few else np.zeros((data.n, 0))
    raw = np.column_stack([data.outcome, controls.matrix, dummies, found.status])
    left = absorb(raw, [found.unit] if few else [found.unit, found.period], data.weights)
    squares, before = (np.einsum("ij,ij->j", part, part) for part in (left.columns, raw))
    some = np.sqrt(squares) > NOTHING * np.sqrt(before)
    columns = left.columns if some.all() else np.where(some, left.columns, 0.0)
    fit = ols(columns[:, 1:], columns[:, 0], data.weights)
    if not fit.kept[-1]:
        return Refused(
            "treatment_determined", f"Unit and period (and the controls) decide {data.treatment.name!r} exactly, so "
            "its effect cannot be told from theirs.", {"controls": list(controls.labels[:20])},
            "Include units whose treatment changes at other times, or leave out controls that follow it.",
        )
    used = {label for label, kept in zip(controls.labels, fit.kept, strict=False) if kept}
    lost = [label for label in controls.labels if label not in used]
    if lost:
        remarks = (*remarks, Remark(
            "controls_dropped", "Left out because they do not change within units, or follow from the other columns: "
            + ", ".join(lost[:8]) + ("..." if len(lost) > 8 else "") + ".", tuple(lost), {"dropped": lost}))
    row = np.zeros((1, fit.design.shape[1]))
    row[0, -1] = 1.0
    data, said = few_clusters(data, name)
    nested = data.clusters is not None and (data.spec.cluster == data.spec.unit or _within(found.unit, data.clusters))
    counted = fit.rank + left.rank - (int(found.unit.max()) + 1 if nested else 0) + nested
    estimate, interval, p_value = float(fit.coefficients[-1]), None, None
    lone = _lone(found)
    if lone is None:
        errors = fit_errors(data, fit, row, name, counted)
    else:
        placebos = _placebos(data, found, lone)
        if isinstance(placebos, Refused):
            return placebos
        errors, interval, p_value = _by_placebos(data, found.unit == lone, estimate, placebos, level)
        said = tuple(r for r in said if r.code != "few_clusters")
    if isinstance(errors, Refused):
        return errors
    weights, warned = _weights(data, found, None if few else left.columns[:, -1])
    answer = Answer(
        data, estimates=np.array([estimate]), influence=errors[0], errors=errors[1], interval=interval, p_value=p_value,
        df=np.array([max(1.0, data.n - left.rank - fit.rank)]), remarks=(*remarks, *said, *warned),
        labels=(_label(found),),
        diagnostics={"adoption": found.kind, "treatment_read_as": found.read, "groups": found.groups,
                     "units": int(found.unit.max()) + 1, "periods": periods, "covariance": errors[1].name,
                     "controls": sorted(used), **weights},
    )
    if name != "wild" or lone is not None:
        return answer
    return with_bootstrap(answer, Linear.of(fit, row), level, draws, seed)


def _label(found: Adoption) -> str:
    return "one more unit" if found.kind == "dose" else "treated vs not treated"


def _within(inner: np.ndarray, outer: np.ndarray) -> bool:
    """Whether each value of ``inner`` (codes (n,)) has one of ``outer``."""
    one = np.zeros(int(inner.max()) + 1, dtype=outer.dtype)
    one[inner] = outer
    return bool((one[inner] == outer).all())


def _lone(found: Adoption) -> int | None:
    """The only unit whose treatment starts, if there is one: clusters then say nothing about its own errors."""
    if found.groups == "groups" or found.kind != "once":
        return None
    moving = np.unique(found.unit[np.isfinite(found.first) & (found.first > found.time.min())])
    return int(moving[0]) if len(moving) == 1 else None


def _placebos(data: Prepared, found: Adoption, lone: int) -> np.ndarray | Refused:
    """The estimate for each untreated unit as if it had been the treated one, among the untreated."""
    others = np.unique(found.unit[~np.isfinite(found.first)])
    if len(others) < FEWEST_PLACEBOS:
        return Refused(
            "too_few_clusters", f"One unit is treated and {len(others)} are not: too few to see how far apart units "
            "drift by themselves.", {"untreated": len(others), "needed": FEWEST_PLACEBOS},
            "Include more untreated units.")
    inside = np.isin(found.unit, others)
    start = found.first[found.unit == lone][0]
    later = (found.time[inside] >= start).astype(float)
    controls = data.features(1)
    assert not isinstance(controls, Refused)
    each = (found.unit[inside][:, None] == others) * later[:, None]
    raw = np.column_stack([data.outcome[inside], controls.matrix[inside], each])
    weights = None if data.weights is None else data.weights[inside]
    left = absorb(raw, [found.unit[inside], found.period[inside]], weights).columns
    k = controls.matrix.shape[1]
    fits = [ols(left[:, [*range(1, k + 1), k + 1 + j]], left[:, 0], weights) for j in range(len(others))]
    return np.array([fit.coefficients[-1] for fit in fits if fit.kept[-1]])


def _by_placebos(
    data: Prepared, own: np.ndarray, estimate: float, placebos: np.ndarray, level: float
) -> tuple[tuple[np.ndarray, Errors], tuple[float, float], float]:
    """Errors, interval and p-value from how the placebos vary (Conley and Taber 2011, section 3)."""
    low, high = np.quantile(placebos, [(1 - level) / 2, (1 + level) / 2])
    p_value = float((1 + (np.abs(placebos) >= abs(estimate)).sum()) / (1 + len(placebos)))
    influence = np.zeros((data.n, 1))
    influence[own] = data.n * float(np.std(placebos, ddof=1)) / own.sum()
    words = f"from {len(placebos)} untreated units, each taken for the treated one (Conley and Taber)"
    return (influence, Errors("placebo", words)), (estimate - float(high), estimate - float(low)), p_value


def _weights(
    data: Prepared, found: Adoption, treatment: np.ndarray | None
) -> tuple[dict[str, Any], tuple[Remark, ...]]:
    """What the regression makes of effects that differ, for staggered starts and treatments that switch off.
    treatment: (n,), the status less unit and period effects, where it is known."""
    if found.kind == "dose":
        return {}, (Remark("dose", f"{data.treatment.name} is a dose: the effect is that of one more unit, taken to be "
                           "the same for everybody, at every dose and at every time.", (data.treatment.name,)),)
    if found.kind == "once":
        return {}, ()
    if treatment is None:
        treatment = absorb(found.status[:, None], [found.unit, found.period], data.weights).columns[:, 0]
    negative = negative_share(treatment, found.status, data.w)
    if found.kind == "switching":
        return {"negative_weights": negative}, (Remark(
            "switches_off", f"{data.treatment.name} also switches off. The regression takes its effect to end then and "
            "to be the same for everybody and at every time" + (f"; {negative:.0%} of the weight that it gives to "
            "effects is negative" if negative > 0 else "") + ". method='switchers' compares only those that switch "
            "with those that stay.", (data.treatment.name,), {"share": negative}),)
    parts = bacon(data.outcome, found.unit, found.period, found.first, found.time)
    told: dict[str, Any] = {"negative_weights": negative}
    share = negative
    if parts is not None:
        told["comparisons"] = [dataclasses.asdict(p) for p in parts]
        share = sum(p.weight for p in parts if p.forbidden)
        told["already_treated_share"] = share
    if share <= FORBIDDEN and negative <= 0:
        return told, ()
    text = (f"Starts differ, and {share:.0%} of this estimate compares units that start with units already treated"
            if parts is not None else f"Starts differ, and {negative:.0%} of the weight that this estimate gives is "
            "negative")
    text += "; where effects grow or differ, it can be far off, even of the wrong sign. method='group_time' is not."
    return told, (Remark("staggered", text, (data.treatment.name,), {"share": share}),)
