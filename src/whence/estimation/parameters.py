"""Parameters that several estimators share, and the check of a call against a card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError

LEVEL = Parameter("level", "float", 0.95, "Confidence level of the interval.", 0.0, 1.0, open_ends=True)
DEGREE = Parameter("degree", "int", 2, "Highest power of each numeric control (2 adds squares).", 1, 5)


def checked(card: Card, given: Mapping[str, Any]) -> dict[str, Any]:
    """``card.checked(given)``; a learner may also be an object with ``fit`` and ``predict``."""
    learners = {p.name for p in card.parameters if p.name.endswith("_learner")}
    objects = {name: value for name, value in given.items() if name in learners and not isinstance(value, str)}
    for name, value in objects.items():
        if isinstance(value, type) or not (hasattr(value, "fit") and hasattr(value, "predict")):
            allowed = next(p for p in card.parameters if p.name == name).choices
            raise WhenceError(
                f"Parameter {name!r} of {card.name!r} must be a name or an estimator with fit and predict.",
                code="bad_parameter", value=repr(value), allowed=allowed,
            )
    rest = card.checked({name: value for name, value in given.items() if name not in objects})
    return rest | objects


def plain_parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as the provenance keeps them: objects by their printed form."""
    return {k: v if v is None or isinstance(v, (bool, int, float, str)) else repr(v) for k, v in given.items()}
