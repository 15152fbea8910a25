"""The drawing of everybody's effect, from the smallest to the largest, with a band of intervals."""

from __future__ import annotations

import numpy as np

from whence.estimation.heterogeneity.people import Conditional
from whence.report.axes import Axis, axis_for, horizontal, line, path, picture
from whence.report.curves import BOTTOM, LEFT, TOP, frame, upright
from whence.report.numbers import count, level, scale

POINTS = 200  # people drawn


def sorted_effects(found: Conditional) -> str:
    """The SVG element: fitted effects in rising order; where the method has intervals, each person's as a band.

    Some of the largest and smallest are so by chance: the band is of single people, not of the order.
    """
    order = np.argsort(found.effects, kind="stable")
    places = np.unique(np.linspace(0, found.n - 1, POINTS).round().astype(int))
    shares = ((places + 0.5) / found.n).tolist()
    middle = found.effects[order][places]
    ends = np.empty((0, 2)) if found.intervals is None else found.intervals[order][places]
    ends = ends[np.isfinite(ends).all(axis=1)] if len(ends) else ends
    across = Axis(0.0, 1.0, LEFT)
    upward = axis_for([*middle.tolist(), *ends.ravel().tolist(), 0.0], BOTTOM, TOP)
    parts = [*horizontal(across, TOP, BOTTOM, percent=True), *upright(upward)]
    if len(ends) == len(places):
        around = [*zip(shares, ends[:, 1].tolist(), strict=True),
                  *zip(shares[::-1], ends[::-1, 0].tolist(), strict=True)]
        parts.append(path(_through(across, upward, around) + "Z", "band"))
    average = found.average.estimate
    parts += [line(LEFT, upward.at(0.0), across.end, upward.at(0.0), "zero"),
              line(LEFT, upward.at(average), across.end, upward.at(average), "reference"),
              path(_through(across, upward, list(zip(shares, middle.tolist(), strict=True))), "whisker main")]
    written = scale(found.average.standard_error, [average])
    said = (f"Fitted effects of {count(found.n, 'person', 'people')}, from the smallest to the largest; the straight "
            f"line is their average, {written.number(average)} ({written.interval(found.average.interval)})."
            + (f" The shaded band holds the {level(found.level)} intervals of single people." if len(ends) else ""))
    return picture(BOTTOM + 40, [*parts, *frame(across, "share of people, smallest effect first", "effect")],
                   "Everybody's effect, sorted", said)


def _through(across: Axis, upward: Axis, points: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{across.at(x):.1f} {upward.at(y):.1f}" for x, y in points)
