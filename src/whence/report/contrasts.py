"""The comparisons behind an effect as a reader sees them: their names and how their numbers are written."""

from __future__ import annotations

from whence.estimation.effect import Effect
from whence.identification.spec import PARTS
from whence.report import numbers
from whence.report.numbers import Scale
from whence.report.text import name


def of_treatments(effect: Effect) -> bool:
    """Whether the comparisons are those of several treatments, not of the values of one."""
    return "treatments" in effect.diagnostics


def contrast_labels(effect: Effect) -> list[str]:
    """What each comparison is called; of several treatments with the values compared."""
    compared = effect.diagnostics["treatments"] if of_treatments(effect) else {}
    return [f"{c.label} ({compared[c.label]})" if c.label in compared else c.label for c in effect.comparisons]


def scales(effect: Effect, common: Scale) -> list[Scale]:
    """How each comparison is written: as ``common`` has it, or each treatment, in units of its own, by itself."""
    if not of_treatments(effect):
        return [common] * len(effect.comparisons)
    return [numbers.scale(c.standard_error, (c.estimate, *c.interval), common.percent) for c in effect.comparisons]


def way(effect: Effect) -> str:
    """Past the mediators, through them, or with them set; nothing for a whole effect."""
    if effect.quantity not in PARTS:
        return ""
    if effect.quantity == "CDE":
        return f" with {effect.contrast.split(', ', 1)[1]} for everybody,"
    through = numbers.listed(map(name, effect.spec.mediators), most=10)
    return f" {'through' if effect.quantity in ('NIE', 'TIE') else 'past'} {through},"


def always(effect: Effect) -> str:
    """Treatments in turn, all set to one value rather than the other."""
    one, other = (part.removeprefix("always ") for part in effect.contrast.split(": ", 1)[1].split(" vs "))
    named = numbers.listed(map(name, effect.spec.treatments), most=10)
    return f"setting all of {named} to {name(one)} rather than {name(other)}"
