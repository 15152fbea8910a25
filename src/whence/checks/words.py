"""How numbers are written in the sentences of checks: short, the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence


def number(value: float) -> str:
    """About three significant digits, thousands separated: ``0.0973``, ``3.45``, ``1,794``."""
    if not math.isfinite(value):
        return "infinity" if value > 0 else "minus infinity" if value < 0 else "unknown"
    if value == 0:
        return "0"
    size = abs(value)
    if size < 1e-4 or size >= 1e9:
        return f"{value:.2e}"
    decimals = max(0, 2 - math.floor(math.log10(size)))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share as a percentage, with one decimal below 100 %: ``0.139`` is ``13.9%``."""
    if 0 < share < 0.001:
        return "under 0.1%"
    text = f"{100 * share:.1f}"
    return (text[:-2] if text.endswith(".0") else text) + "%"


def p_text(p_value: float) -> str:
    """A p-value for a sentence: ``p = 0.013``, ``p < 0.001``."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}" if p_value < 0.1 else f"p = {p_value:.2f}"


def listing(items: Sequence[str], most: int = 5) -> str:
    """``a, b and c``; beyond ``most`` the rest are ``others``."""
    shown = [*items[:most], "others"] if len(items) > most else list(items)
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1]


def count(size: int, noun: str, plural: str | None = None) -> str:
    """``1 row``, ``1,566 rows``."""
    return f"{size:,} {noun if size == 1 else plural or noun + 's'}"


def also(stand_in: float, effect: float) -> str:
    """Names the effect beside the estimate of a stand-in, where the two read differently."""
    return "" if number(stand_in) == number(effect) else f" (our estimate is {number(effect)})"
