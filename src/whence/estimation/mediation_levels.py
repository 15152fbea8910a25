"""The values at which mediators are set for a controlled direct effect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.estimation.prepare import Prepared
from whence.estimation.treatment import affirmative, canonical
from whence.stats.features import level_codes, plain

FEWEST = 10  # rows with these values of the mediators in each arm
MOST_LEVELS = 6  # of a single mediator, all of which are answered for


@dataclass(frozen=True)
class Level:
    """words: ``"m = 0"``, or several joined by ``and``. inside: boolean (n,), the rows with these values."""

    words: str
    inside: np.ndarray


def stated_level(data: Prepared, stated: str | None) -> Level:
    """The values that ``stated`` names (``"0"``, or ``"m1=0, m2=yes"`` for several mediators).

    None: of a single mediator of two values the one that means no, else the commonest combination; ties go to the
    first in order. Raises ``WhenceError`` (``bad_level``) for values that do not occur.
    """
    names = sorted(data.spec.mediators)
    coded = {name: level_codes(data.table.column(name), data.rows) for name in names}
    if stated is None:
        chosen = _usual(coded)
    else:
        given = _parsed(stated, names)
        chosen = {name: _find(name, given[name], coded[name]) for name in names}
    inside = np.logical_and.reduce([coded[name][0] == chosen[name] for name in names])
    return Level(" and ".join(f"{name} = {coded[name][1][chosen[name]]}" for name in names), inside)


def other_levels(data: Prepared, first: Level) -> list[Level]:
    """Of a single mediator with few values, the others, in order."""
    names = sorted(data.spec.mediators)
    if len(names) > 1:
        return []
    codes, labels = level_codes(data.table.column(names[0]), data.rows)
    present = np.unique(codes)
    if len(present) > MOST_LEVELS:
        return []
    made = [Level(f"{names[0]} = {labels[code]}", codes == code) for code in present.tolist()]
    return [level for level in made if level.words != first.words]


def two_values(data: Prepared) -> bool:
    """Whether there is one mediator, and it has two values."""
    name, *others = data.spec.mediators
    return not others and len(np.unique(level_codes(data.table.column(name), data.rows)[0])) == 2


def too_rare(data: Prepared, level: Level) -> Refused | None:
    """``mediator_level_rare`` where too few rows of either arm have these values."""
    t = data.treatment
    sizes = {t.arms[b]: int((level.inside & (t.codes == b)).sum()) for b in (0, 1)}
    if min(sizes.values()) >= FEWEST:
        return None
    numbers = [n for n in sorted(data.spec.mediators) if data.table.kind(n) in ("continuous", "count")]
    said = f"; {', '.join(numbers)} can be cut into groups first" if numbers else ""
    return Refused(
        "mediator_level_rare", f"Too few rows have {level.words} under each value of {t.name}: what the treatment does "
        "with the mediators set there would be guessed from a model.", {"rows": sizes, "needed": FEWEST},
        f"State values that occur often (mediator_level=...){said}.")


def _usual(coded: dict[str, tuple[np.ndarray, list[str]]]) -> dict[str, int]:
    if len(coded) == 1:
        (name, (codes, labels)), = coded.items()
        present = np.unique(codes).tolist()
        if len(present) == 2:
            return {name: present[1 - affirmative([labels[code] for code in present])]}
    found, counts = np.unique(np.column_stack([codes for codes, _ in coded.values()]), axis=0, return_counts=True)
    return dict(zip(coded, found[counts.argmax()].tolist(), strict=True))


def _parsed(stated: str, names: list[str]) -> dict[str, str]:
    """The value of each mediator."""
    parts = [part.partition("=") for part in stated.split(",")]
    given = {name.strip(): value.strip() for name, equals, value in parts if equals}
    if len(names) == 1 and not given:
        return {names[0]: stated.strip()}
    if sorted(given) != names:
        raise WhenceError(f"Give one value for each mediator: {', '.join(names)}.", code="bad_level", value=stated,
                          allowed=", ".join(f"{name}=..." for name in names))
    return given


def _find(name: str, value: str, coded: tuple[np.ndarray, list[str]]) -> int:
    codes, labels = coded
    number = canonical(value)
    wanted = {number, canonical(plain(number))} if isinstance(number, float) else {number}  # as labels are written
    alike = [code for code in np.unique(codes).tolist() if canonical(labels[code]) in wanted]
    if not alike:
        raise WhenceError(f"The mediator {name!r} has no value {value!r} on the rows used.", code="bad_level",
                          value=value, allowed=labels[:20])
    return alike[0]
