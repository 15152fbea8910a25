"""Both sides of a cutoff: the rows in order, what controls take, how far estimates spread, and a picture of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.result import Refused, Remark
from whence.data.rule import rule_name
from whence.estimation.cutoff import CONFIRMED, FEWEST, Cutoff
from whence.estimation.prepare import Prepared
from whence.stats.features import plain
from whence.stats.jump_bandwidth import Side
from whence.stats.local_polynomial import boundary_weights, kernel_weights, neighbour_residuals

REPEATS = 0.8  # different values per row near the cutoff, below which rows share values
FARTHEST = 0.5  # part of the bandwidth without rows next to the cutoff, above which a side does not reach it
FAR = 0.2  # the same, above which it is said
BINS = 20  # of the picture, on each side
WEAK = 3.2  # t value of the treatment's jump (F of 10), below which the interval takes it for uncertain


@dataclass(frozen=True)
class Sides:
    """Rows in the order of the running variable, left of the cutoff first. order: (n,), into the prepared rows;
    x: (n,), distance from the cutoff; split: how many are on the left; weights: (n,)."""

    order: np.ndarray
    x: np.ndarray
    split: int
    weights: np.ndarray

    def halves(self, values: np.ndarray) -> tuple[Side, Side]:
        s = self.split
        return (Side(self.x[:s], values[:s], self.weights[:s]), Side(self.x[s:], values[s:], self.weights[s:]))


@dataclass(frozen=True)
class Fit:
    """plain, corrected: (n,), what each value adds to the jump, without and with the correction for bias.
    near, wide: kernel weights (n,)."""

    plain: np.ndarray
    corrected: np.ndarray
    near: np.ndarray
    wide: np.ndarray


def sides_of(data: Prepared, x: np.ndarray, right: np.ndarray) -> Sides:
    order = np.lexsort((x, right))
    return Sides(order, x[order], int((~right).sum()), data.w[order])


def fitted(sides: Sides, h: float, b: float, order: int, derivative: int, kernel: str) -> Fit:
    near, wide = (sides.weights * kernel_weights(sides.x, width, kernel) for width in (h, b))
    s, parts = sides.split, []
    for half, sign in ((slice(None, s), -1.0), (slice(s, None), 1.0)):
        parts.append([sign * v for v in boundary_weights(sides.x[half], near[half], wide[half], order, derivative)])
    plain_part, corrected = (np.concatenate([a, b]) for a, b in zip(*parts, strict=True))
    return Fit(plain_part, corrected, near, wide)


def coefficients(
    sides: Sides, fit: Fit, z: np.ndarray, y: np.ndarray, t: np.ndarray, order: int
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (k,) of the controls for outcome and treatment, one for both sides, in the kernel's window."""
    inside = fit.near > 0
    root = np.sqrt(fit.near[inside])
    right = np.arange(len(sides.x))[inside] >= sides.split
    powers = np.vander(sides.x[inside] / np.abs(sides.x[inside]).max(), order + 1, increasing=True)
    base = np.column_stack([powers * ~right[:, None], powers * right[:, None]]) * root[:, None]
    q = np.linalg.qr(base)[0]
    part = z[inside] * root[:, None]
    rest = part - q @ (q.T @ part)
    length = np.sqrt((part**2).sum(axis=0))
    rest[:, np.sqrt((rest**2).sum(axis=0)) <= 1e-8 * length] = 0.0  # follows from the running variable
    found = []
    for values in (y, t):
        v = values[inside] * root
        found.append(np.linalg.lstsq(rest, v - q @ (q.T @ v), rcond=1e-10)[0])
    return found[0], found[1]


def spread(
    data: Prepared, sides: Sides, fit: Fit, values: np.ndarray, order: int, plain: bool = False
) -> np.ndarray:
    """Influence values (n, 1) of the jump of ``values``, in the order of the prepared rows."""
    weights = fit.plain if plain else fit.corrected
    error = np.zeros(len(values))
    s = sides.split
    for half in (slice(None, s), slice(s, None)):
        x, inside = sides.x[half], (fit.near[half] > 0) | (fit.wide[half] > 0)
        part = np.zeros(len(x))
        if data.clusters is None:
            part[inside] = neighbour_residuals(x[inside], values[half][inside])
        else:
            part[inside] = _residuals(x[inside], values[half][inside], fit.wide[half][inside], order + 1)
        error[half] = part
    out = np.zeros((len(values), 1))
    out[sides.order, 0] = len(values) * weights * error
    if data.clusters is not None:
        used = int(((fit.near > 0) | (fit.wide > 0)).sum())
        groups = len(np.unique(data.clusters[sides.order][(fit.near > 0) | (fit.wide > 0)]))
        out *= np.sqrt(groups / max(groups - 1, 1) * (used - 1) / (used - 2 * (order + 2)))
    return out


def _residuals(x: np.ndarray, values: np.ndarray, w: np.ndarray, order: int) -> np.ndarray:
    powers = np.vander(x / max(float(np.abs(x).max()), 1e-300), order + 1, increasing=True)
    root = np.sqrt(w)[:, None]
    return values - powers @ np.linalg.lstsq(powers * root, values * root[:, 0], rcond=None)[0]


def picture(data: Prepared, sides: Sides, cut: Cutoff, fit: Fit, h: float, order: int) -> dict[str, Any]:
    """Means in bins out to three bandwidths, and the fit of each side within one, for a drawing."""
    y, bins, lines = data.outcome[sides.order], [], []
    for k, half in enumerate((slice(None, sides.split), slice(sides.split, None))):
        x, values = sides.x[half], y[half]
        reach = min(3 * h, float(np.abs(x).max()))
        place = np.minimum((np.abs(x) / reach * BINS).astype(int), BINS)
        for b in range(BINS):
            inside = place == b
            if inside.any():
                bins.append({"x": cut.value + float(x[inside].mean()), "y": float(values[inside].mean()),
                             "rows": int(inside.sum())})
        near = np.abs(x) <= h
        root = np.sqrt(fit.near[half][near])
        powers = np.vander(x[near] / h, order + 1, increasing=True) * root[:, None]
        slope = np.linalg.lstsq(powers, values[near] * root, rcond=None)[0]
        at = np.linspace(-1.0, 0.0, 9) if k == 0 else np.linspace(0.0, 1.0, 9)
        curve = np.vander(at, order + 1, increasing=True) @ slope
        lines.append([[cut.value + float(u * h), float(v)] for u, v in zip(at, curve, strict=True)])
    return {"kind": "discontinuity", "bins": bins, "lines": lines, "cutoff": cut.value,
            "running": str(data.spec.running_variable), "outcome": data.spec.outcome}


def label(data: Prepared, cut: Cutoff) -> str:
    return f"{data.treatment.labels[0]}, where {data.spec.running_variable} is {cut.value:g}"


def too_few(cut: Cutoff, left: int, right: int, h: float | None) -> Refused:
    where = f"within {h:.4g} of the cutoff {cut.value:g}" if h is not None else f"around the cutoff {cut.value:g}"
    return Refused("too_few_near", f"There are {left:,} rows below and {right:,} above, {where}; that is too few (or "
                   "they have too few different values) to say where each side ends.",
                   {"cutoff": cut.value, "left": left, "right": right, "bandwidth": h},
                   "Use a wider bandwidth, a lower order, or more data near the cutoff.")


def gap(sides: Sides, donut: float) -> tuple[str, float]:
    """The side whose rows stay farther from the cutoff, and how far beyond a donut."""
    left, right = (float(np.abs(side.x).min()) - donut for side in sides.halves(sides.x))
    return ("below", left) if left > right else ("above", right)


def not_reached(data: Prepared, cut: Cutoff, side: str, empty: float, h: float) -> Refused:
    return Refused("gap_at_cutoff", f"The nearest row {side} the cutoff {cut.value:g} is {empty:.4g} away, more than "
                   f"half of the bandwidth {h:.4g}: the data do not reach the cutoff on that side, and a line carried "
                   "so far says little.", {"cutoff": cut.value, "side": side, "gap": empty, "bandwidth": h},
                   f"Check the cutoff and what became of the rows with {data.spec.running_variable} next to it.")


def no_jump(data: Prepared, cut: Cutoff, jump: float, strength: float) -> Refused:
    return Refused("no_jump", f"The treatment {data.treatment.name!r} does not change at {cut.value:g}: it jumps by "
                   f"{jump:.3g}, {strength:.2g} standard errors.", {"cutoff": cut.value, "jump": jump, "t": strength},
                   "Check the cutoff and the running variable; without a change of the treatment there is nothing to "
                   "compare.")


def remarks_on(
    data: Prepared, cut: Cutoff, near: list[int], points: list[int], strength: float, widened: bool,
    honest: bool = False, stretched: bool = False,
) -> tuple[Remark, ...]:
    name = str(data.spec.running_variable)
    out = []
    if widened:
        out.append(Remark("bandwidth_widened", f"The bandwidth with the least error would leave fewer than {FEWEST} "
                          "rows on a side; it was widened to have them.", (name,), {"left": near[0], "right": near[1]}))
    if data.spec.treatment == rule_name(name, cut.value) and data.spec.treatment not in data.table:
        out.append(Remark("rule_is_treatment", f"No treatment is named: being at {cut.value:g} of {name} or above is "
                          "taken for it.", (name,), {"cutoff": cut.value}))
    if cut.found:
        out.append(Remark(
            "cutoff_found", f"The cutoff {cut.value:g} was read off the data: the treatment changes between "
            f"{plain(cut.between[0])} and {plain(cut.between[1])}{_strength(cut)}.", (name,),
            {"cutoff": cut.value, "between": list(cut.between), **cut.evidence}))
    if sum(points) < REPEATS * sum(near):
        few: dict[str, Any] = {"left": points[0], "right": points[1], "rows": sum(near)}
        out.append(Remark(
            "mass_points", f"Near the cutoff {name} has only {points[0]} and {points[1]} different values for "
            f"{sum(near):,} rows; " + ("the interval asks only for a bound of the curve's bend between them." if honest
            else "the interval takes the curve between them for smooth."), (name,), few))
    elif stretched:
        out.append(Remark("gap_at_cutoff", f"No row is close to the cutoff on one side: up to there the curve of "
                          f"{data.spec.outcome} over {name} is carried on and not seen.", (name,), {}))
    if strength < WEAK:
        out.append(Remark(
            "weak_jump", f"The treatment's jump is only {strength:.2g} standard errors; the interval is then too "
            "short.",
            (data.treatment.name,), {"t": strength}))
    return tuple(out)


def _strength(cut: Cutoff) -> str:
    """What speaks for a cutoff that was found, in words."""
    p_value = float(cut.evidence["p_value"])
    said = "less than 0.0001" if p_value < 1e-4 else f"{p_value:.2g}"
    if cut.evidence["by"] == "order":
        return f", and nowhere else (in rows in random order the chance of that is {said})"
    jumps = " and ".join(f"{h['jump_of_the_other']:.2g} at {h['found_at']:.5g}" for h in cut.evidence["halves"])
    text = f"; where one half of the rows shows it, the other half, which was not searched, jumps by {jumps} (p {said})"
    return text if p_value <= CONFIRMED else text + ", so that it may be a steep curve and no jump: give the cutoff"
