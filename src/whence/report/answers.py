"""Answers that are more than one number, drawn: average outcomes by dose, effects by quantile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whence.estimation.effect import Comparison, Effect
from whence.report.axes import Axis, axis_for, dot, horizontal, line, path, picture
from whence.report.curves import BOTTOM, LEFT, TOP, frame, upright
from whence.report.numbers import figures, level


def answer_picture(effect: Effect) -> str:
    """The SVG of a curve of answers, or empty text where the answer is a number."""
    curve, quantiles = effect.diagnostics.get("curve"), effect.diagnostics.get("quantiles")
    if isinstance(curve, Mapping) and curve.get("kind") == "dose_response":
        return dose_response(curve, effect.diagnostics.get("average_outcomes", ()))
    if quantiles and len(effect.comparisons) == len(quantiles):
        first = quantiles[0]["comparison"]
        pairs = [(q["quantile"], c) for q, c in zip(quantiles, effect.comparisons, strict=True)
                 if q["comparison"] == first]
        return quantile_effects(sorted(pairs, key=lambda p: p[0]), effect) if len(pairs) > 1 else ""
    return ""


def dose_response(curve: Mapping[str, Any], compared: Sequence[Mapping[str, float]]) -> str:
    """The average outcome if everybody had each dose: the curve, its pointwise intervals and the band of all of it."""
    doses, outcomes = curve["dose"], curve["outcome"]
    share = level(curve["level"])
    across = axis_for([*doses, *(c["dose"] for c in compared)], LEFT)
    upward = axis_for([*curve["band_lower"], *curve["band_upper"], *(c["outcome"] for c in compared)], BOTTOM, TOP)
    around = [*zip(doses, curve["band_upper"], strict=True),
              *zip(doses[::-1], curve["band_lower"][::-1], strict=True)]
    parts = [path(_along(across, upward, around) + "Z", "band"), *horizontal(across, TOP, BOTTOM), *upright(upward)]
    parts += [path(_along(across, upward, list(zip(doses, curve[key], strict=True))), "whisker dashed")
              for key in ("lower", "upper")]
    parts.append(path(_along(across, upward, list(zip(doses, outcomes, strict=True))), "whisker main"))
    parts += [dot(across.at(c["dose"]), upward.at(c["outcome"]), 3.6, "estimate main",
                  f"{figures(c['dose'])}: {figures(c['outcome'])}, {share} interval {figures(c['lower'])} to "
                  f"{figures(c['upper'])}") for c in compared]
    parts += frame(across, curve["treatment"], f"average {curve['outcome_name']}")
    lowest, highest = (outcomes.index(end) for end in (min(outcomes), max(outcomes)))
    said = (f"The average {curve['outcome_name']} if everybody had each dose, from {figures(outcomes[0])} at "
            f"{figures(doses[0])} to {figures(outcomes[-1])} at {figures(doses[-1])}; lowest "
            f"{figures(outcomes[lowest])} at {figures(doses[lowest])}, highest {figures(outcomes[highest])} at "
            f"{figures(doses[highest])}. The shaded band holds the whole curve with {share} confidence, the dashed "
            "lines each point by itself.")
    return picture(BOTTOM + 40, parts, "The average outcome at each dose", said)


def quantile_effects(pairs: Sequence[tuple[float, Comparison]], effect: Effect) -> str:
    """Effects on the quantiles of the outcome: their intervals thick, the joint ones thin."""
    across = Axis(0.0, 1.0, LEFT)
    ends = [v for _, c in pairs for v in (*c.interval, *(c.joint_interval or c.interval))]
    upward = axis_for([*ends, 0.0], BOTTOM, TOP)
    parts = [*horizontal(across, TOP, BOTTOM, percent=True), *upright(upward),
             line(LEFT, upward.at(0.0), across.end, upward.at(0.0), "zero")]
    shown = [(q, c.estimate) for q, c in pairs]
    parts.append(path(_along(across, upward, shown), "level"))
    for q, c in pairs:
        x = across.at(q)
        if c.joint_interval is not None:
            parts.append(line(x, upward.at(c.joint_interval[0]), x, upward.at(c.joint_interval[1]), "whisker"))
        parts += [line(x, upward.at(c.interval[0]), x, upward.at(c.interval[1]), "whisker main"),
                  dot(x, upward.at(c.estimate), 3.6, "estimate main", f"{c.label}: {figures(c.estimate)}, "
                      f"{level(effect.level)} interval {figures(c.interval[0])} to {figures(c.interval[1])}")]
    parts += frame(across, f"quantile of {effect.spec.outcome}", "effect")
    said = ("Effects on the quantiles, each with its interval, and thinner the intervals that hold together: "
            + "; ".join(f"{c.label} {figures(c.estimate)} ({figures(c.interval[0])} to {figures(c.interval[1])})"
                        for _, c in pairs) + ".")
    return picture(BOTTOM + 40, parts, "Effects by quantile", said)


def _along(across: Axis, upward: Axis, points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{across.at(x):.1f} {upward.at(y):.1f}" for x, y in points)
