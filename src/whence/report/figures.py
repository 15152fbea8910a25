"""The figure of a check, from its data: one SVG element, or nothing for data of an unknown kind."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from whence.graphs.svg import text_width
from whence.report import curves, designs, grid, rows
from whence.report.axes import (
    LABEL,
    MARGIN,
    TICK,
    WIDTH,
    Axis,
    box,
    dot,
    horizontal,
    line,
    path,
    picture,
    text,
    tick_labels,
)
from whence.report.numbers import count, figures, listed, percent


def draw(figure: Mapping[str, Any]) -> str:
    """The SVG of ``Check.figure``; empty text when there is none or its kind is unknown."""
    made = KINDS.get(str(figure.get("kind")))
    return made(figure) if made is not None else ""


def overlap(figure: Mapping[str, Any]) -> str:
    """Probability of treatment in both groups: the treated grow upwards, the others downwards."""
    edges, up, down = figure["edges"], figure["treated"], figure["control"]
    totals = (sum(up) or 1, sum(down) or 1)
    highest = max([c / totals[0] for c in up] + [c / totals[1] for c in down]) or 1.0
    axis = Axis(edges[0], edges[-1])
    top, reach, middle = 24.0, 74.0, 24.0 + 74.0
    bottom = middle + reach + 4
    parts = horizontal(axis, top, bottom)
    for counts, total, way, css in ((up, totals[0], -1, "treated"), (down, totals[1], 1, "control")):
        for k, size in enumerate(counts):
            if size:
                tall = max(size / total / highest * reach, 0.8)
                x0, x1 = axis.at(edges[k]), axis.at(edges[k + 1])
                note = f"{css}, {figures(edges[k])} to {figures(edges[k + 1])}: {count(size, 'row')}"
                parts.append(box(x0 + 0.5, middle - tall if way < 0 else middle, x1 - x0 - 1, tall, css, note))
    parts.append(line(axis.start, middle, axis.end, middle, "base"))
    parts += [box(0, 4, 11, 11, "treated"), text(17, 14, f"treated, {count(sum(up), 'row')} (up)", "label"),
              box(190, 4, 11, 11, "control"),
              text(207, 14, f"others, {count(sum(down), 'row')} (down)", "label"),
              text(WIDTH / 2, bottom + 33, "probability of treatment, given the controls", "tick middle")]
    said = (f"Two histograms of the probability of treatment. {_where('treated', edges, up)} "
            f"{_where('others', edges, down)}")
    return picture(bottom + 40, parts, "Overlap of the two groups", said)


def _where(who: str, edges: list[float], counts: list[int]) -> str:
    """The middle half of a histogram, in words."""
    total = sum(counts)
    if not total:
        return f"There are no {who}."
    passed = list(itertools.accumulate(counts))
    first, last = (next(k for k, size in enumerate(passed) if size >= share * total) for share in (0.25, 0.75))
    return f"Half of the {who} lie between about {figures(edges[first])} and {figures(edges[last + 1])}."


def placebo(figure: Mapping[str, Any]) -> str:
    """Estimates under shuffled treatments, and the real one."""
    edges, counts, actual = figure["edges"], figure["counts"], figure["actual"]
    axis = Axis(edges[0], edges[-1])
    top, bottom, highest = 26.0, 130.0, max(counts) or 1
    parts = horizontal(axis, top, bottom)
    for k, size in enumerate(counts):
        if size:
            tall = max(size / highest * (bottom - top - 4), 0.8)
            x0, x1 = axis.at(edges[k]), axis.at(edges[k + 1])
            note = f"{figures(edges[k])} to {figures(edges[k + 1])}: {count(size, 'shuffle')}"
            parts.append(box(x0 + 0.5, bottom - tall, x1 - x0 - 1, tall, "control", note))
    x, words = axis.at(actual), "the real treatment"
    half = text_width(words, LABEL) / 2
    parts += [line(axis.start, bottom, axis.end, bottom, "base"), line(x, top - 6, x, bottom, "actual"),
              text(min(max(x, half + MARGIN), WIDTH - half - MARGIN), top - 12, words, "label strong middle"),
              text(WIDTH / 2, bottom + 33, "estimate under shuffled treatments", "tick middle")]
    said = (f"A histogram of {count(sum(counts), 'estimate')} under shuffled treatments, from {figures(edges[0])} to "
            f"{figures(edges[-1])}. The real treatment gives {figures(actual)}.")
    return picture(bottom + 40, parts, "Shuffled treatments", said)


def contour(figure: Mapping[str, Any]) -> str:
    """How strong a hidden cause would have to be, with the controls as yardsticks."""
    curve, points = figure["zero"], figure["points"]
    rv = figure["robustness_value"]
    once = [p for p in points if p.get("times", 1) == 1]
    right, high = (min(1.0, 1.15 * max([2 * rv, *(p[share] for p in once)]) or 0.1)
                   for share in ("treatment_r2", "outcome_r2"))
    left, top, bottom = 52.0, 10.0, 210.0
    across, upward = Axis(0.0, right, left), Axis(0.0, high, bottom, top)
    parts = horizontal(across, top, bottom, percent=True)
    parts += _upright(upward, left)
    for level in figure.get("levels", ()):
        parts += _level(level, right, high, across, upward)
    reached = _inside(figure.get("interval", ()), right, high)
    if len(reached) > 1:
        parts.append(path("M" + "L".join(f"{across.at(x):.1f} {upward.at(y):.1f}" for x, y in reached),
                          "frontier dashed"))
    frontier = _inside(curve, right, high)
    if len(frontier) > 1:
        d = "M" + "L".join(f"{across.at(x):.1f} {upward.at(y):.1f}" for x, y in frontier)
        parts += [path(f"{d}V{top:.1f}H{across.at(frontier[0][0]):.1f}Z", "danger"), path(d, "frontier"),
                  text(across.end - 6, top + 16, "would bring the estimate to zero", "tick end")]
    near = sorted(once, key=lambda p: (-p["treatment_r2"] * p["outcome_r2"], p["label"]))
    for p in reversed(near):
        x, y = across.at(p["treatment_r2"]), upward.at(p["outcome_r2"])
        parts.append(dot(x, y, 3.6, "benchmark", f"{p['label']}: {percent(p['treatment_r2'])} of the treatment, "
                         f"{percent(p['outcome_r2'])} of the outcome"))
    parts += _point_labels(near[:4], across, upward)
    parts += [line(left, bottom, across.end, bottom, "base"), line(left, top, left, bottom, "base"),
              text((left + across.end) / 2, bottom + 33, "share of the treatment it would explain", "tick middle"),
              f'<text class="tick middle" transform="translate(12 {(top + bottom) / 2:.0f}) rotate(-90)">'
              "share of the outcome</text>"]
    said = ("Thin lines join hidden causes that leave the same estimate; above the dashed line the interval holds "
            "zero. "
            if figure.get("levels") else "")
    said += (f"A hidden cause above the curve would bring the estimate to zero; on the diagonal that takes "
            f"{percent(rv)} of both. As strong as a control it would stand at one of {count(len(once), 'point')}: "
            + listed([f"{p['label']} {percent(p['treatment_r2'])} and {percent(p['outcome_r2'])}" for p in near]) + ".")
    return picture(bottom + 40, parts, "How strong a hidden cause would have to be", said)


def _level(level: Mapping[str, Any], right: float, high: float, across: Axis, upward: Axis) -> list[str]:
    """The confounders that leave this estimate: a thin line with its value where it crosses the picture's diagonal."""
    shown = _inside(level["curve"], right, high)
    if len(shown) < 2:
        return []
    x, y = min(shown, key=lambda p: abs(p[0] / right - p[1] / high))
    return [path("M" + "L".join(f"{across.at(u):.1f} {upward.at(v):.1f}" for u, v in shown), "level"),
            text(across.at(x), upward.at(y) + 4, figures(level["estimate"]), "tick middle")]


def _inside(curve: Sequence[Sequence[float]], right: float, high: float) -> list[tuple[float, float]]:
    """The falling curve within the picture, cut where it comes in from above."""
    found: list[tuple[float, float]] = []
    before: Sequence[float] | None = None
    for x, y in curve:
        if x > right:
            break
        if y <= high:
            if not found and before is not None and before[1] > y:
                found.append((before[0] + (x - before[0]) * (before[1] - high) / (before[1] - y), high))
            found.append((x, y))
        before = [x, y]
    return found


def _upright(axis: Axis, left: float) -> list[str]:
    ticks = axis.ticks(4)
    marks = [line(left, axis.at(t), WIDTH - MARGIN, axis.at(t), "grid") for t in ticks]
    labels = tick_labels(ticks, percent=True)
    return marks + [text(left - 6, axis.at(t) + 4, label, "tick end")
                    for t, label in zip(ticks, labels, strict=True)]


def _point_labels(points: list[Mapping[str, Any]], across: Axis, upward: Axis) -> list[str]:
    """Names beside the strongest points; a name that would cover another is left to its tooltip."""
    parts: list[str] = []
    taken: list[tuple[float, float, float]] = []
    for p in points:
        x, y = across.at(p["treatment_r2"]), upward.at(p["outcome_r2"])
        label = str(p["label"])
        wide = min(text_width(label, TICK), 140.0)
        before = x + 8 + wide > across.end
        x0 = x - 8 - wide if before else x + 8
        if any(abs(y - v) < 13 and x0 < u + w and u < x0 + wide for u, v, w in taken):
            continue
        taken.append((x0, y, wide))
        parts.append(text(x - 8 if before else x + 8, y + 4, label, "tick end" if before else "tick", 140.0, TICK))
    return parts


KINDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "overlap": overlap, "balance": rows.balance, "dropped": rows.dropped, "placebo": placebo, "contour": contour,
    "tipping_point": curves.tipping_point, "rosenbaum": curves.rosenbaum,
    "marginal_sensitivity": curves.marginal_sensitivity,
    "specification_curve": curves.specification_curve, "histogram_at_cutoff": designs.at_cutoff,
    "honest_trends": grid.honest_trends, "bandwidths": designs.bandwidths, "event_study": designs.before_the_start,
}
