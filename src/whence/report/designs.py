"""The picture of a design beside its answer: bins at a cutoff, effects by time, a unit and its double."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from whence.estimation.effect import Effect
from whence.report.answers import answer_picture
from whence.report.axes import (
    MARGIN,
    TICK,
    WIDTH,
    Axis,
    axis_for,
    box,
    dot,
    horizontal,
    line,
    picture,
    text,
    tick_labels,
)
from whence.report.curves import BOTTOM, LEFT, TOP, frame, upright
from whence.report.numbers import count, figures
from whence.report.over_time import double, interrupted, since, through

NOTE = BOTTOM + 54.0  # where what the marks mean is written
STEP = re.compile(r"^([+−-]\d+) periods?$")


def design_picture(effect: Effect) -> str:
    """The SVG of the design, or empty text where a design has none."""
    shown = effect.diagnostics.get("picture")
    if isinstance(shown, Mapping) and shown.get("kind") in KINDS:
        return KINDS[str(shown["kind"])](shown)
    steps = [(int(m.group(1).replace("−", "-")), c) for c in effect.comparisons if (m := STEP.match(c.label))]
    if len(steps) > 1:
        return event_study([{"time": s, "estimate": c.estimate, "low": c.interval[0], "high": c.interval[1],
                             "joint": c.joint_interval} for s, c in steps], effect.level)
    return answer_picture(effect)


def discontinuity(shown: Mapping[str, Any]) -> str:
    """Means of the outcome in bins of the running variable, and the fitted end of each side."""
    bins, lines, cutoff = shown["bins"], shown["lines"], shown["cutoff"]
    across = axis_for([b["x"] for b in bins], LEFT)
    upward = axis_for([b["y"] for b in bins] + [y for one in lines for _, y in one], BOTTOM, TOP)
    most = max(b["rows"] for b in bins)
    parts = [*horizontal(across, TOP, BOTTOM), *upright(upward),
             line(across.at(cutoff), TOP, across.at(cutoff), BOTTOM, "reference")]
    parts += [dot(across.at(b["x"]), upward.at(b["y"]), 1.5 + 2.5 * (b["rows"] / most) ** 0.5, "bin",
                  f"{figures(b['x'])}: mean {figures(b['y'])} of {count(b['rows'], 'row')}") for b in bins]
    parts += [through(across, upward, one, "whisker main") for one in lines]
    parts += [*frame(across, shown["running"], shown["outcome"]),
              _told("dots: means of rows; lines: fitted within the bandwidth")]
    (left, right) = (lines[0][-1][1], lines[1][0][1])
    said = (f"Means of {shown['outcome']} in bins of {shown['running']}. At the cutoff {figures(cutoff)} the left side "
            f"ends at {figures(left)} and the right side begins at {figures(right)}.")
    return picture(NOTE + 6, parts, "The jump at the cutoff", said)


def event_study(steps: Sequence[Mapping[str, Any]], level: float) -> str:
    """Effects by time since the start with their intervals, and the band that holds all of them together where it is
    known; those before the start should be zero."""
    across = axis_for([s["time"] for s in steps], LEFT)
    steps = sorted(steps, key=lambda s: s["time"])
    joint = [(s["time"], s["joint"]) for s in steps if s.get("joint")]
    ends = [v for s in steps for v in (s["low"], s["high"], 0.0)] + [v for _, pair in joint for v in pair]
    upward = axis_for(ends, BOTTOM, TOP)
    each = -(-len(steps) // 9)
    ticks = [s["time"] for s in steps if s["time"] % each == 0]
    parts = upright(upward)
    if len(joint) > 1:
        around = [(t, pair[1]) for t, pair in joint] + [(t, pair[0]) for t, pair in reversed(joint)]
        parts.append(through(across, upward, around, "band", closed=True))
    parts += [text(across.at(t), BOTTOM + 15, label, "tick middle")
              for t, label in zip(ticks, tick_labels(ticks), strict=True)]
    parts += [line(LEFT, upward.at(0.0), across.end, upward.at(0.0), "zero"),
              line(across.at(-0.5), TOP, across.at(-0.5), BOTTOM, "reference")]
    for s in steps:
        x, css = across.at(s["time"]), "main" if s["time"] >= 0 else ""
        parts.append(line(x, upward.at(s["low"]), x, upward.at(s["high"]), f"whisker {css}".strip()))
        parts.append(dot(x, upward.at(s["estimate"]), 3.4, f"estimate {css}".strip(),
                         f"{s['time']:+d}: {figures(s['estimate'])}, {level:.0%} interval {figures(s['low'])} to "
                         f"{figures(s['high'])}"))
    parts += frame(across, "periods since treatment started", "effect")
    after = [s for s in steps if s["time"] >= 0]
    said = (f"Effects by periods since the start, each with its {level:.0%} interval: {figures(after[0]['estimate'])} "
            f"at the start, {figures(after[-1]['estimate'])} after {count(after[-1]['time'], 'period')}."
            if after else "Effects by periods before the start.")
    said += f" The shaded band holds all of them together with {level:.0%}." if len(joint) > 1 else ""
    if len(joint) > 1:
        parts.append(_told(f"bars: {level:.0%} each; band: {level:.0%} together"))
    return picture(NOTE + 6 if len(joint) > 1 else BOTTOM + 40, parts, "Effects by time since the start", said)


def _told(words: str) -> str:
    """What the marks mean, below the axis."""
    return text(WIDTH - MARGIN, NOTE, words, "tick end", WIDTH - MARGIN, TICK)


def at_cutoff(figure: Mapping[str, Any]) -> str:
    """How many rows there are on both sides of the cutoff."""
    edges, counts = figure["edges"], figure["counts"]
    across, upward = Axis(edges[0], edges[-1], LEFT), Axis(0.0, 1.05 * max(*counts, 1), BOTTOM, TOP)
    parts = [*horizontal(across, TOP, BOTTOM), *upright(upward)]
    for k, size in enumerate(counts):
        x0, x1, y = across.at(edges[k]), across.at(edges[k + 1]), upward.at(size)
        side = "control" if edges[k + 1] <= 1e-12 else "treated"
        parts.append(box(x0 + 0.4, y, x1 - x0 - 0.8, BOTTOM - y, side, count(size, "row")))
    parts += [line(across.at(0.0), TOP, across.at(0.0), BOTTOM, "reference")]
    parts += frame(across, f"{figure['label']}, distance from the cutoff", "rows")
    middle = len(counts) // 2
    said = (f"Rows by distance from the cutoff: {count(counts[middle - 1], 'row')} in the bin just below, "
            f"{count(counts[middle], 'row')} in the one just above.")
    return picture(BOTTOM + 40, parts, "Rows around the cutoff", said)


def bandwidths(figure: Mapping[str, Any]) -> str:
    """The estimate and its interval by bandwidth."""
    curve = figure["curve"]
    across = axis_for([c["bandwidth"] for c in curve], LEFT)
    upward = axis_for([v for c in curve for v in (c["low"], c["high"], 0.0)], BOTTOM, TOP)
    parts = [*horizontal(across, TOP, BOTTOM), *upright(upward),
             line(LEFT, upward.at(0.0), across.end, upward.at(0.0), "zero")]
    for c in curve:
        x, css = across.at(c["bandwidth"]), "main" if abs(c["bandwidth"] - figure["chosen"]) < 1e-12 else ""
        parts.append(line(x, upward.at(c["low"]), x, upward.at(c["high"]), f"whisker {css}".strip()))
        parts.append(dot(x, upward.at(c["estimate"]), 3.4, f"estimate {css}".strip(),
                         f"bandwidth {figures(c['bandwidth'])}: {figures(c['estimate'])}"))
    parts += frame(across, "bandwidth", "jump")
    said = (f"The jump from {figures(curve[0]['estimate'])} at the narrowest bandwidth to "
            f"{figures(curve[-1]['estimate'])} at the widest; the one used is in colour.")
    return picture(BOTTOM + 40, parts, "The jump by bandwidth", said)


def before_the_start(figure: Mapping[str, Any]) -> str:
    """Effects before the start, which should be zero, and those after it where the method gives them."""
    half = 1.96  # for the eye; the test is joint
    return event_study([{"time": s["time"], "estimate": s["estimate"], "low": s["estimate"] - half * s["error"],
                         "high": s["estimate"] + half * s["error"]} for s in [*figure["before"], *figure["after"]]],
                       figure["level"])


KINDS = {"discontinuity": discontinuity, "double": double, "since": since, "interrupted": interrupted}
