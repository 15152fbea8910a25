"""Does a cutoff of another column decide the treatment? A step, sharp or fuzzy, that no smooth propensity explains."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from whence.core.result import Refused
from whence.estimation.cutoff import find_cutoff
from whence.studies.evidence.evidence import Evidence
from whence.studies.evidence.hints import RUNNING, TIME, hint, said_of
from whence.studies.evidence.sheet import Sheet
from whence.studies.roles import measured_later

FEWEST_VALUES = 8  # distinct values that a running variable has
FEWEST_BESIDE = 4  # of them on each side
FEWEST_ROWS = 40
SHARP = 6.0
NEARLY = 0.97  # share of rows on the side that their treatment says, from which a rule is all but sharp
NEEDED = 4.0  # nats, after paying for the places looked at, that a fuzzy step needs


@dataclass(frozen=True)
class Step:
    """A step of treatment in ``name`` at ``cutoff``. jump: of its mean there. gain: log likelihood ratio of the step
    against a smooth curve, after paying for the search. values: how many the column has. hole: whether rows near the
    cutoff are missing. hints: what the words say of the column."""

    name: str
    cutoff: float
    sharp: bool
    jump: float
    gain: float
    values: int
    hole: bool
    hints: float

    @property
    def strength(self) -> float:
        """A step that parts few values of a column from few others may be chance; one across a hole is hard to use."""
        seen = min(SHARP, 1.5 * math.log(self.values / FEWEST_VALUES))
        return (seen if self.sharp else min(self.gain - NEEDED, seen)) + self.hints - 4.0 * self.hole


def steps(sheet: Sheet) -> tuple[Step, ...]:
    """Every column in which the treatment has a step, the strongest first."""
    if sheet.n < FEWEST_ROWS or len(np.unique(sheet.t)) < 2:
        return ()
    found = []
    for name in sheet.others:
        x = sheet.numbers(name)
        if x is None or sheet.table.kind(name) == "binary":
            continue
        step = _step(sheet, name, x)
        if step is not None:
            found.append(step)
    return tuple(sorted(found, key=lambda s: (-s.strength, -s.gain, len(s.name), s.name)))


def _step(sheet: Sheet, name: str, x: np.ndarray) -> Step | None:
    whole = ~np.isnan(x)
    x, t = x[whole], sheet.t[whole]
    if len(x) < FEWEST_ROWS or whole.mean() < 0.5:
        return None
    if len(np.unique(x[:500])) < FEWEST_VALUES and len(np.unique(x)) < FEWEST_VALUES:
        return None
    at = _sharp(x, t)
    if at is None and not sheet.binary and len(np.unique(t)) > 20:
        return None  # a dose moves with many things; a step in it is looked for only where a rule names it
    if x.std() == 0 or t.std() == 0 or (at is None and abs(np.corrcoef(x, t)[0, 1]) < 0.05):
        return None
    cut = find_cutoff(x, t, name)
    if isinstance(cut, Refused):
        return None
    right = cut.right
    if min(len(np.unique(x[right])), len(np.unique(x[~right]))) < FEWEST_BESIDE:
        return None
    said = said_of(name, sheet.described)
    hints = hint(said, RUNNING)[0] / 2
    sides = float((t == t.max()).astype(float) @ right + (t == t.min()).astype(float) @ ~right) / len(t)
    sharp = cut.sharp or (sheet.binary and max(sides, 1 - sides) >= NEARLY)
    if not sharp:
        hints += 1.0 if hints else -3.0  # most steps that are not sharp belong to what follows the treatment
    if hints < 2 and hint(said_of(name, {}), TIME)[0]:
        hints -= 3.0  # treated after a date, everyone: no cutoff among units
    if sheet.treatment is not None and measured_later(name, sheet.treatment, sheet.described):
        hints -= 3.0
    jump = float(t[right].mean() - t[~right].mean())
    values = np.unique(x)
    hole = _hole(values, x, cut.between)
    if sharp:
        return Step(name, cut.value, True, jump, math.inf, len(values), hole, hints)
    gain, jump = _gain(x, t, cut.value, right)
    return Step(name, cut.value, False, jump, gain, len(values), hole, hints) if gain > NEEDED else None


def _hole(values: np.ndarray, x: np.ndarray, between: tuple[float, float]) -> bool:
    """Whether rows near the cutoff are missing, as where they were left out: no comparison at the cutoff then."""
    gap = between[1] - between[0]
    low, high = np.quantile(x, (0.25, 0.75))
    return bool(gap > 0.15 * (high - low) and gap > 4 * float(np.median(np.diff(values))))


def _sharp(x: np.ndarray, t: np.ndarray) -> int | None:
    order = np.argsort(x, kind="stable")
    changes = np.flatnonzero(np.diff(t[order]) != 0)
    return int(changes[0]) if len(changes) == 1 else None


def _gain(x: np.ndarray, t: np.ndarray, cutoff: float, right: np.ndarray) -> tuple[float, float]:
    """Log likelihood ratio of a step with a smooth curve against the curve alone, in the third of the rows nearest to
    the cutoff, less the logarithm of the places; and the jump. Both curves are cubic."""
    near = np.argsort(np.abs(x - cutoff), kind="stable")[: max(FEWEST_ROWS, len(x) // 3)]
    z = x[near] - cutoff
    scale = np.abs(z).max()
    if scale == 0:
        return -math.inf, 0.0
    z = z / scale
    y, side = t[near], right[near].astype(float)
    if side.min() == side.max():
        return -math.inf, 0.0
    smooth = np.vander(z, 4)
    stepped = np.column_stack([smooth, side])
    rss = []
    jump = 0.0
    for design in (smooth, stepped):
        beta = np.linalg.lstsq(design, y, rcond=None)[0]
        residual = y - design @ beta
        rss.append(float(residual @ residual))
        jump = float(beta[-1])
    floor = 1e-6 * len(y)
    gain = len(y) / 2 * math.log((rss[0] + floor) / (rss[1] + floor))
    return gain - math.log(len(np.unique(x))), jump


def cutoffs(
    sheet: Sheet, found: tuple[Step, ...], named: tuple[str, ...] = (), cutoff: float | None = None
) -> tuple[Evidence, ...]:
    """Evidence for a discontinuity from the strongest step, or against one where no column shows any.

    found: from ``steps``. named, cutoff: the running variables and the place that the description speaks of; a step in
    another column is no sign of their rule, and rows left out at that place make it useless.
    """
    if cutoff is not None and (hole := next((n for n in named if _hole_at(sheet, n, cutoff)), None)):
        text = f"Rows with {hole} near {cutoff:g} are missing, so the two sides cannot be compared at the cutoff."
        return (Evidence("rdd", -4.0, "data", text, {}, cutoff, "", {"hole_in": hole}),)
    best = next((s for s in found if s.name in named), found[0] if found else None)
    if best is None:
        text = "No column shows a place where the treatment jumps."
        return (Evidence("rdd", -3.0, "data", text),) if sheet.n >= 200 else ()
    how = "is decided by" if best.sharp else f"jumps by {best.jump:.2g} at"
    text = f"{sheet.treatment} {how} whether {best.name} reaches {best.cutoff:g}."
    rest = tuple(s.name for s in found[:3] if s.name != best.name)
    return (Evidence("rdd", best.strength, "data", text, {"running_variable": (best.name, *rest)}, best.cutoff, "",
                     {"sharp": best.sharp, "jump": best.jump, "gain": best.gain}),)


def _hole_at(sheet: Sheet, name: str, cutoff: float) -> bool:
    x = sheet.numbers(name) if name in sheet.table else None
    if x is None:
        return False
    x = x[~np.isnan(x)]
    below, above = x[x < cutoff], x[x >= cutoff]
    return len(below) > 10 and len(above) > 10 and _hole(np.unique(x), x, (float(below.max()), float(above.min())))
