"""Is there a column that moves the treatment from outside: an offer, an assignment, an encouragement, an instrument?"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from whence.studies.evidence.balance import Products, log_dependence, products
from whence.studies.evidence.chance import earlier
from whence.studies.evidence.evidence import Evidence
from whence.studies.evidence.hints import ASSIGNED, PERSONAL, SURROUNDINGS, TAKEN, TRAIT, hint, said_of, shared
from whence.studies.evidence.sheet import EXCLUSIVE, MOST_LEVELS, OFFER, TAKE_UP, Sheet, decides, few_values, nesting
from whence.studies.roles import measured_later

MOVES = 3.0  # nats that a first stage needs
BEFOREHAND = -3.0  # nats: most columns that go with a treatment are causes or effects of it, not instruments
LEAST, MOST = -3.0, 8.0
MOST_SILENT = 2.5
MOST_CANDIDATES = 40
CONTROL = re.compile(r"\bcontrol\b", re.IGNORECASE)
FEW_VALUES = 7  # a treatment with more is an amount
TREATMENT = ""  # its place among the correlations; no column is called so


@dataclass(frozen=True)
class Offer:
    """A column that may move the treatment from outside. parts: what its strength is made of, in nats. r2: share of the
    treatment that it explains. nested: nobody without it was treated; absent: nobody with it, so that not having it is
    the offer. words: that say it was assigned."""

    name: str
    parts: dict[str, float]
    r2: float
    nested: bool
    absent: bool
    words: str

    @property
    def strength(self) -> float:
        """The sum of the parts; little where no word says that the column was assigned."""
        total = sum(self.parts.values())
        return total if self.parts["assigned"] or "surroundings" in self.parts else min(total, MOST_SILENT)


def offers(
    sheet: Sheet, mentioned: frozenset[str] = frozenset(), not_these: frozenset[str] = frozenset()
) -> tuple[Evidence, ...]:
    """Evidence for an instrument from the likeliest column, or against one where no column moves the treatment.

    mentioned: columns that the description calls instruments outright. not_these: columns with another part, such as
    one in which the treatment has a step.
    """
    if sheet.n < 20 or len(np.unique(sheet.t)) < 2:
        return ()
    found, made = candidates(sheet, mentioned, not_these)
    if not found:
        text = "No column moves the treatment as an offer or an instrument would."
        return (Evidence("iv", LEAST, "data", text),) if sheet.n >= 100 else ()
    best = found[0]
    text = f"{best.name} moves {sheet.treatment} (it explains {best.r2:.1%})"
    if best.nested:
        text += f", and nobody with{'' if best.absent else 'out'} it was treated"
    seen = {"r2": best.r2, "nested": best.nested, "parts": best.parts,
            "next": {o.name: round(o.strength, 2) for o in found[1:4]}}
    strength = min(max(best.strength, LEAST), MOST)
    chosen = _instruments(sheet, found, made)
    quote = best.words and (sheet.described[best.name].sentence if best.name in sheet.described else best.words)
    evidence = [Evidence("iv", strength, "data", text + ".", {"instruments": chosen}, None, quote, seen)]
    if best.strength > 2:
        evidence.append(Evidence("rct", -min(best.strength, 5.0), "data",
                             f"{best.name} moves {sheet.treatment}, so that was not itself drawn by lot.", {}, None,
                             quote))
    return tuple(evidence)


def _instruments(sheet: Sheet, found: tuple[Offer, ...], made: Products) -> tuple[str, ...]:
    """The likeliest, or the arms of its experiment that each move the treatment given those before."""
    best = found[0].name
    for other in found:
        levels = _levels(sheet, other.name)
        if levels and (other.name == best or best in levels):
            return levels
    z, chosen = sheet.numbers(best), [best]
    for other in found[1:]:
        if z is None or other.parts["assigned"] < 2.5 or CONTROL.search(said_of(other.name, sheet.described)):
            continue
        if _exclusive(z, sheet.numbers(other.name)):
            before, _ = made.explained(TREATMENT, chosen)
            after, _ = made.explained(TREATMENT, [*chosen, other.name])
            if log_dependence((after - before) / max(1 - before, 1e-9), made.n, 1) > MOVES:
                chosen.append(other.name)
    return tuple(sorted(chosen))


def _levels(sheet: Sheet, name: str) -> tuple[str, ...]:
    """Columns of 0 and 1 that stand for the levels of ``name``, a code of arms, without the one for the control; empty
    where there are not several."""
    z = sheet.numbers(name)
    if z is None or not few_values(z, MOST_LEVELS) or few_values(z, 2):
        return ()
    marks = {}
    for other in sheet.others:
        values = sheet.numbers(other)
        if values is not None and few_values(values, 2) and np.isin(values, (0.0, 1.0)).all() and values.any():
            at = z[np.argmax(values == 1)]
            if (values == (z == at)).all():
                marks[other] = at
    control = {n for n in marks if CONTROL.search(said_of(n, sheet.described))}
    if not control and len(marks) == len(np.unique(z[~np.isnan(z)])):
        control = {min(marks, key=lambda n: marks[n])}
    return tuple(sorted(set(marks) - control)) if len(marks) >= 2 else ()


def candidates(
    sheet: Sheet, mentioned: frozenset[str], not_these: frozenset[str]
) -> tuple[tuple[Offer, ...], Products]:
    """Columns that move the treatment, the likeliest instrument first, and the correlations they were judged by."""
    moving = []
    for name in sheet.others:
        z = sheet.numbers(name)
        if z is None or name in not_these:
            continue
        whole = ~np.isnan(z)
        if whole.sum() < 20 or z[whole].std() == 0 or sheet.t[whole].std() == 0:
            continue
        r2 = float(np.corrcoef(z[whole], sheet.t[whole])[0, 1]) ** 2
        said = said_of(name, sheet.described)
        worded = name in mentioned or hint(said, ASSIGNED)[0] > 0 or hint(said, SURROUNDINGS)[0] > 0
        needed = MOVES if hint(said, ASSIGNED)[0] < 3.0 and name not in mentioned else -1.0
        if log_dependence(r2, int(whole.sum()), 1) > needed and r2 < 0.97 and not _recoding(z[whole], sheet.t[whole]):
            moving.append((not worded, -r2, name))
    if not moving:
        return (), products(sheet.filled_treatment[:, None], (TREATMENT,))
    before = earlier(sheet)
    names = [name for _, _, name in sorted(moving)[:MOST_CANDIDATES]]
    matrix, sources = sheet.matrix(tuple(sorted({*before, *names})))
    made = products(np.column_stack([sheet.filled_treatment, matrix]), (TREATMENT, *sources))
    around = _around(sheet, names)
    found = [_offer(sheet, name, made, before, name in mentioned, around.get(name, 0.0)) for name in names]
    return tuple(sorted(found, key=lambda o: (-o.strength, o.name))), made


def _around(sheet: Sheet, names: list[str]) -> dict[str, float]:
    """For an amount, what each column has for belonging to the surroundings, in nats.

    How much of something people get is moved by what surrounds them: supply, prices, places, policies, who serves them.
    Where all other columns tell of the people themselves, the one that does not is likely to be of that kind.
    """
    if sheet.binary or len(np.unique(sheet.t)) <= FEW_VALUES:
        return {}
    said = {n: said_of(n, sheet.described) for n in sheet.others}
    weights = {n: hint(said[n], SURROUNDINGS)[0] for n in names}
    found = {n: 2.4 * w for n, w in weights.items() if w}
    if found:
        return {n: w + (len(found) == 1) for n, w in found.items()}
    strange = [n for n in said if not hint(said[n], TRAIT)[0] and not PERSONAL.search(said[n])]
    return {strange[0]: 4.0} if len(strange) == 1 and strange[0] in weights and len(said) >= 5 else {}


def _recoding(z: np.ndarray, t: np.ndarray) -> bool:
    return few_values(z, MOST_LEVELS) and (decides(z, t) or (few_values(t, MOST_LEVELS) and decides(t, z)))


def _offer(
    sheet: Sheet, name: str, made: Products, before: tuple[str, ...], mentioned: bool, around: float
) -> Offer:
    said, treatment = said_of(name, sheet.described), sheet.treatment or ""
    z = sheet.numbers(name)
    assert z is not None
    assigned, words = hint(said, ASSIGNED)
    parts = {"beforehand": BEFOREHAND, "assigned": 5.0 if mentioned else assigned}
    linked = nesting(z, sheet.t)
    if linked == EXCLUSIVE:  # not having it is the offer, if it is one; else both are levels of one variable
        parts["nested"] = 2.0 if assigned >= 2.5 else -2.0
    elif linked:
        parts["nested"] = 2.0 if linked == OFFER else -2.0
    if assigned or linked == OFFER:
        parts["taken"] = hint(said_of(treatment, sheet.described), TAKEN)[0] / 2
        parts["shared"] = 1.5 * shared(name, treatment)
    elif around:
        parts["surroundings"] = around
    elif hint(said, TRAIT)[0]:
        parts["trait"] = -2.0
    elif len(np.unique(z[~np.isnan(z)])) > 2:
        parts["nothing said"] = -1.5  # a lone strong cause of the treatment is more often a common cause
    if measured_later(name, treatment, sheet.described):
        parts["later"] = -3.0
    rest = [n for n in before if n != name and not _exclusive(z, sheet.numbers(n))]
    r2 = made.explained(TREATMENT, [name])[0]
    if rest:
        # What is said to be an instrument may be one given the others.
        least = -1.5 if assigned >= 3.5 or mentioned else -2.0 if assigned >= 2.5 else -4.0
        parts["balance"] = float(np.clip(-log_dependence(*_fit(made, name, rest)), least, 2.0))
        alone = _alone(made, rest, r2)
        if linked == TAKE_UP:
            alone = min(alone, 0.0)  # what only the treated have moves with the treatment because it follows
        parts["alone"] = min(max(alone, 0.0), 2.0) / 2 if assigned or parts.get("surroundings") else alone
    return Offer(name, parts, r2, parts.get("nested", 0.0) > 0, linked == EXCLUSIVE, words)


def _fit(made: Products, target: str, rest: list[str]) -> tuple[float, int, int]:
    r2, k = made.explained(target, rest)
    return r2, made.n, k


def _alone(made: Products, rest: list[str], r2: float) -> float:
    """For being the one thing that moves the treatment, against where the others move it as much."""
    others, k = made.explained(TREATMENT, rest)
    floor = 3 / made.n
    return float(np.clip(math.log((r2 + floor) / (max(others - k / made.n, 0.0) + floor)), -2.5, 4.0))


def _exclusive(z: np.ndarray, other: np.ndarray | None) -> bool:
    """Whether two columns of 0 and 1 are never 1 together: levels of one variable, such as arms of an experiment."""
    return other is not None and nesting(z, other) == EXCLUSIVE
