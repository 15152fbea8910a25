"""Does a cutoff of another column decide the treatment? A step, sharp or fuzzy, that no smooth propensity explains."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from whence.estimation.cutoff import roundest
from whence.studies.evidence.evidence import Evidence
from whence.studies.evidence.hints import CODE, RUNNING, TIME, hint, said_of
from whence.studies.evidence.sheet import Sheet
from whence.studies.roles import measured_later

FEWEST_VALUES = 8  # distinct values that a running variable has
FEWEST_BESIDE = 4  # of them on each side
FEWEST_ROWS = 40
SHARP = 6.0
MOST_FUZZY = 6.0
BINS = 40
MOST_FITTED = 4_000  # rows that the curves are fitted to
NEARLY = 0.95  # difference of the shares treated on the two sides, from which a rule is all but sharp
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
        return (seen if self.sharp else min(self.gain - NEEDED, MOST_FUZZY)) + self.hints - 4.0 * self.hole


def steps(sheet: Sheet) -> tuple[Step, ...]:
    """Every column in which the treatment has a step, the strongest first."""
    if sheet.n < FEWEST_ROWS or len(np.unique(sheet.t)) < 2:
        return ()
    found = []
    for name in sheet.others:
        x = sheet.numbers(name)
        if x is None or sheet.table.kind(name) == "binary" or _names_units(sheet, name):
            continue
        step = _step(sheet, name, x)
        if step is not None:
            found.append(step)
    return tuple(sorted(found, key=lambda s: (-round(s.strength, 2), len(s.name), s.name)))


def _step(sheet: Sheet, name: str, x: np.ndarray) -> Step | None:
    whole = ~np.isnan(x)
    x, t = x[whole], sheet.t[whole]
    if len(x) < FEWEST_ROWS or whole.mean() < 0.5 or t.std() == 0:
        return None
    values = np.unique(x)
    if len(values) < FEWEST_VALUES:
        return None
    if not sheet.binary and len(np.unique(t)) > 20:
        return None  # a dose moves with many things
    place = best_place(x, t)
    if place is None:
        return None
    below, above = place
    right = x >= above
    if min(len(np.unique(x[right])), len(np.unique(x[~right]))) < FEWEST_BESIDE:
        return None
    on = t == t.max()
    sharp = sheet.binary and abs(float(on[right].mean() - on[~right].mean())) >= NEARLY
    gain, jump = step_gain(x, t, right, sheet.binary)
    if gain <= NEEDED and not sharp:
        return None
    return Step(name, roundest(below, above), sharp, jump, gain, len(values), _hole(values, x, (below, above)),
                _hints(sheet, name, sharp))


def _names_units(sheet: Sheet, name: str) -> bool:
    """Whether a column of whole numbers is a code of units: called so, or each value as often as any other."""
    if not sheet.whole_numbers(name):
        return False
    if CODE.search(said_of(name, sheet.described)):
        return True
    counts = np.unique(sheet.table.column(name).values[sheet.whole], return_counts=True)[1]
    return bool(counts[0] > 1 and len(counts) > 20 and (counts == counts[0]).all())


def _hints(sheet: Sheet, name: str, sharp: bool) -> float:
    said = said_of(name, sheet.described)
    hints = hint(said, RUNNING)[0] / 2
    if not sharp:
        hints += 1.0 if hints else -3.0  # most steps that are not sharp belong to what follows the treatment
    if hints < 2 and hint(said_of(name, {}), TIME)[0]:
        hints -= 3.0  # treated after a date, everyone: no cutoff among units
    if sheet.treatment is not None and measured_later(name, sheet.treatment, sheet.described):
        hints -= 3.0
    return hints


def best_place(x: np.ndarray, t: np.ndarray) -> tuple[float, float] | None:
    """The two neighbouring values of ``x`` (n,) between which a step, beside a line, fits ``t`` (n,) best.

    Every place is tried at once: the step is freed of the constant and the line by sums over the rows above it. None
    where no place has enough rows on both sides.
    """
    order = np.argsort(x, kind="stable")
    z, y = x[order], t[order]
    n = len(z)
    places = np.flatnonzero(np.diff(z) > 0) + 1
    least = max(FEWEST_BESIDE, n // 50)
    places = places[(places >= least) & (places <= n - least)]
    if not len(places):
        return None
    centred = (z - z.mean()) / (z.std() or 1.0)
    slope = float(centred @ y) / n
    residual = y - y.mean() - slope * centred
    above = n - places
    over = lambda v: (v.sum() - np.cumsum(v))[places - 1]  # noqa: E731
    spread = above - above**2 / n - over(centred) ** 2 / n
    fit = over(residual) ** 2 / np.maximum(spread, 1e-9 * n)
    best = int(places[np.argmax(np.where(spread > 1e-9 * n, fit, -1.0))])
    return float(z[best - 1]), float(z[best])


def step_gain(x: np.ndarray, t: np.ndarray, right: np.ndarray, binary: bool) -> tuple[float, float]:
    """Log likelihood ratio of a step beside a line against a cubic, less the logarithm of the places; and the jump.

    Of logistic curves where the treatment is binary, so that a propensity however steep is as well fitted by the curve.
    """
    step = max(1, len(x) // MOST_FITTED)
    x, t, right = x[::step], t[::step], right[::step]
    z = (x - x.mean()) / (x.std() or 1.0)
    smooth = np.vander(z, 4)
    stepped = np.column_stack([np.ones(len(z)), z, right])
    jump = float(t[right].mean() - t[~right].mean()) if right.any() and not right.all() else 0.0
    fit = _logistic if binary else _linear
    y = (t == t.max()).astype(float) if binary else t
    by_step, by_curve = fit(stepped, y), fit(smooth, y)
    gain = _log_likelihood(y, by_step, binary) - _log_likelihood(y, by_curve, binary)
    return gain / max(1.0, _misfit(x, y, by_step, binary)) - math.log(len(np.unique(x))), jump


def _log_likelihood(y: np.ndarray, fitted: np.ndarray, binary: bool) -> float:
    if binary:
        return float(np.log(np.where(y == 1, fitted, 1 - fitted)).sum())
    return -len(y) / 2 * math.log(float(((y - fitted) ** 2).mean()) + 1e-9)


def _misfit(x: np.ndarray, y: np.ndarray, fitted: np.ndarray, binary: bool) -> float:
    """How much more the means of neighbouring rows scatter around the fit than they would by chance (1 by chance): rows
    that share more than the curve says, such as those of one year, count for fewer."""
    order = np.argsort(x, kind="stable")
    group = np.minimum(np.arange(len(x)) * BINS // len(x), BINS - 1)
    first = np.searchsorted(x[order], x[order])  # equal values stay together
    group = group[first]
    count = np.bincount(group, minlength=BINS)
    difference = np.bincount(group, (y - fitted)[order], minlength=BINS)
    each = fitted * (1 - fitted) if binary else np.full(len(y), ((y - fitted) ** 2).mean())
    spread = np.bincount(group, each[order], minlength=BINS)
    seen = (count > 0) & (spread > 0.5 if binary else spread > 0)
    if seen.sum() <= 4:
        return 1.0
    return float((difference[seen] ** 2 / spread[seen]).sum() / (seen.sum() - 3))


def _linear(design: np.ndarray, y: np.ndarray) -> np.ndarray:
    return design @ np.linalg.lstsq(design, y, rcond=None)[0]


def _logistic(design: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Fitted chances of a logistic regression, with a ridge too small to matter unless the fit is perfect."""
    beta = np.zeros(design.shape[1])
    for _ in range(12):
        p = _chance(design @ beta)
        w = p * (1 - p) + 1e-9
        hessian = (design * w[:, None]).T @ design + 1e-4 * np.eye(len(beta))
        move = np.linalg.solve(hessian, design.T @ (y - p) - 1e-4 * beta)
        beta += np.clip(move, -5, 5)
        if np.abs(move).max() < 1e-6:
            break
    return _chance(design @ beta)


def _chance(eta: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(eta, -30, 30)))


def _hole(values: np.ndarray, x: np.ndarray, between: tuple[float, float]) -> bool:
    """Whether rows near the cutoff are missing, as where they were left out: no comparison at the cutoff then."""
    gap = between[1] - between[0]
    low, high = np.quantile(x, (0.25, 0.75))
    return bool(gap > 0.15 * (high - low) and gap > 4 * float(np.median(np.diff(values))))


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
    ours = [s for s in found if s.name in named]
    best = ours[0] if ours else found[0] if found else None
    if best is None:
        text = "No column shows a place where the treatment jumps."
        return (Evidence("rdd", -3.0, "data", text),) if sheet.n >= 200 else ()
    how = "is decided by" if best.sharp else f"jumps by {best.jump:.2g} at"
    text = f"{sheet.treatment} {how} whether {best.name} reaches {best.cutoff:g}."
    rest = tuple(s.name for s in found[:3] if s.name != best.name)
    strength = best.strength if ours or not named else best.strength - 3.0
    return (Evidence("rdd", strength, "data", text, {"running_variable": (best.name, *rest)}, best.cutoff, "",
                     {"sharp": best.sharp, "jump": best.jump, "gain": best.gain}),)


def _hole_at(sheet: Sheet, name: str, cutoff: float) -> bool:
    x = sheet.numbers(name) if name in sheet.table else None
    if x is None:
        return False
    x = x[~np.isnan(x)]
    below, above = x[x < cutoff], x[x >= cutoff]
    return len(below) > 10 and len(above) > 10 and _hole(np.unique(x), x, (float(below.max()), float(above.min())))
