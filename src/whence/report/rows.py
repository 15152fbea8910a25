"""Figures with one line per row: effects by several methods, controls left out in turn, balance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whence.graphs.svg import text_width
from whence.report.axes import LABEL, MARGIN, WIDTH, Axis, axis_for, box, dot, horizontal, line, path, picture, text
from whence.report.numbers import Scale, count, figures, level, listed, scale

MOST_ROWS = 60  # drawn; the table under the figure has them all
SIDE = 150.0  # widest label that still stands beside its line


@dataclass(frozen=True)
class Bar:
    """One row: an estimate and its interval. main: the row the page is about. hollow: drawn as an outline."""

    label: str
    estimate: float
    low: float
    high: float
    main: bool = False
    hollow: bool = False


def forest(bars: Sequence[Bar], title: str, written: Scale, share: float = 0.95) -> str:
    """Estimates and intervals, one above the other; numbers stand at the right of each label."""
    said = [f"{written.number(b.estimate)} ({written.interval((b.low, b.high))})" for b in bars]
    beside = max((text_width(words, LABEL) for words in said), default=0.0)
    axis = axis_for(_reach(bars), end=max(WIDTH - beside - 12, 0.45 * WIDTH))
    step, top = 42.0, 4.0
    bottom = top + step * len(bars)
    parts = [*horizontal(axis, top, bottom, written.percent, 4), *_zero(axis, top, bottom)]
    for k, (b, words) in enumerate(zip(bars, said, strict=True)):
        y, weight = top + step * k, " strong" if b.main else ""
        parts.append(text(0, y + 15, b.label, "label" + weight, WIDTH))
        parts.append(text(WIDTH, y + 33, words, "label end num" + weight))
        parts += _bar(axis, b, y + 29)
    told = "; ".join(f"{b.label}: {words}" for b, words in zip(bars, said, strict=True))
    note = f"{count(len(bars), 'estimate')} with {level(share)} intervals. {told}."
    return picture(bottom + 22, parts, title, note, "forest")


def strip(b: Bar, written: Scale) -> str:
    """One interval on its axis: the answer at a glance."""
    axis = axis_for(_reach([b]))
    parts = [*horizontal(axis, 4.0, 34.0, written.percent), *_zero(axis, 4.0, 34.0), *_bar(axis, b, 19.0)]
    zero = "includes zero" if b.low <= 0 <= b.high else "leaves out zero"
    said = f"The estimate is {written.number(b.estimate)}; the interval, {written.interval((b.low, b.high))}, {zero}."
    return picture(56.0, parts, "The estimate and its interval", said, "strip")


def dropped(figure: Mapping[str, Any]) -> str:
    """The estimate with all controls (first row) and without each of them."""
    given = [Bar(str(r["label"]), _known(r["estimate"]), _known(r["low"]), _known(r["high"]), main=k == 0)
             for k, r in enumerate(figure["rows"])]
    bars = [b for b in given[:MOST_ROWS] if math.isfinite(b.estimate)]
    side = max((text_width(b.label, LABEL) for b in bars), default=0.0) <= SIDE
    start = max((text_width(b.label, LABEL) for b in bars), default=0.0) + 16 if side else MARGIN
    axis = axis_for(_reach(bars), start)
    step, top = (22.0 if side else 36.0), 4.0
    bottom = top + step * len(bars)
    parts = [*horizontal(axis, top, bottom), *_zero(axis, top, bottom)]
    if bars:
        x = axis.at(bars[0].estimate)
        parts.append(line(x, top, x, bottom, "reference"))
    for k, b in enumerate(bars):
        y = top + step * k
        weight = " strong" if b.main else ""
        parts.append(text(0, y + 15, b.label, "label" + weight, WIDTH))
        parts += _bar(axis, b, y + (11 if side else 25))
    return picture(bottom + 22, parts, "The estimate without each control", _dropped_words(bars))


def _dropped_words(bars: Sequence[Bar]) -> str:
    if not bars:
        return "No estimates."
    written = scale((bars[0].high - bars[0].low) / 4, [bars[0].estimate])
    rest = bars[1:]
    said = f"With {bars[0].label} the estimate is {written.number(bars[0].estimate)}."
    if rest:
        least, most = min(rest, key=lambda b: b.estimate), max(rest, key=lambda b: b.estimate)
        said += (f" Over {count(len(rest), 'row')} it runs from {written.number(least.estimate)} ({least.label}) to "
                 f"{written.number(most.estimate)} ({most.label}).")
    return said


def _bar(axis: Axis, b: Bar, y: float) -> list[str]:
    """The interval as a line (arrow tips where it leaves the axis) and the estimate as a mark."""
    low = b.low if math.isfinite(b.low) else axis.low
    high = b.high if math.isfinite(b.high) else axis.high
    main = " main" if b.main else ""
    parts = [line(axis.at(low), y, axis.at(high), y, "whisker" + main)]
    for value, way in ((b.low, 1), (b.high, -1)):
        x = axis.at(value if math.isfinite(value) else math.copysign(axis.high, -way))
        if not math.isfinite(value) or not axis.holds(value):
            back = x + 5 * way
            parts.append(path(f"M{back:.1f} {y - 4:.1f}L{x:.1f} {y:.1f}L{back:.1f} {y + 4:.1f}", "whisker" + main))
    x = axis.at(b.estimate)
    if b.main:
        return [*parts, box(x - 5, y - 5, 10, 10, "estimate main")]
    return [*parts, dot(x, y, 4, "estimate hollow" if b.hollow else "estimate")]


def _reach(bars: Sequence[Bar]) -> list[float]:
    """The values an axis must hold; zero too, unless it is so far off that the bars would shrink to dots."""
    values = [v for b in bars for v in (b.low, b.high, b.estimate) if math.isfinite(v)] or [0.0]
    low, high = min(values), max(values)
    return [*values, 0.0] if max(low, -high) <= 5 * (high - low) else values


def _zero(axis: Axis, top: float, bottom: float) -> list[str]:
    return [line(axis.at(0), top, axis.at(0), bottom, "zero")] if axis.holds(0) else []


def balance(figure: Mapping[str, Any]) -> str:
    """Standardised differences of each control before (ring) and after weighting (dot)."""
    rows = sorted(figure["rows"], key=lambda r: (-_size(r["before"]), str(r["label"])))
    shown, limit = rows[:MOST_ROWS], figure.get("threshold", 0.1)
    widest = max((text_width(str(r["label"]), LABEL) for r in shown), default=0.0)
    side = widest <= SIDE
    start = widest + 16 if side else MARGIN
    values = [v for r in shown for v in (_known(r["before"]), _known(r["after"]))]
    axis = axis_for([*values, limit, -limit], start)
    step, top = (22.0 if side else 34.0), 28.0
    bottom = top + step * len(shown)
    parts = _balance_key(side, start)
    parts.append(box(axis.at(-limit), top, axis.at(limit) - axis.at(-limit), bottom - top, "band"))
    parts += [*horizontal(axis, top, bottom), *_zero(axis, top, bottom)]
    for k, r in enumerate(shown):
        y = top + step * k
        parts.append(text(0, y + 15, str(r["label"]), "label", WIDTH))
        parts += _pair(axis, r, y + (11 if side else 24))
    title = "Balance of the controls before and after weighting"
    return picture(bottom + 22, parts, title, _balance_words(rows, limit))


def _balance_key(side: bool, start: float) -> list[str]:
    x = start if side and start < WIDTH - 190 else MARGIN
    return [dot(x + 6, 10, 4.5, "before"), text(x + 16, 14, "before", "label"),
            dot(x + 76, 10, 4.5, "after"), text(x + 86, 14, "after weighting", "label")]


def _pair(axis: Axis, row: Mapping[str, Any], y: float) -> list[str]:
    before, after = _known(row["before"]), _known(row["after"])
    parts = []
    if math.isfinite(before) and math.isfinite(after):
        parts.append(line(axis.at(before), y, axis.at(after), y, "link"))
    for value, css in ((before, "before"), (after, "after")):
        if math.isfinite(value):
            parts.append(dot(axis.at(value), y, 4.5, css, f"{row['label']}, {css}: {figures(value)}"))
    if not parts:
        parts.append(text(axis.end, y + 4, "beyond any scale", "tick end"))
    return parts


def _balance_words(rows: Sequence[Mapping[str, Any]], limit: float) -> str:
    def worst(which: str) -> str:
        if not rows:
            return "none"
        row = max(rows, key=lambda r: (_size(r[which]), str(r["label"])))
        return f"{figures(_size(row[which]))} ({row['label']})"

    off = [str(r["label"]) for r in rows if _size(r["after"]) > limit]
    said = (f"Standardised differences of {count(len(rows), 'column')}. Largest before weighting: {worst('before')}; "
            f"after: {worst('after')}. ")
    return said + (f"Beyond {figures(limit)} after weighting: {listed(off)}." if off
                   else f"None is beyond {figures(limit)} after weighting.")


def _known(value: Any) -> float:
    return math.nan if value is None else float(value)


def _size(value: Any) -> float:
    """The size of a difference; one that is unbounded (None in JSON) is the largest."""
    return math.inf if value is None or math.isnan(float(value)) else abs(float(value))
