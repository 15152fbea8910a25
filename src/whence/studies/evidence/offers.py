"""Is there a column that moves the treatment from outside: an offer, an assignment, an encouragement, an instrument?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from whence.studies.evidence.balance import explained, log_dependence
from whence.studies.evidence.chance import dependence, earlier
from whence.studies.evidence.evidence import Evidence
from whence.studies.evidence.hints import ASSIGNED, SURROUNDINGS, TAKEN, TRAIT, hint, said_of, shared
from whence.studies.evidence.sheet import MOST_LEVELS, Sheet, decides
from whence.studies.roles import measured_later

MOVES = 3.0  # nats that a first stage needs
BEFOREHAND = -3.0  # nats: most columns that go with a treatment are causes or effects of it, not instruments
LEAST, MOST = -3.0, 8.0


@dataclass(frozen=True)
class Offer:
    """A column that may move the treatment from outside. parts: what its strength is made of, in nats."""

    name: str
    parts: dict[str, float]
    r2: float
    nested: bool
    words: str

    @property
    def strength(self) -> float:
        return sum(self.parts.values())


def offers(sheet: Sheet, mentioned: frozenset[str] = frozenset()) -> tuple[Evidence, ...]:
    """Evidence for an instrument from the likeliest column, or against one where no column moves the treatment.

    mentioned: columns that the description calls instruments outright.
    """
    if sheet.n < 20 or len(np.unique(sheet.t)) < 2:
        return ()
    found = candidates(sheet, mentioned)
    if not found:
        text = "No column moves the treatment as an offer or an instrument would."
        return (Evidence("iv", LEAST, "data", text),) if sheet.n >= 100 else ()
    best = found[0]
    text = f"{best.name} moves {sheet.treatment} (it explains {best.r2:.1%})"
    if best.nested:
        text += ", and nobody without it was treated"
    seen = {"r2": best.r2, "nested": best.nested, "parts": best.parts,
            "next": {o.name: round(o.strength, 2) for o in found[1:4]}}
    strength = min(max(best.strength, LEAST), MOST)
    made = [Evidence("iv", strength, "data", text + ".", {"instruments": (best.name,)}, None, best.words, seen)]
    if best.strength > 2:
        made.append(Evidence("rct", -min(best.strength, 5.0), "data",
                             f"What was assigned is {best.name} rather than {sheet.treatment}.", {}, None, best.words))
    return tuple(made)


def candidates(sheet: Sheet, mentioned: frozenset[str] = frozenset()) -> tuple[Offer, ...]:
    """Columns that move the treatment, the likeliest instrument first."""
    names = earlier(sheet)
    taken = hint(said_of(sheet.treatment or "", sheet.described), TAKEN)[0]
    moving = []
    for name in sheet.others:
        z = sheet.numbers(name)
        if z is None:
            continue
        whole = ~np.isnan(z)
        if whole.sum() < 20 or z[whole].std() == 0 or sheet.t[whole].std() == 0:
            continue
        r2 = float(np.corrcoef(z[whole], sheet.t[whole])[0, 1]) ** 2
        needed = MOVES if hint(said_of(name, sheet.described), ASSIGNED)[0] < 3.0 and name not in mentioned else -1.0
        if log_dependence(r2, int(whole.sum()), 1) > needed and r2 < 0.97 and not _recoding(z[whole], sheet.t[whole]):
            moving.append((name, z, r2))
    made = [_offer(sheet, name, z, r2, names, taken, name in mentioned) for name, z, r2 in moving]
    return tuple(sorted(made, key=lambda o: (-o.strength, o.name)))


def _recoding(z: np.ndarray, t: np.ndarray) -> bool:
    return len(np.unique(z)) <= MOST_LEVELS and (decides(z, t) or (len(np.unique(t)) <= MOST_LEVELS and decides(t, z)))


def _offer(
    sheet: Sheet, name: str, z: np.ndarray, r2: float, names: tuple[str, ...], taken: float, mentioned: bool
) -> Offer:
    said = said_of(name, sheet.described)
    assigned, words = hint(said, ASSIGNED)
    parts = {"beforehand": BEFOREHAND, "assigned": 5.0 if mentioned else assigned}
    whole = ~np.isnan(z)
    nesting = _nesting(z[whole], sheet.t[whole])
    if nesting:
        parts["nested"] = 2.0 * nesting
    if assigned or nesting > 0:
        parts["taken"] = taken / 2
        parts["shared"] = 1.5 * shared(name, sheet.treatment or "")
    elif not sheet.binary and not hint(said, TRAIT)[0]:
        # How much of something people get is moved by what surrounds them: supply, prices, places, who serves them.
        around, words = hint(said, SURROUNDINGS)
        parts["surroundings"] = 2.4 * around
    if measured_later(name, sheet.treatment or "", sheet.described):
        parts["later"] = -3.0
    rest = tuple(n for n in names if n != name and not _exclusive(z, sheet.numbers(n)))
    if rest:
        parts["balance"] = _balance(sheet, z, rest, -1.5 if assigned >= 3.5 or mentioned else -4.0)
        alone = _alone(sheet, rest, r2)
        parts["alone"] = min(max(alone, 0.0), 2.0) / 2 if assigned or parts.get("surroundings") else alone
    return Offer(name, parts, r2, nesting > 0, words)


def _exclusive(z: np.ndarray, other: np.ndarray | None) -> bool:
    """Whether two columns of 0 and 1 are never 1 together: levels of one variable, such as arms of an experiment."""
    if other is None or len(np.unique(z[~np.isnan(z)])) != 2 or len(np.unique(other[~np.isnan(other)])) != 2:
        return False
    return not ((z == np.nanmax(z)) & (other == np.nanmax(other))).any()


def _nesting(z: np.ndarray, t: np.ndarray) -> int:
    """1 where only those with the offer are treated, -1 where only the treated have it (so it follows), else 0."""
    levels_z, levels_t = np.unique(z), np.unique(t)
    if len(levels_z) != 2 or len(levels_t) != 2:
        return 0
    a, b = z == levels_z[1], t == levels_t[1]
    if (not (b & ~a).any() and (a & ~b).any()) or (not (b & a).any() and (~a & ~b).any()):
        return 1  # the offer, or its absence coded as 1
    return -1 if not (a & ~b).any() and (b & ~a).any() else 0


def _balance(sheet: Sheet, z: np.ndarray, rest: tuple[str, ...], least: float) -> float:
    """For independence of the columns before; against it where it depends on them, down to ``least``: what is said to
    be an instrument may be one given the others."""
    return float(np.clip(-dependence(sheet, rest, z)[0], least, 2.0))


def _alone(sheet: Sheet, rest: tuple[str, ...], r2: float) -> float:
    """For being the one thing that moves the treatment, against where the others move it as much."""
    matrix, _ = sheet.matrix(rest)
    whole = ~np.isnan(sheet.t)
    n = int(whole.sum())
    others, k = explained(sheet.t[whole], matrix[whole][:, : max(1, n // 10)])
    floor = 3 / n
    return float(np.clip(math.log((r2 + floor) / (max(others - k / n, 0.0) + floor)), -2.5, 4.0))
