"""A panel read for synthetic controls: who is treated from when, who can stand for them, and what else is matched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.core.result import Refused, Remark
from whence.estimation.adoption import Adoption, adoption, count_of
from whence.estimation.prepare import Prepared
from whence.estimation.synthetic_weights import Traits
from whence.stats.features import Features, independent, level_codes, plain
from whence.stats.fixed_effects import absorb

FEWEST_PERIODS = 3  # before treatment; with fewer, any few untreated units fit
FEWEST_DONORS = 2


@dataclass(frozen=True)
class Panel:
    """outcome: (units, periods), whole units alone are used. start: (units,), index of the first treated period, the
    number of periods for never. treated, donors: indices of units. traits: (units, p), what is matched besides the
    outcomes, or None. names: of the units. times: as shown."""

    data: Prepared
    found: Adoption
    outcome: np.ndarray
    start: np.ndarray
    treated: np.ndarray
    donors: np.ndarray
    traits: np.ndarray | None
    names: tuple[str, ...]
    times: tuple[str, ...]

    @property
    def periods(self) -> int:
        return self.outcome.shape[1]

    def before(self, start: int) -> np.ndarray:
        return np.arange(self.periods) < start

    def traits_of(self, unit: int, others: np.ndarray) -> Traits | None:
        return None if self.traits is None else (self.traits[unit], self.traits[others])


def read_panel(data: Prepared, in_differences: bool) -> tuple[Panel, tuple[Remark, ...]] | Refused:
    """Units that are seen in every period; the others are left out, with a remark.

    Controls are matched as traits: their means over the periods before anybody starts, on the scale of the outcome's
    spread between units; or, where the analysis is in differences, their part of the outcome is taken out by a two-way
    regression on untreated rows.

    Refused: those of ``adoption``, ``treatment_switches``, ``no_unit``, ``repeated_rows``, ``too_few_periods``,
    ``too_few_donors``.
    """
    read = adoption(data)
    if isinstance(read, Refused):
        return read
    found, remarks = read
    refused = _unsuited(data, found)
    if refused is not None:
        return refused
    made = data.features() if data.spec.controls else None
    if isinstance(made, Refused):
        return made
    values = data.outcome
    if made is not None and in_differences:
        values = values - _explained(values, made.matrix, found)
    units, periods = int(found.unit.max()) + 1, int(found.period.max()) + 1
    outcome = np.full((units, periods), np.nan)
    outcome[found.unit, found.period] = values
    start = np.full(units, periods)
    start[found.unit] = np.searchsorted(np.unique(found.time), found.first)
    whole = np.isfinite(outcome).all(axis=1) & (start > 0)
    treated, donors = np.flatnonzero(whole & (start < periods)), np.flatnonzero(whole & (start == periods))
    refused = _too_few(start, treated, donors)
    if refused is not None:
        return refused
    gaps, always = int((~np.isfinite(outcome).all(axis=1)).sum()), int((start == 0).sum())
    if gaps:
        remarks = (*remarks, Remark("units_left_out", f"{count_of(gaps)} not seen in every period and left out.",
                                    (str(data.spec.unit),), {"units": gaps}))
    if always:
        remarks = (*remarks, Remark("always_treated", f"{count_of(always)} treated from the first period on, with no "
                                    "time before to follow, and left out.", (data.treatment.name,), {"units": always}))
    codes, labels = level_codes(data.table.column(str(data.spec.unit)), data.rows)
    time = data.table.column(str(data.spec.time))
    _, when = np.unique(found.period, return_index=True)
    traits = None
    if made is not None and made.matrix.shape[1] and not in_differences:
        traits = _traits(made, found, outcome, int(start[treated].min()), np.concatenate([treated, donors]))
    shown = (time.shown(int(data.rows[i])).partition("T00:00:00")[0] for i in when)
    return Panel(data, found, outcome, start, treated, donors, traits,
                 tuple(labels[c] for c in np.unique(codes)), tuple(plain(t) for t in shown)), remarks


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


def _too_few(start: np.ndarray, treated: np.ndarray, donors: np.ndarray) -> Refused | None:
    if len(donors) < FEWEST_DONORS or not len(treated):
        return Refused("too_few_donors", f"{len(donors)} untreated and {len(treated)} treated units are seen in every "
                       "period; weights need at least two untreated ones.", {"untreated": len(donors),
                       "treated": len(treated)}, "Include untreated units, or periods that all of them have.")
    before = int(start[treated].min())
    if before < FEWEST_PERIODS:
        return Refused("too_few_periods", f"Treatment starts after {before} period{'s' * (before != 1)}; with fewer "
                       f"than {FEWEST_PERIODS} anything fits.", {"before": before},
                       "Include earlier periods, or use a difference in differences.")
    return None


def _explained(values: np.ndarray, matrix: np.ndarray, found: Adoption) -> np.ndarray:
    """What controls explain of the outcome (n,), by a two-way regression on the untreated rows (Kranz 2022)."""
    rows = found.status == 0
    left = absorb(np.column_stack([values, matrix])[rows], [found.unit[rows], found.period[rows]]).columns
    length = np.sqrt((matrix[rows] ** 2).sum(axis=0))
    moving = np.sqrt((left[:, 1:] ** 2).sum(axis=0)) > 1e-9 * np.where(length > 0, length, 1.0)
    kept = np.flatnonzero(moving)
    kept = kept[independent(left[:, 1:][:, kept], intercept=False)]
    if not len(kept):
        return np.zeros(len(values))
    slopes = np.linalg.lstsq(left[:, 1:][:, kept], left[:, 0], rcond=None)[0]
    return matrix[:, kept] @ slopes


def _traits(made: Features, found: Adoption, outcome: np.ndarray, first: int, used: np.ndarray) -> np.ndarray:
    """Means of the controls over the periods before ``first`` (units, p), with the spread that outcomes have between
    the ``used`` units."""
    early = found.period < first
    size = np.maximum(np.bincount(found.unit[early], minlength=len(outcome)), 1)
    means = np.column_stack([np.bincount(found.unit[early], c[early], len(outcome)) / size for c in made.matrix.T])
    spread = means[used].std(axis=0)
    typical = float(outcome[used][:, :first].std(axis=0).mean())
    return (means - means[used].mean(axis=0)) / np.where(spread > 0, spread, np.inf) * typical
