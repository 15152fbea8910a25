"""Effects that differ between people, on the screen."""

from __future__ import annotations

from whence.cli import screen
from whence.core.result import Refused
from whence.estimation.heterogeneity.groups import Groups
from whence.estimation.heterogeneity.people import Conditional
from whence.estimation.heterogeneity.rate import Rate
from whence.report import numbers
from whence.report.benefit_page import interval, verdict

Told = tuple[Rate | Refused, Groups | Refused]


def show(found: Conditional | Refused, told: Told | None) -> None:
    """Whether effects differ, by what, and for whom they are largest; or the refusal."""
    if isinstance(found, Refused) or told is None:
        assert isinstance(found, Refused)
        screen.heading("No answer")
        screen.say(found.reason)
        if found.remedy:
            screen.say(found.remedy)
        return
    rate, groups = told
    screen.heading("Who benefits")
    screen.say(verdict(found, rate))
    screen.say()
    screen.table(("what", "how much"), [pair for pair in found.lines() if pair[0] != "method, rows"])
    if isinstance(groups, Refused):
        screen.say()
        screen.say(f"No effects of sorted groups: {groups.reason}")
    else:
        _groups(groups)
    screen.say()
    screen.say(f"{found.method}, {numbers.count(found.n, 'row')}.")
    if found.assumptions:
        screen.heading("Assumes")
        for sentence in found.assumptions:
            screen.say(f"- {sentence}")
    warnings = [*found.warnings, *(w for one in told if not isinstance(one, Refused) for w in one.remarks)]
    if warnings:
        screen.heading("Keep in mind")
        for text in dict.fromkeys(w.text for w in warnings):
            screen.say(f"- {text}")


def _groups(groups: Groups) -> None:
    rows = [(c.label, f"{c.estimate:.4g}", interval(c)) for c in groups.groups]
    rows.append((groups.top_against_bottom.label, f"{groups.top_against_bottom.estimate:.4g}",
                 interval(groups.top_against_bottom)))
    screen.say()
    screen.table(("people sorted by their fitted effects", "effect", f"joint {numbers.level(groups.level)} interval"),
                 rows, right=("effect",))
