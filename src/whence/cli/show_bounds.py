"""Bounds of an effect on the screen."""

from __future__ import annotations

from whence.cli import screen
from whence.core.result import Refused
from whence.estimation.bounds import Bounds
from whence.report import numbers


def show(answer: Bounds | Refused) -> None:
    """The range and the interval around it, what it assumes and what to keep in mind; or the refusal."""
    if isinstance(answer, Refused):
        screen.heading("No answer")
        screen.say(answer.reason)
        if answer.remedy:
            screen.say(answer.remedy)
        return
    screen.heading("Bounds")
    screen.say(_sentence(answer))
    screen.say()
    rows = [(f"{answer.quantity} {answer.contrast}", _range(answer.lower, answer.upper), _range(*answer.interval))]
    rows += [(f"mean outcome, {answer.spec.treatment} {arm}", _range(*ends), "") for arm, ends in answer.arms.items()]
    screen.table(("quantity", "range", f"{numbers.level(answer.level)} interval of both ends"), rows)
    screen.say()
    screen.say(f"{answer.method}, {numbers.count(answer.n, 'row')}. {answer.confidence}")
    if answer.assumptions:
        screen.heading("Assumes")
        for line in answer.assumptions:
            screen.say(f"- {line}")
    if answer.warnings:
        screen.heading("Keep in mind")
        for warning in answer.warnings:
            screen.say(f"- {warning.text}")


def _range(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g}"


def _sentence(answer: Bounds) -> str:
    verdict = {1: "It is positive.", -1: "It is negative.", 0: "Its sign stays open."}[answer.sign]
    return (f"Under the assumptions below, the effect of {answer.spec.treatment} on {answer.spec.outcome} lies between "
            f"{answer.lower:.4g} and {answer.upper:.4g} in these data. {verdict}")
