"""How numbers are written in a report: no more digits than they deserve, the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MINUS = "\u2212"
_SUPERSCRIPTS = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


@dataclass(frozen=True)
class Scale:
    """How an estimate and everything compared with it is written.

    decimals: places after the point. exponent: numbers are divided by ``10**exponent``, which is then
    written behind them. percent: numbers are shares, written as percentages.
    """

    decimals: int
    exponent: int = 0
    percent: bool = False

    def number(self, value: float) -> str:
        """The value without a unit: ``3.44``, ``−1,203``, ``2.10 × 10⁻⁹``."""
        if not math.isfinite(value):
            return _endless(value)
        scaled = value * 100 if self.percent else value / 10.0**self.exponent
        text = _minus(f"{scaled:,.{self.decimals}f}")
        return text if not self.exponent else f"{text} × 10{str(self.exponent).translate(_SUPERSCRIPTS)}"

    def size(self, value: float) -> str:
        """The value without its sign."""
        return self.number(abs(value))

    def interval(self, ends: tuple[float, float]) -> str:
        """``2.50 to 4.38``."""
        return f"{self.number(ends[0])} to {self.number(ends[1])}"


def scale(standard_error: float, values: Iterable[float] = (), percent: bool = False) -> Scale:
    """The precision a standard error supports: its first two significant digits, never past the unit.

    values: the other numbers to be written; they decide when the standard error is zero or unknown (then
    three significant digits of the largest). Numbers below 0.001 or from ten billion on take an exponent.
    """
    factor = 100.0 if percent else 1.0
    sizes = [abs(v) * factor for v in values if math.isfinite(v) and v != 0]
    known = math.isfinite(standard_error) and standard_error > 0
    largest = max([*sizes, standard_error * factor] if known else sizes, default=1.0)
    finest = standard_error * factor if known else largest / 10
    if known:  # an exactly known number next to huge ones still gets at most ten digits
        finest = max(finest, largest * 1e-10)
    top, last = _order(largest), _order(finest) - 1
    if percent or (-3 <= top < 10 and last >= -9):
        return Scale(min(max(0, -last), 12), 0, percent)
    return Scale(min(max(0, top - last), 12), top, percent)


def figures(value: float, digits: int = 3, pad: bool = False) -> str:
    """A number on its own, to ``digits`` significant digits; whole digits are never cut: ``0.0973``, ``1,794``.

    pad: keep trailing zeros, as in a column of a table.
    """
    if not math.isfinite(value):
        return _endless(value)
    if value == 0:
        return "0"
    top = _order(value)
    if top < -4 or top >= 10:
        text = _minus(f"{value / 10.0**top:.{digits - 1}f}")
        return f"{text} × 10{str(top).translate(_SUPERSCRIPTS)}"
    text = _minus(f"{value:,.{max(0, digits - 1 - top)}f}")
    return text.rstrip("0").rstrip(".") if "." in text and not pad else text


def count(size: int, noun: str = "", plural: str | None = None) -> str:
    """``1 row``, ``1,566 rows``, or the number alone."""
    return f"{size:,} {noun if size == 1 else plural or noun + 's'}" if noun else f"{size:,}"


_WORDS = "no one two three four five six seven eight nine ten".split()


def few(size: int, start: bool = False) -> str:
    """A small count as a word, as in running text: ``three``, ``12``; ``start`` of a sentence: ``Three``."""
    word = _WORDS[size] if 0 <= size < len(_WORDS) else f"{size:,}"
    return word.capitalize() if start else word


def percent(share: float) -> str:
    """A share as a percentage: ``95%``, ``13.9%``, ``under 0.1%``."""
    if not math.isfinite(share):
        return _endless(share)
    if 0 < share < 0.0005:
        return "under 0.1%"
    if 0.9995 < share < 1:
        return "over 99.9%"
    text = f"{100 * share:.1f}"
    return _minus(text[:-2] if text.endswith(".0") else text) + "%"


def level(share: float) -> str:
    """A confidence level: ``95%``, ``99.9%``."""
    return f"{100 * share:.10g}%"


def p_value(value: float) -> str:
    """A p-value in a sentence: ``p < 0.001``, ``p = 0.013``, ``p = 0.42``, ``p > 0.99``."""
    if not math.isfinite(value):
        return "p unknown"
    if value < 0.001:
        return "p < 0.001"
    if value > 0.99:
        return "p > 0.99"
    return f"p = {value:.3f}" if value < 0.0995 else f"p = {value:.2f}"


def listed(items: Iterable[str], most: int = 6, joint: str = "and") -> str:
    """``a, b and c``; beyond ``most`` the rest is counted."""
    shown = list(items)
    if len(shown) > most:
        shown = [*shown[: most - 1], f"{len(shown) - most + 1:,} more"]
    return f" {joint} ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def plain_value(value: Any, digits: int = 4) -> str:
    """Any JSON-ready scalar as text; numbers to ``digits`` significant digits, whole numbers in full."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return _minus(f"{value:,}")
    return figures(value, digits) if isinstance(value, float) else str(value)


def _order(value: float) -> int:
    """Position of the first significant digit: 0 for 3.2, -1 for 0.5, 3 for 1,794."""
    return math.floor(math.log10(abs(value)) + 1e-12) if value else 0


def _minus(text: str) -> str:
    digits = text.lstrip("-")
    return digits if not any(c in "123456789" for c in digits) else text.replace("-", MINUS)


def _endless(value: float) -> str:
    return "unknown" if math.isnan(value) else "infinity" if value > 0 else "minus infinity"
