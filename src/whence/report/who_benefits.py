"""Drawings of who benefits: the order's curve, sorted groups, levels of a column, and the tree of whom to treat."""

from __future__ import annotations

from collections.abc import Sequence

from whence.core.errors import WhenceError
from whence.estimation.effect import Comparison
from whence.estimation.heterogeneity.groups import Groups, Levels
from whence.estimation.heterogeneity.policy import Policy
from whence.estimation.heterogeneity.policy_tree import Leaf, Node, condition
from whence.estimation.heterogeneity.rate import Curve, Rate
from whence.estimation.heterogeneity.uplift import Uplift
from whence.graphs.svg import text_width
from whence.report.axes import (
    LABEL,
    MARGIN,
    TICK,
    WIDTH,
    Axis,
    axis_for,
    box,
    dot,
    horizontal,
    line,
    path,
    picture,
    text,
)
from whence.report.curves import BOTTOM, LEFT, TOP, frame, upright
from whence.report.numbers import count, figures, level, percent, scale

DOWN = 88.0  # from a question to the next

Drawn = Rate | Uplift | Groups | Levels | Policy


def draw(found: Drawn) -> str:
    """The SVG element of a result about who benefits, in the style of a report's page.

    Raises ``WhenceError`` (``no_drawing``) for anything else, such as a refusal.
    """
    for kind, made in KINDS.items():
        if isinstance(found, kind):
            return made(found)
    raise WhenceError(f"There is no drawing of {type(found).__name__!r}.", code="no_drawing",
                      value=type(found).__name__, allowed=tuple(kind.__name__ for kind in KINDS))


def toc(found: Rate) -> str:
    """Effect of the first share of people less that of all, with the band that holds the whole curve."""
    written = scale(found.autoc.standard_error, [found.autoc.estimate])
    said = (f"Average effect of the people ranked first, less that of all {count(found.n, 'person', 'people')} ranked, "
            f"by the share of people. The area under the curve (AUTOC) is {written.number(found.autoc.estimate)} "
            f"({written.interval(found.autoc.interval)}). The shaded band holds the whole curve at "
            f"{level(found.level)}.")
    return _curve(found.toc, "share of people, highest priority first", "effect above average",
                  "Effects of those ranked first", said)


def gain(found: Uplift) -> str:
    """Gain by the share treated; the straight line is treating the same share by chance."""
    written = scale(found.everybody.standard_error, [found.everybody.estimate])
    said = (f"Gain per person of the whole group, over treating nobody, when the first share of people is treated. "
            f"Treating everybody gains {written.number(found.everybody.estimate)} "
            f"({written.interval(found.everybody.interval)}); the straight line is treating by chance. The curve is "
            f"highest at {percent(found.best_share)} treated.")
    return _curve(found.gain, "share of people treated", "gain per person", "Gain by the share treated", said,
                  found.everybody.estimate)


def _curve(
    shown: Curve, below: str, beside: str, title: str, said: str, chance: float | None = None
) -> str:
    """A curve with its joint band. chance: where the straight line from zero ends, if there is one."""
    start = 0 if chance is not None else 4  # the mean of the first few people jumps too far to be drawn
    shares, kept = shown.share[start:].tolist(), slice(start, None)
    low, high = shown.joint_low[kept].tolist(), shown.joint_high[kept].tolist()
    values = shown.value[kept].tolist()
    across, upward = Axis(0.0, 1.0, LEFT), axis_for([*low, *high, 0.0], BOTTOM, TOP)
    around = [*zip(shares, high, strict=True), *zip(shares[::-1], low[::-1], strict=True)]
    middle = list(zip(shares, values, strict=True))
    if chance is not None:
        around, middle = [(0.0, 0.0), *around], [(0.0, 0.0), *middle]
    parts = [*horizontal(across, TOP, BOTTOM, percent=True), *upright(upward),
             path(_through(across, upward, around) + "Z", "band"),
             line(LEFT, upward.at(0.0), across.end, upward.at(0.0), "zero")]
    if chance is not None:
        parts.append(line(LEFT, upward.at(0.0), across.end, upward.at(chance), "reference"))
    parts.append(path(_through(across, upward, middle), "whisker main"))
    return picture(BOTTOM + 40, [*parts, *frame(across, below, beside)], title, said)


def _through(across: Axis, upward: Axis, points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{across.at(x):.1f} {upward.at(y):.1f}" for x, y in points)


def sorted_groups(found: Groups) -> str:
    """The groups' effects from the least to the most affected, with joint intervals."""
    gap = found.top_against_bottom
    written = scale(gap.standard_error, [gap.estimate])
    said = (f"Effects of {len(found.groups)} groups, sorted by effects fitted without them, with joint "
            f"{level(found.level)} intervals. The most affected group has {written.number(gap.estimate)} "
            f"({written.interval(gap.interval)}) more than the least."
            + ("" if found.in_order else " The groups' effects do not rise with the fitted ones."))
    labels = [str(k + 1) for k in range(len(found.groups))]
    return _upright_bars(found.groups, labels, "group, least to most affected", "Effects of sorted groups", said)


def _upright_bars(shown: Sequence[Comparison], labels: Sequence[str], below: str, title: str, said: str) -> str:
    ends = [_joint(c) for c in shown]
    upward = axis_for([0.0, *(v for pair in ends for v in pair)], BOTTOM, TOP)
    step = (WIDTH - MARGIN - LEFT) / len(shown)
    parts = [*upright(upward), line(LEFT, upward.at(0.0), WIDTH - MARGIN, upward.at(0.0), "zero")]
    for k, (c, (low, high), label) in enumerate(zip(shown, ends, labels, strict=True)):
        x = LEFT + step * (k + 0.5)
        written = scale(c.standard_error, [c.estimate])
        note = f"{c.label}: {written.number(c.estimate)} ({written.interval((low, high))})"
        parts += [line(x, upward.at(low), x, upward.at(high), "whisker main"),
                  *(line(x - 5, upward.at(v), x + 5, upward.at(v), "whisker main") for v in (low, high)),
                  dot(x, upward.at(c.estimate), 4.2, "estimate main", note),
                  text(x, BOTTOM + 15, label, "tick middle", step - 4, TICK)]
    across = Axis(0.0, 1.0, LEFT)
    return picture(BOTTOM + 40, [*parts, *frame(across, below, "effect")], title, said)


def levels(found: Levels) -> str:
    """The effect in each level of a column, one above the other, with joint intervals."""
    ends = [_joint(c) for c in found.levels]
    side = min(max(text_width(c.label, LABEL) for c in found.levels), 150.0)
    across = axis_for([0.0, *(v for pair in ends for v in pair)], start=side + 16)
    step, top = 24.0, 4.0
    bottom = top + step * len(ends)
    x = across.at(0.0)
    parts = [*horizontal(across, top, bottom, about=4), line(x, top, x, bottom, "zero")]
    for k, (c, (low, high)) in enumerate(zip(found.levels, ends, strict=True)):
        y = top + step * (k + 0.5)
        written = scale(c.standard_error, [c.estimate])
        note = f"{c.label}: {written.number(c.estimate)} ({written.interval((low, high))})"
        parts += [text(0, y + 4, c.label, "label", 150.0), line(across.at(low), y, across.at(high), y, "whisker main"),
                  dot(across.at(c.estimate), y, 4.2, "estimate main", note)]
    said = (f"Effect within each of {count(len(ends), 'level')} of {found.column}, with joint {level(found.level)} "
            "intervals: " + "; ".join(f"{c.label} {figures(c.estimate)}" for c in found.levels) + ".")
    return picture(bottom + 22, parts, f"Effects by {found.column}", said)


def _joint(c: Comparison) -> tuple[float, float]:
    return c.joint_interval or c.interval


def policy_tree(found: Policy) -> str:
    """The tree: a question in each upper box, who is treated in the lower ones with their share of people."""
    deep = _depth(found.tree)
    parts: list[str] = []
    bottom = 12.0 + DOWN * deep + 44.0
    _branch(found.tree, 0.0, WIDTH, 12.0, found, parts)
    said = f"{found.rule} The rule treats {percent(found.share)} of the people."
    return picture(bottom + 6, parts, "Whom to treat", said)


def _depth(tree: Node) -> int:
    return 0 if isinstance(tree, Leaf) else 1 + max(_depth(tree.low), _depth(tree.high))


def _branch(tree: Node, left: float, right: float, top: float, found: Policy, parts: list[str]) -> None:
    """Draws ``tree`` between two sides from ``top`` on; lines are drawn before what they join."""
    middle, room = (left + right) / 2, min(right - left - 6, 210.0)
    if isinstance(tree, Leaf):
        css = "treated" if tree.treat else "control"
        note = f"{percent(tree.share)} of people, gain when treated {figures(tree.gain)} among those it was fitted to"
        parts += [box(middle - 38, top, 76, 4, css, note),
                  text(middle, top + 20, "treat" if tree.treat else "do not", "label strong middle", room),
                  text(middle, top + 36, percent(tree.share), "tick middle")]
        return
    down, halves = top + DOWN, ((left, middle), (middle, right))
    low_first = tree.column not in found.switches  # of a switch it is asked whether it is on
    sides = (tree.low, tree.high) if low_first else (tree.high, tree.low)
    for side, answer, (a, b) in zip(sides, ("yes", "no"), halves, strict=True):
        x = (a + b) / 2
        parts += [line(middle, top + 39, x, down - 6, "link"),
                  text((middle + x) / 2 + (-8 if answer == "yes" else 8), (top + down + 34) / 2, answer,
                       "tick end" if answer == "yes" else "tick")]
        _branch(side, a, b, down, found, parts)
    name, words = condition(tree, low_first, found.units, found.switches)
    parts += [text(middle, top + 14, name, "label strong middle", room),
              text(middle, top + 30, f"{words}?", "label middle", room)]


KINDS = {Rate: toc, Uplift: gain, Groups: sorted_groups, Levels: levels, Policy: policy_tree}
