"""The page of who benefits: whether an effect differs, for whom it is largest, and whom a simple rule would treat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from whence.core.result import Refused
from whence.estimation.effect import Comparison
from whence.estimation.heterogeneity.groups import Groups
from whence.estimation.heterogeneity.people import Conditional
from whence.estimation.heterogeneity.policy import Policy
from whence.estimation.heterogeneity.rate import Rate
from whence.report import html, numbers
from whence.report.sorted_effects import sorted_effects
from whence.report.who_benefits import draw

HEAD = ("", "effect", "joint interval")


def verdict(found: Conditional, rate: Rate | Refused) -> str:
    """Whether people's effects differ in a way that can be foreseen, in a sentence."""
    cause, outcome = found.spec.treatment, found.spec.outcome
    if isinstance(rate, Refused):
        return f"Whether the effect of {cause} on {outcome} differs cannot be tested: {rate.reason}"
    test = rate.autoc
    area = f"{test.estimate:.3g} ({test.interval[0]:.3g} to {test.interval[1]:.3g})"
    shown = f"AUTOC {area}, {numbers.p_value(test.p_value)}, on people the order was not learned from"
    if test.interval[0] > 0:
        return f"The effect of {cause} on {outcome} differs between people in a way that can be foreseen ({shown})."
    return (f"These data do not show that the effect of {cause} on {outcome} differs between people in a way that can "
            f"be foreseen ({shown}); it may still.")


def interval(c: Comparison) -> str:
    """A joint interval where there is one, in words."""
    low, high = c.joint_interval or c.interval
    return f"{low:.4g} to {high:.4g}"


def page(
    found: Conditional, rate: Rate | Refused, groups: Groups | Refused, policy: Policy | Refused, source: str | None
) -> str:
    """The whole page as HTML, with its style and drawings inside."""
    sections = [
        _section("Everybody's effect", "Fitted effects from the smallest to the largest. Some of the ends are so by "
                 "chance: whether people differ is judged below, on people the order was not learned from.",
                 sorted_effects(found)),
        _section("Ranked by what others taught", "How much larger the effect is among those ranked first than among "
                 "all: a flat line at zero means that nobody can be told apart.", rate),
        _section("From the least to the most affected", "People in groups by their fitted effects, and what treatment "
                 "did in each.", groups, () if isinstance(groups, Refused)
                 else (*groups.groups, groups.top_against_bottom)),
        _section("Whom to treat", "" if isinstance(policy, Refused) else _gains(policy), policy,
                 () if isinstance(policy, Refused)
                 else (policy.against_nobody, policy.against_everybody, policy.everybody_against_nobody)),
    ]
    told = (found.warnings, *(one.remarks for one in (rate, groups, policy) if not isinstance(one, Refused)))
    return html.filled("who_benefits.html", {
        "title": f"Who benefits from {found.spec.treatment}?", "source": PurePath(source or "data").name,
        "verdict": verdict(found, rate), "facts": found.lines(), "sections": sections,
        "assumptions": found.assumptions, "keep": list(dict.fromkeys(w.text for some in told for w in some)),
    })


def write(
    found: Conditional, rate: Rate | Refused, groups: Groups | Refused, policy: Policy | Refused, source: str | None,
    path: str,
) -> Path:
    """The page in a file. Raises ``WhenceError``: ``bad_format``, ``cannot_write``."""
    return html.save(page(found, rate, groups, policy, source), html.checked_path(path))


def _gains(policy: Policy) -> str:
    nobody, everybody = policy.against_nobody, policy.against_everybody
    return (f"{policy.rule} On people it was not learned from, such a rule gains {nobody.estimate:.3g} per person over "
            f"treating nobody ({interval(nobody)}) and {everybody.estimate:.3g} over treating everybody "
            f"({interval(everybody)}).")


def _section(
    title: str, said: str, found: str | Rate | Groups | Policy | Refused, compared: Sequence[Comparison] = ()
) -> dict[str, Any]:
    drawn = "" if isinstance(found, Refused) else found if isinstance(found, str) else draw(found)
    return {"title": title, "said": found.reason if isinstance(found, Refused) else said, "svg": drawn, "head": HEAD,
            "rows": [(c.label, f"{c.estimate:.4g}", interval(c)) for c in compared]}
