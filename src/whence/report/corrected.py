"""Words for an effect on an outcome that is a prediction, corrected with known truths."""

from __future__ import annotations

from whence.estimation.effect import Effect
from whence.report.text import name


def true_outcome(effect: Effect, value: str | None) -> str | None:
    """What the effect is about, where the outcome in the table is a prediction of it; ``value``: whose probability."""
    if effect.spec.truth is None:
        return None
    truth, seen = name(effect.spec.truth), f"which {name(effect.spec.outcome)} predicts,"
    return f"{truth}, {seen}" if value is None else f"the probability that {truth}, {seen} is {name(value)}"


def without_correction(effect: Effect, estimate: str) -> str:
    """What the same comparison gives for the predictions as they are; ``estimate``: as written."""
    return f"Without correction, for {name(effect.spec.outcome)} as it is, the estimate would be {estimate}."
