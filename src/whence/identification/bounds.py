"""Bounds on an average effect where no formula gives a point, from the joint distribution of discrete variables.

Each bound is sharp: it is the set of effects that some model with the stated assumptions and this very distribution
has. All are linear programs (or have a closed form) and are about the distribution given: an interval around a
sample's bound for sampling error is another matter.

Sources: Manski (1990), Nonparametric bounds on treatment effects; Manski (1997), Monotone treatment response; Manski,
Pepper (2000), Monotone instrumental variables; Balke, Pearl (1997), Bounds on treatment effects from studies with
imperfect compliance; Pearl (1995), On the testability of causal models with latent and instrumental variables.
"""

from __future__ import annotations

import itertools
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Refused, fields_to_plain, to_plain
from whence.identification.linear_program import smallest_change

Direction = Literal["increasing", "decreasing"]
DIRECTIONS = ("increasing", "decreasing")
MOST_TYPES = 25_000  # columns of the linear program that still solve in a few seconds
ROUNDING = 1e-7  # what the solver promises, with outcomes scaled to [0, 1]


@dataclass(frozen=True)
class Bounded:
    """The quantity, E[Y | do(treated)] - E[Y | do(control)] unless it says otherwise, lies in [lower, upper].

    lower, upper: in units of the outcome. arms: the same for the mean outcome under each of the two levels; the two
    need not reach their ends together. assumptions: sentences the bounds rest on; none means none. treated,
    control: the levels compared (no control: the mean under one level). evidence: numbers behind it, by name.
    sharp: every value inside fits the assumptions and the distribution; otherwise the truth is inside, but some
    values inside may not fit. note: what else to know, in sentences.
    """

    lower: float
    upper: float
    method: str
    assumptions: tuple[str, ...]
    treated: Any
    control: Any
    arms: Mapping[str, tuple[float, float]]
    quantity: str = "ATE"
    evidence: Mapping[str, Any] = field(default_factory=dict)
    sharp: bool = True
    note: str = ""

    @property
    def width(self) -> float:
        """How far apart the bounds are."""
        return self.upper - self.lower

    @property
    def sign(self) -> int:
        """1 or -1 where every value inside has that sign, by more than the rounding of the program; otherwise 0."""
        slack = ROUNDING * max(abs(self.lower), abs(self.upper))
        return int(self.lower > slack) - int(self.upper < -slack)

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        tight = "" if self.sharp else ", valid but perhaps not the narrowest"
        said = " ".join((*(self.assumptions or ("Nothing is assumed.",)), self.note)).strip()
        return f"The {self.quantity} lies between {self.lower:.6g} and {self.upper:.6g} ({self.method}{tight}). {said}"

    def _repr_html_(self) -> str:
        from html import escape

        items = "".join(f"<li>{escape(each)}</li>" for each in self.assumptions or ("Nothing is assumed.",))
        note = f"<p>{escape(self.note)}</p>" if self.note else ""
        return (f"<div><p>The {escape(self.quantity)} lies between <b>{self.lower:.6g}</b> and <b>{self.upper:.6g}</b> "
                f"({escape(self.method)}; {'sharp' if self.sharp else 'valid, perhaps not the narrowest'}).</p>"
                f"<ul>{items}</ul>{note}</div>")


def monotone_bounds(joint: np.ndarray, *, treated: int = 1, control: int = 0, values: Sequence[float] | None = None,
                    limits: tuple[float, float] | None = None, response: Direction | None = None,
                    selection: Direction | None = None) -> Bounded | Refused:
    """Bounds without an instrument: with no assumption at all, or with monotone response or selection.

    joint: probabilities or counts, (treatment levels, outcome levels), the treatment levels in their order. treated,
    control: two of its levels. values: the number each outcome level stands for (0, 1, ... when None). limits: the
    least and the greatest outcome possible (those of ``values`` when None). response: nobody's outcome falls
    ("increasing") or rises as the treatment rises. selection: those with more treatment have on average outcomes
    no lower ("increasing") or no higher under any treatment.

    Refused (``monotonicity_contradicted``) when no model with the directions has this distribution. Raises
    ``WhenceError``: ``bad_joint``, ``bad_level``, ``bad_values``, ``bad_limits``, ``unknown_direction``.
    """
    table = _checked_joint(joint, 2, "treatment levels by outcome levels")
    scores = checked_values(values, table.shape[1])
    low, high = _checked_limits(limits, scores)
    _check_levels(treated, control, table.shape[0])
    for direction in (response, selection):
        if direction is not None and direction not in DIRECTIONS:
            raise WhenceError(f"There is no direction {direction!r}.", code="unknown_direction", value=direction,
                              allowed=DIRECTIONS)
    share = table.sum(axis=1)
    levels, scale = len(share), (low, high - low or 1.0)
    program = _means_program(table, (scores - low) / scale[1], high > low, response, selection)
    arms = {t: np.kron(np.eye(levels)[t], share) for t in (treated, control)}
    solved = _ranges(program, (arms[treated] - arms[control], arms[treated], arms[control]))
    if solved is None:
        seen = {str(t): to_plain(table[t] @ scores / share[t]) for t in range(levels) if share[t] > 0}
        return Refused(
            "monotonicity_contradicted",
            f"No model with {_directions_text(response, selection)} has this distribution.",
            {"mean_outcome_by_treatment": seen}, "Drop one of the two directions.", "monotone_bounds",
        )
    name = "no-assumption bounds" if response is selection is None else "monotone bounds"
    return _bounded(solved, scale, name, _directions(response, selection), treated, control,
                    {"treatment_shares": to_plain(share), "limits": [low, high]})


def _means_program(table: np.ndarray, scores: np.ndarray, high: float, response: Direction | None,
                   selection: Direction | None) -> dict[str, Any]:
    """Over m[t, u] = E[Y under t | those who took u], flattened: what was seen, and the directions; Y in [0, high].

    Bounded outcomes with these means and monotone paths always exist, so the program is sharp.
    """
    levels = len(table)
    share = table.sum(axis=1)
    bounds = [(0.0, float(high))] * levels**2
    for t in np.flatnonzero(share > 0):
        seen = float(np.clip(table[t] @ scores / share[t], 0.0, high))
        bounds[t * levels + t] = (seen, seen)
    rises = []
    for t, u in itertools.product(range(levels), repeat=2):
        for direction, (t2, u2) in ((response, (t + 1, u)), (selection, (t, u + 1))):
            if direction is not None and max(t2, u2) < levels:
                row = np.zeros(levels**2)
                row[[t * levels + u, t2 * levels + u2]] = (1, -1) if direction == "increasing" else (-1, 1)
                rises.append(row)
    return {"A_ub": np.array(rises) if rises else None, "b_ub": np.zeros(len(rises)) if rises else None,
            "bounds": bounds}


def instrument_bounds(joint: np.ndarray, *, treated: int = 1, control: int = 0, values: Sequence[float] | None = None,
                      monotone: bool = False) -> Bounded | Refused:
    """Balke and Pearl's bounds from a discrete instrument, for any small number of levels.

    joint: probabilities or counts, (instrument levels, treatment levels, outcome levels); an instrument level that
    never occurs is left out. treated, control: two treatment levels. values: the number each outcome level stands
    for (0, 1, ... when None). monotone: also assume that nobody's treatment falls as the instrument rises.

    The variables of the program are the shares of the response types: a type says which treatment a unit takes at
    each instrument level and which outcome it has at each treatment level.

    Refused (``instrument_contradicted``) when no shares give this distribution: then the variable is not an
    instrument (or monotonicity fails); the evidence has the instrumental inequality and the smallest total change of
    P(treatment, outcome | instrument) that would make it fit. Raises ``WhenceError``: ``bad_joint``, ``bad_level``,
    ``bad_values``, ``too_many_types``.
    """
    table = _checked_joint(joint, 3, "instrument levels by treatment levels by outcome levels")
    scores = checked_values(values, table.shape[2])
    _check_levels(treated, control, table.shape[1])
    table = table[table.sum(axis=(1, 2)) > 0]
    given = table / table.sum(axis=(1, 2), keepdims=True)
    takes, has = _response_types(given.shape, monotone)
    program = {"A_eq": _type_matrix(given.shape, takes, has), "b_eq": given.ravel(), "bounds": (0, None)}
    scale = (float(scores.min()), float(np.ptp(scores)) or 1.0)
    under = {t: np.tile((scores[has[:, t]] - scale[0]) / scale[1], len(takes)) for t in (treated, control)}
    solved = _ranges(program, (under[treated] - under[control], under[treated], under[control]))
    inequality = given.max(axis=0).sum(axis=1)
    if solved is None:
        return _contradicted(program, inequality, monotone)
    return _bounded(solved, scale, "Balke-Pearl bounds", _instrument_assumptions(monotone), treated, control, {
        "instrumental_inequality": to_plain(inequality), "response_types": len(takes) * len(has),
    })


def instrument_bounds_within(
    least: np.ndarray, most: np.ndarray, *, treated: int = 1, control: int = 0, values: Sequence[float] | None = None,
    monotone: bool = False,
) -> Bounded | Refused:
    """The union of Balke and Pearl's bounds over all distributions with P(x, y | z) between ``least`` and ``most``.

    least, most: (instrument levels, treatment levels, outcome levels). Where the true probabilities lie in such a
    region with some confidence, these bounds hold the true ones with no less. The rest as for ``instrument_bounds``.

    Refused (``instrument_contradicted``) when no distribution of the region has such an instrument. Raises
    ``WhenceError``: ``bad_joint``, ``bad_level``, ``bad_values``, ``too_many_types``.
    """
    low, high = np.asarray(least, dtype=float), np.asarray(most, dtype=float)
    if low.ndim != 3 or low.shape != high.shape or not ((low >= 0) & (low <= high) & (high <= 1)).all():
        raise WhenceError("The region needs two arrays of probabilities, the first nowhere above the second.",
                          code="bad_joint", value=[list(low.shape), list(high.shape)],
                          allowed="instrument levels by treatment levels by outcome levels")
    scores = checked_values(values, low.shape[2])
    _check_levels(treated, control, low.shape[1])
    takes, has = _response_types(low.shape, monotone)
    program = _within(low, high, takes, has)
    scale = (float(scores.min()), float(np.ptp(scores)) or 1.0)
    under = {t: np.tile((scores[has[:, t]] - scale[0]) / scale[1], len(takes)) for t in (treated, control)}
    solved = _ranges(program, (under[treated] - under[control], under[treated], under[control]))
    inequality = low.max(axis=0).sum(axis=1)
    if solved is None:
        return Refused(
            "instrument_contradicted", "No distribution within these limits has such an instrument"
            + (" that moves nobody's treatment down." if monotone else "."),
            {"instrumental_inequality": to_plain(inequality)},
            "Either the variable affects the outcome by another way or shares a hidden cause with it, or the treatment "
            "is measured wrongly." + (" Without monotonicity it may still serve." if monotone else ""),
            "instrument_bounds_within",
        )
    return _bounded(solved, scale, "Balke-Pearl bounds over a region", _instrument_assumptions(monotone), treated,
                    control, {"response_types": len(takes) * len(has)})


def _within(low: np.ndarray, high: np.ndarray, takes: np.ndarray, has: np.ndarray) -> dict[str, Any]:
    """Shares of response types that sum to one and give each P(x, y | z) within its limits."""
    from scipy.sparse import vstack

    matrix = _type_matrix(low.shape, takes, has)
    return {"A_ub": vstack([matrix, -matrix]).tocsr(), "b_ub": np.concatenate([high.ravel(), -low.ravel()]),
            "A_eq": np.ones((1, matrix.shape[1])), "b_eq": np.ones(1), "bounds": (0, None)}


def _instrument_assumptions(monotone: bool) -> tuple[str, ...]:
    return (
        "The instrument affects the outcome only through the treatment.",
        "Nothing hidden affects both the instrument and the treatment or the outcome.",
        *(("Nobody's treatment falls as the instrument rises.",) if monotone else ()),
    )


def _response_types(shape: tuple[int, ...], monotone: bool) -> tuple[np.ndarray, np.ndarray]:
    """Treatment taken per instrument level (types, levels) and outcome per treatment level (types, levels)."""
    levels, treatments, outcomes = shape
    count = treatments**levels * outcomes**treatments
    if count > MOST_TYPES:
        raise WhenceError(
            f"{levels} instrument, {treatments} treatment and {outcomes} outcome levels make {count} response types.",
            code="too_many_types", value=count, allowed=f"at most {MOST_TYPES}", hint="Merge levels.",
        )
    takes = np.array(list(itertools.product(range(treatments), repeat=levels)))
    if monotone:
        takes = takes[(np.diff(takes, axis=1) >= 0).all(axis=1)]
    return takes, np.array(list(itertools.product(range(outcomes), repeat=treatments)))


def _type_matrix(shape: tuple[int, ...], takes: np.ndarray, has: np.ndarray) -> Any:
    """Row (z, x, y), column (a treatment type, an outcome type): 1 where the type shows x and y at z; sparse."""
    from scipy.sparse import csr_array

    levels, treatments, outcomes = shape
    columns = np.arange(len(takes) * len(has))
    first, second = np.divmod(columns, len(has))
    rows = []
    for z in range(levels):
        x = takes[first, z]
        rows.append((z * treatments + x) * outcomes + has[second, x])
    at = (np.concatenate(rows), np.tile(columns, levels))
    return csr_array((np.ones(len(at[0])), at), shape=(levels * treatments * outcomes, len(columns)))


def _contradicted(program: dict[str, Any], inequality: np.ndarray, monotone: bool) -> Refused:
    change = smallest_change(program["A_eq"], program["b_eq"])
    worst = float(inequality.max())
    broken = (f" The instrumental inequality fails: its sum is {worst:.6g} and may be at most 1." if worst > 1 else "")
    who = "is an instrument that moves nobody's treatment down" if monotone else "is an instrument"
    return Refused(
        "instrument_contradicted", f"No model in which the variable {who} has this distribution.{broken}",
        {"instrumental_inequality": to_plain(inequality), "smallest_change": to_plain(change)},
        "Either it affects the outcome by another way or shares a hidden cause with it, or the treatment is "
        "measured wrongly; in a small sample it can also be chance."
        + (" Without monotonicity it may still serve." if monotone and worst <= 1 else ""), "instrument_bounds",
    )


def _ranges(program: dict[str, Any], costs: Sequence[np.ndarray]) -> list[tuple[float, float]] | None:
    """The least and the greatest value of each linear function over the program; None when nothing fits it."""
    from scipy.optimize import linprog

    found = []
    for cost in costs:
        ends = []
        for sign in (1, -1):
            solved = linprog(sign * cost, method="highs", **program)
            if solved.status == 2:
                return None
            if solved.status != 0:
                raise RuntimeError(f"The linear program did not finish: {solved.message}")
            ends.append(sign * float(solved.fun))
        found.append((ends[0], max(ends)))
    return found


def _bounded(solved: list[tuple[float, float]], scale: tuple[float, float], method: str, assumptions: tuple[str, ...],
             treated: int, control: int, evidence: dict[str, Any]) -> Bounded:
    """The answer in units of the outcome: it was solved for (outcome - start) / unit."""
    start, unit = scale
    lower, upper = (end * unit for end in solved[0])
    first, second = ((start + low * unit, start + high * unit) for low, high in solved[1:])
    arms = types.MappingProxyType({"treated": first, "control": second})
    return Bounded(lower, upper, method, assumptions, treated, control, arms, evidence=types.MappingProxyType(evidence))


def _directions(response: Direction | None, selection: Direction | None) -> tuple[str, ...]:
    """The assumptions as sentences."""
    words = {"increasing": ("falls", "no lower"), "decreasing": ("rises", "no higher")}
    said = []
    if response:
        said.append(f"Nobody's outcome {words[response][0]} as the treatment rises.")
    if selection:
        said.append(f"Those with more treatment have on average outcomes {words[selection][1]} under any treatment.")
    return tuple(said)


def _directions_text(response: Direction | None, selection: Direction | None) -> str:
    named = ((response, "response"), (selection, "selection"))
    return " and ".join(f"{direction} {what}" for direction, what in named if direction)


# Checks of what was given


def _checked_joint(joint: np.ndarray, axes: int, meaning: str) -> np.ndarray:
    table = np.asarray(joint, dtype=float)
    if table.ndim != axes or min(table.shape, default=0) < 1:
        raise WhenceError(f"The joint has the shape {table.shape}, not {meaning}.", code="bad_joint",
                          value=list(table.shape), allowed=meaning)
    total = table.sum()
    if not np.isfinite(table).all() or (table < 0).any() or not total > 0:
        raise WhenceError("The joint must hold finite values of at least 0 with a positive sum.", code="bad_joint",
                          value=to_plain(total), allowed="probabilities or counts")
    return table / total


def checked_values(values: Sequence[float] | None, levels: int) -> np.ndarray:
    """The number of each outcome level. Raises ``WhenceError`` (``bad_values``)."""
    try:
        scores = np.arange(levels, dtype=float) if values is None else np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        scores = np.empty(0)
    if scores.shape != (levels,) or not np.isfinite(scores).all():
        raise WhenceError(f"Give one finite number for each of the {levels} outcome levels.", code="bad_values",
                          value=to_plain(values))
    return scores


def _checked_limits(limits: tuple[float, float] | None, scores: np.ndarray) -> tuple[float, float]:
    low, high = (float(scores.min()), float(scores.max())) if limits is None else map(float, limits)
    if not (np.isfinite([low, high]).all() and low <= scores.min() and high >= scores.max()):
        raise WhenceError("The limits must be finite and hold every outcome value.", code="bad_limits",
                          value=[low, high], allowed=f"at most {scores.min():g} and at least {scores.max():g}")
    return low, high


def _check_levels(treated: int, control: int, levels: int) -> None:
    for level in (treated, control):
        if isinstance(level, bool) or not isinstance(level, (int, np.integer)) or not 0 <= level < levels:
            raise WhenceError(f"The treatment has the levels 0 to {levels - 1}, not {level!r}.", code="bad_level",
                              value=to_plain(level), allowed=range(levels))
    if treated == control:
        raise WhenceError("The two treatment levels compared are the same.", code="bad_level", value=to_plain(treated))
