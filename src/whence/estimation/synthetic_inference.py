"""How sure a synthetic control is: untreated units taken for treated, units left out, or residuals moved in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from whence.core.progress import SILENT, Progress
from whence.core.rng import generator
from whence.estimation.donors import FEWEST_DONORS, Panel
from whence.estimation.synthetic_weights import Fit, Synthetic
from whence.stats.block_permutation import accepted, moving_block_p_value

FEWEST_PLACEBOS = 3
FEWEST_LEFT = 3  # periods before the start less the weights fitted to them, for a misfit to say anything
FILTERS = (2.0, 5.0, 20.0)  # times the treated unit's squared misfit, beyond which placebos are left out
TINY = 1e-8  # of the outcome's spread; a misfit below counts as this


@dataclass(frozen=True)
class Part:
    """A treated unit, or for ``did`` the mean of those that start together. units: indices. start: first treated
    period. share: of the estimate. fit: its double."""

    units: np.ndarray
    start: int
    share: float
    fit: Synthetic


@dataclass(frozen=True)
class Placebo:
    """A donor taken for a treated unit from ``start`` on, the others standing for it."""

    unit: int
    start: int
    fit: Synthetic


def placebos(panel: Panel, fit: Fit, starts: Sequence[int], progress: Progress = SILENT) -> list[Placebo]:
    """Each donor as the treated unit, for each start."""
    found: list[Placebo] = []
    if len(panel.donors) <= FEWEST_DONORS:
        return found
    progress.begin("placebos", len(panel.donors) * len(starts))
    try:
        for start in starts:
            for unit in panel.donors:
                rest = panel.donors[panel.donors != unit]
                made = fit(panel.outcome[unit], panel.outcome[rest], panel.before(start), panel.traits_of(unit, rest))
                found.append(Placebo(int(unit), start, made))
                progress.step()
    finally:
        progress.end()
    return found


def error_of_one(part: Part, others: Sequence[Placebo], scaled: bool, floor: float) -> float:
    """Standard error for one treated unit: the spread of the placebos' effects; ``scaled``: of each relative to its own
    misfit before, times that of the treated unit. Units differ in how closely they can be followed, and the ratio is
    what Abadie et al. (2010) rank.
    """
    effects = np.array([p.fit.effect for p in others])
    found = np.array([noise_before(one.fit, part.start, floor) for one in (part, *others)])
    known = np.isfinite(found[1:])
    if not scaled or known.sum() < max(FEWEST_PLACEBOS, len(others) / 2):
        return float(effects.std(ddof=1))
    # Units fitted with nearly as many weights as periods show no noise of their own; the typical one stands for it.
    found = np.where(np.isfinite(found), found, np.sqrt((found[1:][known] ** 2).mean()))
    return float(np.sqrt(((effects / found[1:]) ** 2).mean()) * found[0])


def noise_before(fit: Synthetic, periods: int, floor: float) -> float:
    """Root mean square of the gap before, each positive weight but one counted as a period spent on the fit; nan where
    fewer than three are left. The penalised weights of ``did`` spend none."""
    left = periods if fit.times is not None else periods - int((np.abs(fit.weights) > 1e-8).sum()) + 1
    return max(fit.misfit * float(np.sqrt(periods / left)), floor) if left >= FEWEST_LEFT else np.nan


def error_of_several(parts: Sequence[Part], others: Sequence[Placebo], scaled: bool, floor: float) -> float:
    """Standard error of the mean over several treated units with weights of their own.

    The placebos of its start give the error of each about its double, as for one unit: s^2, of which the unit itself
    has s^2 / (1 + |weights|^2) and its donors the rest. The units' own errors are independent; those of the donors that
    they share are not, and count by the square of the mean weights.
    """
    own = np.empty(len(parts))
    for i, part in enumerate(parts):
        like = [p for p in others if p.start == part.start]
        own[i] = error_of_one(part, like, scaled, floor) ** 2 / (1 + part.fit.weights @ part.fit.weights)
    shares = np.array([p.share for p in parts])
    together = np.sum([p.share * p.fit.weights for p in parts], axis=0)
    return float(np.sqrt(shares**2 @ own + shares @ own * (together @ together)))


def ratio(fit: Synthetic, start: int, floor: float) -> float:
    """Root mean square of the gap after the start relative to that before (Abadie et al. 2010, section 3.4)."""
    return float(np.sqrt((fit.gap[start:] ** 2).mean())) / max(fit.misfit, floor)


def rank_p_values(part: Part, others: Sequence[Placebo], floor: float) -> dict[str, float]:
    """Share of the placebos, the treated among them, whose gap after is as large: relative to that before (``ratio``),
    or as it stands (``estimate``), also among those whose squared misfit before is at most 2, 5 or 20 times that of the
    treated."""
    own, size = ratio(part.fit, part.start, floor), abs(part.fit.effect)
    found = {"ratio": (1 + sum(ratio(p.fit, p.start, floor) >= own for p in others)) / (1 + len(others)),
             "estimate": (1 + sum(abs(p.fit.effect) >= size for p in others)) / (1 + len(others))}
    for times in FILTERS:
        kept = [p for p in others if p.fit.misfit**2 <= times * max(part.fit.misfit, floor) ** 2]
        beyond = sum(abs(p.fit.effect) >= size for p in kept)
        found[f"estimate, misfit up to {times:.0f} times"] = (1 + beyond) / (1 + len(kept))
    return found


def joint_placebo_error(
    panel: Panel, starts: Sequence[tuple[int, int]], estimate: Callable[[Panel], float], replicates: int, seed: int,
    progress: Progress = SILENT,
) -> float:
    """Arkhangelsky et al. (2021), algorithm 4: as many donors as there are treated units, drawn and taken for these.

    starts: (start, units) of each cohort. estimate: of a panel with other units treated.
    """
    rng = generator(seed, "synthetic placebos")
    wanted = sum(units for _, units in starts)
    begins = np.repeat([s for s, _ in starts], [units for _, units in starts])
    found = np.empty(replicates)
    progress.begin("placebos", replicates)
    try:
        for r in range(replicates):
            drawn = rng.permutation(panel.donors)
            begin = np.full(len(panel.start), panel.periods)
            begin[drawn[:wanted]] = begins
            found[r] = estimate(replace(panel, start=begin, treated=np.sort(drawn[:wanted]),
                                        donors=np.sort(drawn[wanted:])))
            progress.step()
    finally:
        progress.end()
    return float(found.std(ddof=0))


def bootstrap_error(
    panel: Panel, estimate: Callable[[Panel], float], replicates: int, seed: int, progress: Progress = SILENT
) -> float:
    """Algorithm 2: units drawn with replacement, until some are treated and some not, and all weights found anew."""
    rng = generator(seed, "synthetic bootstrap")
    units = np.concatenate([panel.treated, panel.donors])
    found = np.empty(replicates)
    progress.begin("bootstrap", replicates)
    try:
        for r in range(replicates):
            while True:
                drawn = np.sort(rng.choice(units, len(units)))
                treated, donors = drawn[np.isin(drawn, panel.treated)], drawn[np.isin(drawn, panel.donors)]
                if len(treated) and len(np.unique(donors)) >= FEWEST_DONORS:
                    break
            found[r] = estimate(replace(panel, treated=treated, donors=donors))
            progress.step()
    finally:
        progress.end()
    return float(found.std(ddof=0))


def jackknife_error(panel: Panel, parts: Sequence[Part]) -> float | None:
    """Algorithm 3: units left out one at a time, the weights of the others as they were, scaled to sum to one. None
    where a start has one treated unit only."""
    if any(len(p.units) < 2 for p in parts):
        return None
    after = np.array([panel.periods - p.start for p in parts], dtype=float)
    sizes = np.array([len(p.units) for p in parts], dtype=float)
    outcome, shares = panel.outcome[panel.donors], after * sizes / (after @ sizes)
    changes = np.array([_change(panel, p) for p in parts])  # of each part's treated mean
    found: list[float] = []
    scores = [np.array([_change_of(outcome[i], p) for i in range(len(panel.donors))]) for p in parts]
    for i in range(len(panel.donors)):
        total = 0.0
        for share, change, part, score in zip(shares, changes, parts, scores, strict=True):
            weights = np.delete(part.fit.weights, i)
            weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(weights), 1 / len(weights))
            total += share * (change - weights @ np.delete(score, i))
        found.append(total)
    for c, part in enumerate(parts):
        own = np.array([_change_of(panel.outcome[u], part) for u in part.units])
        left = sizes.copy()
        left[c] -= 1
        share = after * left / (after @ left)
        others = np.array([s @ p.fit.weights for s, p in zip(scores, parts, strict=True)])
        for j in range(len(own)):
            moved = changes.copy()
            moved[c] = np.delete(own, j).mean()
            found.append(float(share @ (moved - others)))
    values = np.array(found)
    return float(np.sqrt((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum()))


def _change(panel: Panel, part: Part) -> float:
    return _change_of(panel.outcome[part.units].mean(axis=0), part)


def _change_of(own: np.ndarray, part: Part) -> float:
    """Mean after the start less the weighted mean before."""
    assert part.fit.times is not None
    return float(own[part.start:].mean() - part.fit.times @ own[: part.start])


def conformal(
    panel: Panel, parts: Sequence[Part], fit: Callable[[Synthetic], Fit], error: float, alpha: float
) -> tuple[tuple[float, float] | None, float]:
    """The effects that are not rejected, and the p-value of none (Chernozhukov, Wuethrich and Zhu 2021).

    For each effect the treated units, less it, get weights from all periods, and the mean of their gaps after the start
    is set against those of the same number of periods elsewhere. All start together. fit: the method, for a unit's own
    penalty.
    """
    start, every = parts[0].start, np.ones(panel.periods, dtype=bool)
    after = ~panel.before(start)
    donors = panel.outcome[panel.donors]

    def p_value(effect: float) -> float:
        gaps = [fit(p.fit)(panel.outcome[p.units[0]] - effect * after, donors, every,
                           panel.traits_of(int(p.units[0]), panel.donors)).gap for p in parts]
        return moving_block_p_value(np.mean(gaps, axis=0), after)

    centre = float(sum(p.share * p.fit.effect for p in parts))
    return accepted(p_value, centre, error, alpha), p_value(0.0)
