"""The figures of sensitivity: tipping points, gamma of matched pairs, and the curve of specifications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whence.report.axes import (
    MARGIN,
    TICK,
    WIDTH,
    Axis,
    axis_for,
    dot,
    fitted,
    horizontal,
    line,
    path,
    picture,
    safe,
    text,
    tick_labels,
)
from whence.report.numbers import count, figures, percent

LEFT, TOP, BOTTOM = 52.0, 12.0, 170.0


def tipping_point(figure: Mapping[str, Any]) -> str:
    """The effect on the outcome that a hidden cause needs, by how much more common it is among the treated."""
    estimate, limit, points = figure["estimate"], figure["limit"], figure["points"]
    high = 1.1 * max([3 * estimate, *(p["effect"] for p in points)])
    across, upward = Axis(0.0, 1.0, LEFT), Axis(0.0, high, BOTTOM, TOP)
    parts = [*horizontal(across, TOP, BOTTOM, percent=True), *upright(upward)]
    shares = [k / 100 for k in range(1, 101)]
    for size, css in ((estimate, "frontier"), (limit, "frontier dashed")):
        if size > 0:
            parts.append(_line(across, upward, [(d, size / d) for d in shares if size / d <= high], css))
    parts += [dot(across.at(p["difference"]), upward.at(p["effect"]), 3.6, "benchmark", f"{p['label']}: "
                  f"{percent(p['difference'])} more common, effect {figures(p['effect'])}") for p in points]
    parts += frame(across, "how much more common among the treated", "effect on the outcome")
    said = (f"A hidden cause on the upper curve brings the estimate to zero: half as common again, it needs an effect "
            f"of "
            f"{figures(estimate / 0.5)}; one on the dashed curve brings the interval to zero"
            + (f" ({figures(limit / 0.5)})" if limit > 0 else ", which holds zero as it is")
            + f". The controls stand at {count(len(points), 'point')}.")
    return picture(BOTTOM + 40, parts, "What hidden cause would tip the answer", said)


def rosenbaum(figure: Mapping[str, Any]) -> str:
    """The largest p-value by how far the odds of treatment may differ within pairs."""
    curve, alpha, gamma = figure["curve"], figure["alpha"], figure["gamma"]
    high = min(1.0, max(4 * alpha, max(p for _, p in curve)))
    across, upward = Axis(1.0, curve[-1][0], LEFT), Axis(0.0, high, BOTTOM, TOP)
    parts = [*horizontal(across, TOP, BOTTOM), *upright(upward)]
    parts.append(line(LEFT, upward.at(alpha), across.end, upward.at(alpha), "reference"))
    parts.append(_line(across, upward, [(g, p) for g, p in curve if p <= high], "frontier"))
    if across.holds(gamma) and gamma > 1:
        parts.append(dot(across.at(gamma), upward.at(alpha), 4, "estimate main", f"gamma {figures(gamma)}"))
    parts += frame(across, "odds of treatment within pairs differ up to this factor", "largest p-value")
    said = (f"The largest p-value a hidden cause could hide behind rises with gamma, the factor by which the odds of "
            f"treatment may differ within pairs; it passes {figures(alpha)} at {figures(gamma)}.")
    return picture(BOTTOM + 40, parts, "Sensitivity of the matched pairs", said)


def marginal_sensitivity(figure: Mapping[str, Any]) -> str:
    """The least and the greatest effect, and their intervals, by how far hidden causes shift the odds of treatment."""
    curve, gamma, strongest = figure["curve"], figure["gamma_interval"], figure["strongest"]
    ends = [c[key] for c in curve for key in ("interval_low", "interval_high")]
    across, upward = Axis(1.0, curve[-1]["gamma"], LEFT), axis_for([*ends, 0.0], BOTTOM, TOP)
    parts = [*horizontal(across, TOP, BOTTOM), *upright(upward)]
    around = [(c["gamma"], c["high"]) for c in curve] + [(c["gamma"], c["low"]) for c in reversed(curve)]
    parts.append(path("M" + "L".join(f"{across.at(x):.1f} {upward.at(y):.1f}" for x, y in around) + "Z", "band"))
    parts += [_line(across, upward, [(c["gamma"], c[key]) for c in curve], "frontier dashed")
              for key in ("interval_low", "interval_high")]
    parts += [_line(across, upward, [(c["gamma"], c[key]) for c in curve], "whisker main") for key in ("low", "high")]
    parts.append(line(LEFT, upward.at(0.0), across.end, upward.at(0.0), "zero"))
    if gamma > 1 and across.holds(gamma):
        parts.append(dot(across.at(gamma), upward.at(0.0), 4, "estimate main", f"factor {figures(gamma)}"))
    if strongest is not None and across.holds(figure["strongest_factor"]):
        x = across.at(figure["strongest_factor"])
        near = x > (LEFT + across.end) / 2
        parts += [line(x, TOP, x, BOTTOM, "reference"),
                  text(x - 4 if near else x + 4, TOP + 9, f"as {strongest}", "tick end" if near else "tick", 120.0)]
    parts += frame(across, "odds of treatment shift up to this factor", "effect")
    said = ("The range of effects that agree with the data widens with the factor by which hidden causes may shift the "
            "odds of treatment; between the dashed lines with their uncertainty. It starts at "
            f"{figures(curve[0]['low'])}; the interval "
            + (f"reaches zero at a factor of {figures(gamma)}." if gamma > 1 else "holds zero as it is."))
    return picture(BOTTOM + 40, parts, "Hidden causes and the odds of treatment", said)


def specification_curve(figure: Mapping[str, Any]) -> str:
    """Estimates of all specifications in order, with their intervals, and that with all controls."""
    estimates, low, high = figure["estimates"], figure["low"], figure["high"]
    upward = axis_for([*low, *high, 0.0], BOTTOM, TOP)
    across = Axis(0.0, max(len(estimates) - 1, 1), LEFT)
    parts = upright(upward)
    above = [(k, v) for k, v in enumerate(high)]
    below = [(k, v) for k, v in reversed(list(enumerate(low)))]
    shape = "M" + "L".join(f"{across.at(k):.1f} {upward.at(v):.1f}" for k, v in above + below) + "Z"
    parts += [path(shape, "band"), line(LEFT, upward.at(0.0), across.end, upward.at(0.0), "zero"),
              _line(across, upward, list(enumerate(estimates)), "whisker main"),
              line(LEFT, upward.at(figure["full"]), across.end, upward.at(figure["full"]), "reference"),
              text(across.end, upward.at(figure["full"]) - 5, "all controls", "tick end"),
              text((LEFT + across.end) / 2, BOTTOM + 18, f"{count(figure['specifications'], 'specification')}, in "
                                                         f"order of "
                   "their estimates", "tick middle")]
    said = (f"{count(figure['specifications'], 'estimate')} in order, from {figures(estimates[0])} to "
            f"{figures(estimates[-1])}, each with its interval; with all controls it is {figures(figure['full'])}.")
    return picture(BOTTOM + 26, parts, "The estimate under many choices of controls", said)


def upright(axis: Axis, left: float = LEFT) -> list[str]:
    """Faint horizontal lines at the ticks of an upward axis, and their labels."""
    ticks = axis.ticks(4)
    parts = [line(left, axis.at(t), WIDTH - MARGIN, axis.at(t), "grid") for t in ticks]
    return parts + [text(left - 6, axis.at(t) + 4, label, "tick end")
                    for t, label in zip(ticks, tick_labels(ticks), strict=True)]


def frame(across: Axis, below: str, beside: str) -> list[str]:
    """The two base lines and what they measure."""
    middle, words = (TOP + BOTTOM) / 2, safe(fitted(beside, BOTTOM - TOP, TICK))
    return [line(LEFT, BOTTOM, across.end, BOTTOM, "base"), line(LEFT, TOP, LEFT, BOTTOM, "base"),
            text((LEFT + across.end) / 2, BOTTOM + 33, below, "tick middle", across.end - LEFT, TICK),
            f'<text class="tick middle" transform="translate(10 {middle:.0f}) rotate(-90)">{words}</text>']


def _line(across: Axis, upward: Axis, points: Sequence[tuple[float, float]], css: str) -> str:
    if len(points) < 2:
        return ""
    return path("M" + "L".join(f"{across.at(x):.1f} {upward.at(y):.1f}" for x, y in points), css)
