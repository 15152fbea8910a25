"""A finding on the screen and as JSON: the answer or the refusal, the checks, what to keep in mind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from whence.checks.check import Check
from whence.cli import screen
from whence.core.result import Remark, to_plain
from whence.estimation.effect import Comparison, Effect
from whence.report import numbers
from whence.report.finding import Finding

VERDICTS = {"pass": ("pass", "32"), "worry": ("worry", "33"), "informational": ("note", "")}


def as_data(finding: Finding, **more: Any) -> dict[str, Any]:
    """The keys of the answer schema; ``more`` are added."""
    return {
        "spec": to_plain(finding.spec),
        "effect": to_plain(finding.effect),
        "refused": to_plain(finding.refused),
        "checks": to_plain(finding.checks),
        "warnings": to_plain(finding.warnings),
        "provenance": to_plain(finding.provenance),
        **more,
    }


def show(finding: Finding, report: str | None = None, said: Sequence[Remark] = ()) -> None:
    """The answer in one sentence and its numbers, or the refusal; then checks, warnings and the report's place.

    said: warnings that stand on the screen already.
    """
    if finding.refused is not None or finding.effect is None:
        _refusal(finding)
    else:
        _effect(finding)
    if finding.checks:
        screen.heading("Checks")
        for check in finding.checks:
            _check(check)
    warnings = [w for w in finding.warnings if w not in said]
    if warnings:
        screen.heading("Keep in mind")
        for warning in warnings:
            screen.say(f"- {warning.text}")
    if report is not None:
        screen.say()
        screen.say(f"Report: {report}")


def _refusal(finding: Finding) -> None:
    screen.heading("No answer")
    if finding.refused is not None:
        screen.say(finding.refused.reason)
        if finding.refused.remedy:
            screen.say(finding.refused.remedy)


def _effect(finding: Finding) -> None:
    from whence.report.contrasts import contrast_labels, of_treatments, scales
    from whence.report.prose import answer_sentence, several

    effect = finding.effect
    assert effect is not None
    screen.heading("Answer")
    screen.say(answer_sentence(finding))
    answers = (effect, *finding.alternatives)
    written = numbers.scale(effect.standard_error, [a.estimate for a in answers])
    rows = [(a.method, *_numbers(a, written), numbers.count(a.n)) for a in answers]
    head = ("method", "estimate", "std. error", f"{numbers.level(effect.level)} interval", "p", "rows")
    screen.say()
    screen.table(head, rows, right=("estimate", "std. error", "p", "rows"))
    if len(effect.comparisons) > 1:
        each = "treatment" if of_treatments(effect) else "contrast"
        screen.heading(f"Each {each}")
        screen.table(
            (each, "estimate", "std. error", "joint interval", "adjusted p"),
            [(told, *_together(c, one)) for told, c, one in zip(contrast_labels(effect), effect.comparisons,
                                                                scales(effect, written), strict=True)],
            right=("estimate", "std. error", "adjusted p"),
        )
        screen.say(several(effect))


def _numbers(answer: Effect | Comparison, written: numbers.Scale) -> tuple[str, str, str, str]:
    p = numbers.p_value(answer.p_value).removeprefix("p ").removeprefix("= ")
    return (
        written.number(answer.estimate), written.number(answer.standard_error), written.interval(answer.interval), p
    )


def _together(c: Comparison, written: numbers.Scale) -> tuple[str, str, str, str]:
    """One contrast of several: the interval and the p-value that allow for the others, where there are such."""
    estimate, error, interval, p = _numbers(c, written)
    if c.joint_interval is not None:
        interval = written.interval(c.joint_interval)
    if c.adjusted_p_value is not None:
        p = numbers.p_value(c.adjusted_p_value).removeprefix("p ").removeprefix("= ")
    return estimate, error, interval, p


def _check(check: Check) -> None:
    """A check that passed is one line; another says what was seen."""
    word, style = VERDICTS[check.verdict]
    screen.say(f"{word:5}  {check.title}", style=style, styled=word)
    if check.verdict != "pass":
        screen.say(check.saw, indent=7)
