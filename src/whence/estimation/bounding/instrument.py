"""Bounds from an instrument with few levels, on a table."""

from __future__ import annotations

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.bounding.scores import Found
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.identification.bounds import MOST_TYPES, Bounded, instrument_bounds_within
from whence.identification.graph_bounds import graph_bounds
from whence.stats.features import level_codes

GRAPH = "z --> x; x --> y; x <-> y"
MOST_LEVELS = 10  # of the outcome and of the instrument
CONFIDENCE = ("In at least {level:.0%} of samples of any size the interval holds both ends of what the assumptions "
              "allow, and so the truth: it is the union of the bounds of all distributions whose probabilities, given "
              "the instrument, lie in their exact binomial intervals, {cells} together (Bonferroni).")

CARD = Card(
    name="instrument",
    task="bounds",
    title="Instrument bounds (Balke-Pearl)",
    summary="The effect on everybody if a variable affects the outcome only through the treatment and shares no cause "
    "with it.",
    data_kinds=("binary", "categorical", "ordinal", "count"),
    assumptions=(
        "The instrument affects the outcome only through the treatment.",
        "Nothing hidden affects both the instrument and the treatment or the outcome.",
    ),
    parameters=(
        Parameter("monotone", "choice", "none", "increasing: nobody leaves the treatment as the instrument rises; "
                  "decreasing: nobody takes it up; none: either may happen.",
                  choices=("none", "increasing", "decreasing")),
        LEVEL,
    ),
    output="Bounds",
    cost="Linear programs with one unknown per response type: levels of the treatment to the power of those of the "
    "instrument, times levels of the outcome to the power of those of the treatment.",
    citations=(
        "Balke and Pearl (1997), Bounds on treatment effects from studies with imperfect compliance, JASA 92",
        "Clopper and Pearson (1934), The use of confidence or fiducial limits illustrated in the case of the binomial, "
        "Biometrika 26",
    ),
    function="whence.estimation.bounding.instrument:instrument",
)


def instrument(
    data: Prepared, *, monotone: str = "none", level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Found | Refused:
    """Balke and Pearl's bounds in the sample, and an interval that holds the true ones whatever the sample's size.

    A sample that no model fits gets the bounds of the nearest distribution that one does, and a remark; where that
    is more than chance the answer is a refusal.

    Refused: ``no_instrument``, ``several_instruments``, ``controls_not_available``, ``dependent_rows``,
    ``quantity_not_available``, ``several_levels``, ``too_many_levels``, ``instrument_constant``, ``too_many_types``,
    ``instrument_contradicted``.
    """
    refusal = _out_of_reach(data, monotone)
    if refusal is not None:
        return refusal
    data = _with_instrument(data)
    counted = _counts(data)
    if isinstance(counted, Refused):
        return counted
    counts, values = counted
    if monotone == "decreasing":
        counts = counts[::-1]
    least, most = exact_region(counts, level)
    wide = instrument_bounds_within(least, most, values=values.tolist(), monotone=monotone != "none")
    if isinstance(wide, Refused):
        return wide
    here = graph_bounds(GRAPH, counts, "zxy", "x", "y", values=values.tolist(), nearest=True,
                        monotone=None if monotone == "none" else {("z", "x"): "increasing"})
    if isinstance(here, Refused):
        return here
    remarks = ()
    if "smallest_change" in here.evidence:
        remarks = (Remark(
            "nearest_distribution", "The sample itself fits no model with such an instrument, which can be chance; the "
            " bounds shown are those of the nearest distribution that fits.", data.spec.instruments,
            {"smallest_change": here.evidence["smallest_change"]},
        ),)
    arms = {data.treatment.arms[arm]: here.arms[name] for arm, name in ((1, "treated"), (0, "control"))}
    lower, upper = here.lower, here.upper
    evidence = {"instrument": data.spec.instruments[0], "levels": len(counts), "cells": counts.size,
                "rows_per_level": counts.sum(axis=(1, 2)).tolist(), "monotone": monotone}
    return Found(data, lower, upper, None, (min(wide.lower, lower), max(wide.upper, upper)), arms,
                 CONFIDENCE.format(level=level, cells=counts.size), _assumptions(wide, monotone), evidence, remarks)


def exact_region(counts: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """The least and the most each P(x, y | z) may be, all true together with probability ``level`` or more.

    counts: (instrument levels, treatment levels, outcome levels). Clopper-Pearson intervals, each at 1 - (1 - level) /
    cells: exact given how often each instrument level occurs.
    """
    from scipy.special import betaincinv

    n = np.broadcast_to(counts.sum(axis=(1, 2), keepdims=True), counts.shape).astype(float)
    k, tail = counts.astype(float), (1 - level) / counts.size / 2
    least = np.where(k > 0, betaincinv(np.maximum(k, 1), n - k + 1, tail), 0.0)
    most = np.where(k < n, betaincinv(k + 1, np.maximum(n - k, 1), 1 - tail), 1.0)
    return least, most


def _assumptions(wide: Bounded, monotone: str) -> tuple[str, ...]:
    turned = "Nobody takes the treatment up as the instrument rises."
    return (*CARD.assumptions, turned) if monotone == "decreasing" else wide.assumptions


def _out_of_reach(data: Prepared, monotone: str) -> Refused | None:
    spec = data.spec
    if not spec.instruments:
        return Refused("no_instrument", "These bounds need an instrument.", {}, "Name it: instruments=('assigned',).")
    if len(spec.instruments) > 1:
        return Refused("several_instruments", "These bounds use one instrument.",
                       {"instruments": list(spec.instruments)}, "Name one, or make a column of their combinations.")
    if spec.controls:
        return Refused("controls_not_available", "These bounds use no controls: the instrument must be as good as "
                       "chosen by chance.", {"controls": list(spec.controls)},
                       "Leave them out, or narrow the population.")
    if data.weights is not None or data.clusters is not None:
        return Refused("dependent_rows", "The interval of these bounds is for rows drawn one by one, without weights "
                       "or clusters.", {"weights": spec.weights, "cluster": spec.cluster},
                       "Leave them out if that holds.")
    if spec.quantity != "ATE":
        return Refused("quantity_not_available", "These bounds are about everybody, so only the ATE.",
                       {"quantity": spec.quantity}, "Ask for the ATE.")
    if monotone != "none" and len(data.treatment.arms) > 2:
        return Refused("several_levels", f"{data.treatment.name!r} has {len(data.treatment.arms)} values; a "
                       "direction is for two.", {"levels": list(data.treatment.arms)}, "Use monotone='none'.")
    return None


def _with_instrument(data: Prepared) -> Prepared:
    """The rows whose instrument is known."""
    name = data.spec.instruments[0]
    lost = data.table.column(name).missing[data.rows]
    if not lost.any():
        return data
    return data.take(~lost, Remark("rows_dropped", f"{int(lost.sum()):,} of {data.n:,} rows are left out for missing "
                                   f"values: {name}.", (name,), {"dropped": int(lost.sum()), "rows": data.n}))


def _counts(data: Prepared) -> tuple[np.ndarray, np.ndarray] | Refused:
    """Rows by instrument, treatment and outcome level, and the number of each outcome level."""
    name = data.spec.instruments[0]
    z = np.unique(level_codes(data.table.column(name), data.rows)[0], return_inverse=True)[1]
    values, y = np.unique(data.outcome, return_inverse=True)
    shape = (int(z.max()) + 1, len(data.treatment.arms), len(values))
    for column, levels in ((name, shape[0]), (data.spec.outcome, shape[2])):
        if levels > MOST_LEVELS:
            return Refused("too_many_levels", f"{column!r} has {levels:,} values; these bounds are for up to "
                           f"{MOST_LEVELS}.", {"column": column, "levels": levels},
                           "Make a column that groups its values.")
    if shape[0] == 1:
        return Refused("instrument_constant", f"{name!r} has the same value in every row used.", {"column": name},
                       "Use another instrument, or method='manski'.")
    types = shape[1] ** shape[0] * shape[2] ** shape[1]
    if types > MOST_TYPES:
        return Refused("too_many_types", f"These levels make {types:,} response types; up to {MOST_TYPES:,} can be "
                       "handled.", {"types": types, "levels": list(shape)}, "Group values.")
    counts = np.zeros(shape)
    np.add.at(counts, (z, data.treatment.codes, y), 1)
    return counts, values
