"""Series over time beside what stands for them: a unit and its double, and one series interrupted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from whence.graphs.svg import text_width
from whence.report.axes import (
    MARGIN,
    TICK,
    WIDTH,
    Axis,
    axis_for,
    dot,
    fitted,
    line,
    path,
    picture,
    safe,
    text,
    tick_labels,
)
from whence.report.numbers import MINUS, count, figures

LEFT, LEGEND = 52.0, 12.0
FIRST = re.compile(r"\d{4}-\d{2}-01")
TOP, TALL = 26.0, 150.0  # of the upper panel
GAP, LOW = 52.0, 104.0  # between the panels, and the height of the lower one


def double(shown: Mapping[str, Any]) -> str:
    """The treated and the weighted average of untreated units over time; under it their gap, and those of untreated
    units taken for treated ones."""
    times, own, other, start = shown["times"], shown["own"], shown["synthetic"], int(shown["start"])
    across = Axis(0.0, max(len(times) - 1, 1), LEFT)
    bottom = TOP + TALL
    upward = axis_for([*own, *other], bottom, TOP)
    parts = [*_panel(across, upward, str(shown["outcome"])), _start(across, upward, start),
             through(across, upward, list(enumerate(other)), "frontier dashed"),
             through(across, upward, list(enumerate(own)), "whisker main"),
             *_legend([("treated", "whisker main"), ("weighted untreated", "frontier dashed")])]
    gap, placebos = shown.get("gap"), shown.get("placebos") or []
    said = (f"{shown['outcome']} of the treated and of the weighted untreated units. At the end they stand at "
            f"{figures(own[-1])} and {figures(other[-1])}.")
    if gap is None:
        parts += time_axis(across, times, bottom, str(shown["time"]))
        return picture(bottom + 40, parts, "The treated and their double", said)
    lower = axis_for([0.0, *gap, *(v for one in placebos for v in one)], bottom + GAP + LOW, bottom + GAP)
    parts += [*time_axis(across, times, bottom, ""), *_panel(across, lower, "gap"), _start(across, lower, start)]
    parts += [through(across, lower, list(enumerate(one)), "level") for one in placebos]
    parts += [line(LEFT, lower.at(0.0), across.end, lower.at(0.0), "zero"),
              through(across, lower, list(enumerate(gap)), "whisker main"),
              *time_axis(across, times, lower.start, str(shown["time"]))]
    if placebos:
        parts += _legend([("treated less its double", "whisker main"), ("untreated units likewise", "level")],
                         bottom + GAP - 14)
        total = int(shown.get("placebos_made", len(placebos)))
        said += (f" Below, their gap, and in thin lines that of {count(len(placebos), 'untreated unit')} each taken "
                 "for a treated one"
                 + (f", those of {total} that could be followed about as closely." if total > len(placebos) else "."))
    return picture(lower.start + 40, parts, "The treated and their double", said)


def since(shown: Mapping[str, Any]) -> str:
    """The gaps between treated units, or those that start together, and their doubles by periods since the start, and
    the mean of these."""
    steps, gap, each = shown["since"], shown["gap"], shown["each"]
    across = Axis(float(steps[0]), float(max(steps[-1], steps[0] + 1)), LEFT)
    bottom = TOP + TALL
    upward = axis_for([0.0, *gap, *(v for one in each for v in one["gap"])], bottom, TOP)
    apart = -(-len(steps) // 9)
    parts = [*_panel(across, upward, f"gap in {shown['outcome']}"),
             line(across.at(-0.5), upward.end, across.at(-0.5), upward.start, "reference")]
    parts += [through(across, upward, list(zip(steps, one["gap"], strict=True)), "level") for one in each]
    parts += [line(LEFT, upward.at(0.0), across.end, upward.at(0.0), "zero"),
              through(across, upward, list(zip(steps, gap, strict=True)), "whisker main"),
              line(LEFT, bottom, across.end, bottom, "base"),
              *(text(across.at(s), bottom + 15, str(s).replace("-", MINUS), "tick middle")
                for s in steps if s % apart == 0),
              text((LEFT + across.end) / 2, bottom + 33, "periods since treatment started", "tick middle"),
              *_legend([("treated less their doubles, mean", "whisker main"), ("each of them", "level")])]
    said = (f"The gap in {shown['outcome']} between the treated and their doubles, by periods since the start: "
            f"those of {len(each)} followed one by one, and their mean, {figures(gap[-1])} at the end.")
    return picture(bottom + 40, parts, "The treated less their doubles", said)


def interrupted(shown: Mapping[str, Any]) -> str:
    """A series, what was fitted to it, and what it would have been after the start with the band of that."""
    times, seen, start = shown["times"], shown["outcome"], int(shown["start"])
    expected, band, fit = shown["expected"], shown["band"], shown["fitted"]
    across, bottom = Axis(0.0, max(len(times) - 1, 1), LEFT), TOP + TALL
    ends = [v for pair in band or [] for v in pair]
    upward = axis_for([*seen, *expected, *ends], bottom, TOP)
    after = list(enumerate(expected, start))
    parts = _panel(across, upward, str(shown["outcome_name"]))
    if band:
        high = [(start + k, pair[1]) for k, pair in enumerate(band)]
        low = [(start + k, pair[0]) for k, pair in reversed(list(enumerate(band)))]
        if len(band) > 1:
            parts.append(through(across, upward, high + low, "band", closed=True))
        else:
            x = across.at(start)
            parts.append(line(x, upward.at(band[0][0]), x, upward.at(band[0][1]), "whisker"))
    parts.append(_start(across, upward, start))
    radius = 2.4 if len(seen) <= 80 else 1.4
    parts += [dot(across.at(k), upward.at(v), radius, "benchmark", f"{times[k]}: {figures(v)}")
              for k, v in enumerate(seen)]
    before = [(k, v) for k, v in enumerate(fit[:start]) if v is not None]
    later = [(k, v) for k, v in enumerate(fit[start:], start) if v is not None]
    parts += [through(across, upward, before, "whisker main"), through(across, upward, later, "whisker main"),
              through(across, upward, after, "frontier dashed") if len(after) > 1 else
              dot(across.at(start), upward.at(expected[0]), 2.4, "danger"),
              *time_axis(across, times, bottom, str(shown["time"])),
              *_legend([("seen", "benchmark"), ("fitted", "whisker main"), ("without treatment", "frontier dashed")])]
    said = (f"{shown['outcome_name']} over time. At the end it stands at {figures(seen[-1])}; without treatment it "
            f"would have been {figures(expected[-1])}"
            + (f", between {figures(band[-1][0])} and {figures(band[-1][1])}." if band else "."))
    return picture(bottom + 40, parts, "The series and its start", said)


def through(
    across: Axis, upward: Axis, points: Sequence[tuple[float, float]], css: str, closed: bool = False
) -> str:
    """A line through points; nothing for fewer than two."""
    if len(points) < 2:
        return ""
    shape = "M" + "L".join(f"{across.at(x):.1f} {upward.at(y):.1f}" for x, y in points)
    return path(shape + "Z" * closed, css)


def time_axis(across: Axis, times: Sequence[Any], bottom: float, name: str) -> list[str]:
    """Labels of some of the times, as many as fit without touching, and what they are."""
    if all(FIRST.fullmatch(str(t)) for t in times):
        times = [str(t)[:7] for t in times]  # months
    widest = max(text_width(str(t), TICK) for t in times)
    fit = max(1, int((across.end - across.start) / (widest + 12)))
    step = max(1, -(-(len(times) - 1) // max(1, min(fit, 7) - 1))) if fit > 1 else len(times)
    parts = [line(LEFT, bottom, across.end, bottom, "base")]
    for k in range(0, len(times), step):
        half = text_width(str(times[k]), TICK) / 2
        parts.append(text(min(across.at(k), WIDTH - half), bottom + 15, str(times[k]), "tick middle"))
    if name:
        parts.append(text((LEFT + across.end) / 2, bottom + 33, name, "tick middle", across.end - LEFT))
    return parts


def _panel(across: Axis, upward: Axis, beside: str) -> list[str]:
    """Faint lines at the ticks of the upward axis, their labels, and what it measures."""
    ticks = upward.ticks(4)
    parts = [line(LEFT, upward.at(t), WIDTH - MARGIN, upward.at(t), "grid") for t in ticks]
    parts += [text(LEFT - 6, upward.at(t) + 4, label, "tick end")
              for t, label in zip(ticks, tick_labels(ticks), strict=True)]
    middle = (upward.start + upward.end) / 2
    words = safe(fitted(beside, abs(upward.end - upward.start), TICK))
    return [*parts, line(LEFT, upward.end, LEFT, upward.start, "base"),
            f'<text class="tick middle" transform="translate(10 {middle:.0f}) rotate(-90)">{words}</text>']


def _start(across: Axis, upward: Axis, start: int) -> str:
    x = across.at(start - 0.5)
    return line(x, upward.end, x, upward.start, "reference")


def _legend(entries: Sequence[tuple[str, str]], y: float = LEGEND) -> list[str]:
    parts, x = [], LEFT
    for words, css in entries:
        parts.append(dot(x + 8, y - 4, 2.4, css) if css == "benchmark" else line(x, y - 4, x + 16, y - 4, css))
        parts.append(text(x + 21, y, words, "tick"))
        x += 21 + text_width(words, TICK) + 16
    return parts
