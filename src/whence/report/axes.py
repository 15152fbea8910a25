"""The pieces of a small figure: axis, ticks, text that fits, and the SVG element around them.

All figures are ``WIDTH`` units wide and scale with the page. Colours are the page's CSS variables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from whence.core.hashing import content_hash
from whence.graphs.svg import text_width
from whence.report.numbers import MINUS

WIDTH = 380.0
MARGIN = 10.0
LABEL, TICK = 12.5, 11.0  # font sizes, as in the style sheet


@dataclass(frozen=True)
class Axis:
    """Maps values from ``low`` to ``high`` onto pixels from ``start`` to ``end``; values beyond stop at the ends."""

    low: float
    high: float
    start: float = MARGIN
    end: float = WIDTH - MARGIN

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def ticks(self, about: int = 5) -> list[float]:
        """Round values inside the axis, about ``about`` of them."""
        step = _round_step((self.high - self.low) / max(about, 1))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]


def axis_for(values: Iterable[float], start: float = MARGIN, end: float = WIDTH - MARGIN) -> Axis:
    """An axis that holds every finite value with a little room on both sides."""
    known = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(known), max(known)
    room = 0.06 * (high - low) or max(abs(high), 1.0) * 0.1
    return Axis(low - room, high + room, start, end)


def _round_step(rough: float) -> float:
    size = 10.0 ** math.floor(math.log10(rough))
    return next(size * m for m in (1, 2, 5, 10) if size * m >= rough * 0.999)


def tick_labels(ticks: Sequence[float], percent: bool = False) -> list[str]:
    """The ticks as text, all with the same number of decimals."""
    shown = [t * 100 for t in ticks] if percent else list(ticks)
    step = abs(shown[1] - shown[0]) if len(shown) > 1 else (abs(shown[0]) if shown else 1.0) or 1.0
    top = max((abs(t) for t in shown), default=0.0)
    if top >= 1e7 or step < 1e-5:
        texts = [f"{t:.3g}" for t in shown]
    else:
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        texts = [f"{0.0 if abs(t) < step / 1e6 else t:,.{decimals}f}" for t in shown]
    return [t.replace("-", MINUS) + ("%" if percent else "") for t in texts]


def horizontal(axis: Axis, top: float, bottom: float, percent: bool = False, about: int = 5) -> list[str]:
    """Faint vertical lines at the ticks from ``top`` to ``bottom`` and the tick labels under them."""
    ticks = axis.ticks(about)
    labels = tick_labels(ticks, percent)
    while len(ticks) > 2 and sum(text_width(t, TICK) + 8 for t in labels) > axis.end - axis.start:
        ticks, labels = ticks[::2], labels[::2]
    parts = []
    for value, label in zip(ticks, labels, strict=True):
        x = axis.at(value)
        half = text_width(label, TICK) / 2
        parts.append(line(x, top, x, bottom, "grid"))
        parts.append(text(min(max(x, half), WIDTH - half), bottom + 15, label, "tick middle"))
    return parts


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line class="{css}" x1="{n(x1)}" y1="{n(y1)}" x2="{n(x2)}" y2="{n(y2)}"/>'


def box(x: float, y: float, width: float, height: float, css: str, note: str = "") -> str:
    inside = f"><title>{safe(note)}</title></rect>" if note else "/>"
    return f'<rect class="{css}" x="{n(x)}" y="{n(y)}" width="{n(max(width, 0))}" height="{n(max(height, 0))}"{inside}'


def dot(x: float, y: float, radius: float, css: str, note: str = "") -> str:
    inside = f"><title>{safe(note)}</title></circle>" if note else "/>"
    return f'<circle class="{css}" cx="{n(x)}" cy="{n(y)}" r="{n(radius)}"{inside}'


def path(d: str, css: str) -> str:
    return f'<path class="{css}" d="{d}"/>'


def text(x: float, y: float, words: str, css: str, room: float | None = None, size: float = LABEL) -> str:
    """Words at a baseline; with ``room`` they are shortened to fit and the whole is kept as a tooltip."""
    shown = words if room is None else fitted(words, room, size)
    note = f"<title>{safe(words)}</title>" if shown != words else ""
    return f'<text class="{css}" x="{n(x)}" y="{n(y)}">{safe(shown)}{note}</text>'


def fitted(words: str, room: float, size: float = LABEL) -> str:
    """The words, with an ellipsis in the middle if they are wider than ``room``."""
    if text_width(words, size) <= room:
        return words
    keep = len(words)
    while keep > 2 and text_width(_middle(words, keep), size) > room:
        keep -= 1
    return _middle(words, keep)


def _middle(words: str, keep: int) -> str:
    head = (keep + 1) // 2
    return words[:head].rstrip() + "…" + words[len(words) - (keep - head) :].lstrip()


def picture(height: float, parts: Sequence[str], title: str, description: str, css: str = "") -> str:
    """The SVG element, with its title and its description in words for those who cannot see it."""
    body = "".join(parts)
    tag = "f" + content_hash(title, description, body)[:10]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" class="plot {css}" role="img" aria-labelledby="{tag}-t {tag}-d" '
            f'viewBox="0 0 {n(WIDTH)} {n(height)}"><title id="{tag}-t">{safe(title)}</title>'
            f'<desc id="{tag}-d">{safe(description)}</desc>{body}</svg>')


def n(value: float) -> str:
    """A coordinate: at most two decimals, no trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def safe(words: str) -> str:
    """Escaped for SVG inside HTML; control characters become a visible replacement."""
    return escape("".join(c if c.isprintable() or c in "\u200c\u200d" else "\ufffd" for c in words))
