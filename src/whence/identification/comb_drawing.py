"""The cut drawn as a string diagram, before and after: boxes, their wires, and the comb around the treatment.

Time runs from left to right. A box makes one variable; its wire leaves below, runs to the right and branches, at a
dot, up into every box that it feeds. The shaded comb holds the boxes that share hidden causes with the treatment.

Source: Jacobs, Kissinger, Zanasi (2019), Causal inference by string diagram surgery, sections 6 and 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from whence.core.hashing import content_hash
from whence.graphs.bits import closure, ones
from whence.graphs.classes import ADMG
from whence.graphs.svg import LINE, graph_style, plain_xml, text_width, wrapped

MARGIN, GAP, RAIL = 14.0, 26.0, 15.0
SPINE, TOP = 26.0, 66.0  # height of the comb's back; where boxes begin
ROOM = 34.0  # from the boxes down to the first wire: space for the cut, and for the end of what is discarded
PAD = 10.0

STYLE = """
.whence-comb .wire{stroke:var(--line);fill:none;stroke-width:1.5}
.whence-comb .wire.set{stroke:var(--treatment);stroke-width:2.2}
.whence-comb .dot{fill:var(--line)}.whence-comb .dot.set{fill:var(--treatment)}
.whence-comb .comb{fill:var(--adjusted-fill);stroke:var(--adjusted);stroke-width:1.3;stroke-linejoin:round}
.whence-comb .hidden{stroke:var(--soft);fill:none;stroke-width:1.3;stroke-dasharray:4 3}
.whence-comb .box{fill:var(--paper);stroke:var(--line);stroke-width:1.3}
.whence-comb .cut{stroke:var(--excluded);fill:none;stroke-width:2.4;stroke-linecap:round}
.whence-comb .cutname{fill:var(--excluded);font-size:11px;text-anchor:start}
.whence-comb .left{text-anchor:start}.whence-comb .small{font-size:11px}
.whence-comb .head{fill:var(--ink);font-size:13px;font-weight:600;text-anchor:start}
"""


@dataclass(frozen=True)
class Diagram:
    """What is drawn. graph: over the measured ancestors of the outcome, its nodes in causal order.

    outer: the treatment and what shares hidden causes with it.
    """

    graph: ADMG
    treatment: str
    outcome: tuple[str, ...]
    outer: tuple[str, ...]

    def feeds(self, name: str) -> list[str]:
        """The boxes that the wire of ``name`` enters, in order."""
        below = self.graph.bits.set_of(self.graph.bits.children[self.graph.bits.rank[name]])
        return [other for other in self.graph.names if other in below]

    def districts(self) -> list[list[str]]:
        """The other groups of two boxes or more that share hidden causes."""
        bits, left, found = self.graph.bits, self.graph.bits.bits_of(set(self.graph.names) - set(self.outer)), []
        for k in range(len(bits.names)):
            group = closure(bits.spouses, 1 << k) if left >> k & 1 else 0
            left &= ~group
            if len(ones(group)) > 1:
                members = bits.set_of(group)
                found.append([name for name in self.graph.names if name in members])
        return found


@dataclass(frozen=True)
class _Place:
    """Where boxes and wires lie. left, width: per box. tall: of every box. lane: per box the height of its wire."""

    left: dict[str, float]
    width: dict[str, float]
    tall: float
    lane: dict[str, float]
    feed: float
    right: float
    bottom: float

    def input(self, diagram: Diagram, source: str, target: str) -> float:
        """Where the wire of ``source`` enters ``target``: the later causes further to the left."""
        inputs = [name for name in diagram.graph.names if target in diagram.feeds(name)]
        return self.left[target] + self.width[target] * (inputs.index(source) + 1) / (len(inputs) + 2)

    def output(self, diagram: Diagram, name: str) -> float:
        count = sum(name in diagram.feeds(other) for other in diagram.graph.names)
        return self.left[name] + self.width[name] * (count + 1) / (count + 2)


def draw(diagram: Diagram) -> str:
    """The two pictures, before and after the cut, as one SVG element."""
    before, width, height = _picture(diagram, after=False, at=26.0)
    after, other, end = _picture(diagram, after=True, at=height + 34.0)
    heading = f"After: {_short(diagram.treatment)} is set from outside, what made it is discarded"
    parts = [_text(MARGIN, 16, "Before: the wire to be cut", "head"), *before,
             _text(MARGIN, height + 24.0, heading, "head"), *after]
    legend, wide = _legend(diagram, end + 12)
    title = f"The cut that gives the effect of {diagram.treatment} on {', '.join(diagram.outcome)}"
    wide = max(width, other, wide, text_width(heading) * 1.1)
    return _page(diagram, title, wide + MARGIN, end + 28, [*parts, *legend])


def _picture(diagram: Diagram, after: bool, at: float) -> tuple[list[str], float, float]:
    place = _place(diagram, after, at)
    parts = [_comb(diagram, place, at), *_hidden(diagram, place, at)]
    for name in diagram.graph.names:
        parts += _wire(diagram, place, name, after)
    for name in diagram.graph.names:
        parts.append(_box(diagram, place, name, at))
    parts += _source(diagram, place) if after else _scissors(diagram, place)
    return parts, place.right, place.bottom


def _place(diagram: Diagram, after: bool, at: float) -> _Place:
    left, width, x, feed = {}, {}, MARGIN + PAD, 0.0
    lines = {name: wrapped(name) for name in diagram.graph.names}
    tall = 16.0 + LINE * max(map(len, lines.values()))
    for name in diagram.graph.names:
        inputs = sum(name in diagram.feeds(other) for other in diagram.graph.names)
        text = max(text_width(line) for line in lines[name]) * 1.07
        left[name], width[name] = x, max(text + 20, 16.0 * (inputs + 2), 44.0)
        x += width[name] + GAP
        if name == diagram.treatment and after:
            feed = x
            x += _feed_width(diagram) + GAP
    end = x - GAP + PAD
    lanes: list[float] = []  # where each lane is free again
    lane: dict[str, float] = {}
    first = [diagram.treatment, *(name for name in diagram.graph.names if name != diagram.treatment)]
    for name in first:
        reach = end if name in diagram.outcome else left[diagram.feeds(name)[-1]] + width[diagram.feeds(name)[-1]]
        free = next((k for k, until in enumerate(lanes) if until < left[name] - 4 and k), None) if lanes else None
        if free is None:
            free = len(lanes)
            lanes.append(0.0)
        lanes[free] = reach
        lane[name] = at + TOP + tall + ROOM + RAIL * free
    labels = max(text_width(_short(name)) for name in diagram.outcome)
    return _Place(left, width, tall, lane, feed, end + 26 + labels, at + TOP + tall + ROOM + RAIL * len(lanes))


def _feed_width(diagram: Diagram) -> float:
    return max(text_width(line) for line in _feed_lines(diagram)) + 26


def _feed_lines(diagram: Diagram) -> list[str]:
    name = wrapped(diagram.treatment)
    return [f"set {name[0]}"] if len(name) == 1 else ["set", *name]


def _comb(diagram: Diagram, place: _Place, at: float) -> str:
    """The outline: a back above all boxes from the first to the last outer one, and a tooth around each of them."""
    names = [name for name in diagram.graph.names if name in diagram.outer]
    start, end = place.left[names[0]] - PAD, place.left[names[-1]] + place.width[names[-1]] + PAD
    back, low = at + TOP - PAD - 18, at + TOP + place.tall + 8
    path = [f"M{start:.1f} {at + 6:.1f}H{end:.1f}"]
    teeth: list[list[float]] = []  # left and right end; boxes side by side share one
    for name in names:
        left, right = place.left[name] - PAD, place.left[name] + place.width[name] + PAD
        if teeth and left - teeth[-1][1] < GAP / 2:
            teeth[-1][1] = right
        else:
            teeth.append([left, right])
    path += [f"H{right:.1f}V{low:.1f}H{left:.1f}V{back:.1f}" for left, right in reversed(teeth)]
    label = "hidden causes" if len(names) > 1 else ""
    middle = (start + end) / 2
    shown = _text(middle, at + 6 + (back - at) / 2, label, "small") if label else ""
    return f'<path class="comb" d="{"".join(path)}Z"/>{shown}'


def _hidden(diagram: Diagram, place: _Place, at: float) -> list[str]:
    """A dashed bracket over every other group of boxes that share hidden causes."""
    parts = []
    for k, group in enumerate(diagram.districts()):
        height = at + TOP - 5 - 4 * (k % 3)
        middles = [place.left[name] + place.width[name] / 2 for name in group]
        ticks = "".join(f"M{x:.1f} {height:.1f}V{at + TOP:.1f}" for x in middles)
        said = plain_xml(f"hidden causes of {', '.join(group)}")
        parts.append(f'<path class="hidden" d="M{middles[0]:.1f} {height:.1f}H{middles[-1]:.1f}{ticks}">'
                     f"<title>{said}</title></path>")
    return parts


def _box(diagram: Diagram, place: _Place, name: str, at: float) -> str:
    role = "treatment" if name == diagram.treatment else "outcome" if name in diagram.outcome else "box"
    look = f'class="node {role}" stroke="var(--{role})" fill="var(--{role}-fill)"' if role != "box" else 'class="box"'
    y, lines = at + TOP, wrapped(name)
    middle = place.left[name] + place.width[name] / 2
    start = y + place.tall / 2 + 4.5 - LINE * (len(lines) - 1) / 2
    words = "".join(_text(middle, start + LINE * k, line, "strong" if role != "box" else "") for k, line in
                    enumerate(lines))
    return (f'<g><title>{plain_xml(name)}</title><rect {look} x="{place.left[name]:.1f}" y="{y:.1f}" rx="3" '
            f'width="{place.width[name]:.1f}" height="{place.tall:.1f}"/>{words}</g>')


def _wire(diagram: Diagram, place: _Place, name: str, after: bool) -> list[str]:
    """From the box down, along its lane, and up into each box it feeds; an outcome's runs out at the right."""
    is_set = name == diagram.treatment
    css = " set" if is_set else ""
    floor, lane = place.lane[diagram.treatment] - ROOM, place.lane[name]
    start, above = place.output(diagram, name), floor
    parts = []
    if is_set and after:
        parts.append(_ground(start, floor))
        if name in diagram.outcome:
            return parts
        start, above = place.feed + _feed_width(diagram) / 2, floor
    ends = [place.input(diagram, name, target) for target in diagram.feeds(name)]
    out = place.right - 22 - max(text_width(_short(other)) for other in diagram.outcome)
    reach = out if name in diagram.outcome else ends[-1]
    up = "".join(f"M{x:.1f} {lane:.1f}V{floor:.1f}" for x in ends)
    path = f"M{start:.1f} {above:.1f}V{lane:.1f}H{reach:.1f}{up}"
    parts.append(f'<path class="wire{css}" d="{path}"><title>{plain_xml(name)}</title></path>')
    branches = ends if name in diagram.outcome else ends[:-1]
    parts += [f'<circle class="dot{css}" cx="{x:.1f}" cy="{lane:.1f}" r="3"/>' for x in branches]
    if name in diagram.outcome:
        parts.append(_text(out + 5, lane + 4, _short(name), "left strong small"))
    return parts


def _ground(x: float, y: float) -> str:
    """The sign of what is thrown away: a short wire into three bars."""
    bars = "".join(f"M{x - half:.1f} {y + 13 + 4 * k:.1f}h{2 * half:.1f}" for k, half in enumerate((9, 6, 3)))
    return f'<path class="cut" d="M{x:.1f} {y:.1f}v13{bars}"><title>discarded</title></path>'


def _scissors(diagram: Diagram, place: _Place) -> list[str]:
    """Two strokes across the treatment's wire."""
    x, y = place.output(diagram, diagram.treatment), place.lane[diagram.treatment] - ROOM + 17
    strokes = f"M{x - 8:.1f} {y:.1f}l16 -6M{x - 8:.1f} {y + 6:.1f}l16 -6"
    return [f'<path class="cut" d="{strokes}"><title>the cut</title></path>', _text(x + 12, y + 3, "cut", "cutname")]


def _source(diagram: Diagram, place: _Place) -> list[str]:
    """The value from outside: a box open at no side but the one below, pointed like a state."""
    wide, floor = _feed_width(diagram), place.lane[diagram.treatment] - ROOM
    lines = _feed_lines(diagram)
    left, middle, low = place.feed, place.feed + wide / 2, floor - 9
    top = low - max(place.tall - 9, 13.0 * len(lines) + 6)
    shape = f"M{left:.1f} {top:.1f}h{wide:.1f}V{low:.1f}L{middle:.1f} {floor:.1f}L{left:.1f} {low:.1f}Z"
    start = (top + low) / 2 + 4 - 6.5 * (len(lines) - 1)
    words = "".join(_text(middle, start + 13 * k, line, "small strong") for k, line in enumerate(lines))
    return [f'<path class="node treatment" stroke="var(--treatment)" fill="var(--treatment-fill)" d="{shape}"/>{words}']


def _legend(diagram: Diagram, y: float) -> tuple[list[str], float]:
    words = f"shares hidden causes with {_short(diagram.treatment)}"
    if len(diagram.outer) == 1:
        words = f"what makes {_short(diagram.treatment)}"
    parts = [f'<rect class="comb" x="{MARGIN}" y="{y - 10:.1f}" width="16" height="12" rx="2"/>',
             _text(MARGIN + 22, y, words, "legend")]
    x = MARGIN + 40 + text_width(words, 12)
    if diagram.districts():
        parts += [f'<path class="hidden" d="M{x:.1f} {y - 4:.1f}h22"/>',
                  _text(x + 28, y, "other hidden causes", "legend")]
        x += 46 + text_width("other hidden causes", 12)
    return parts, x


def _short(name: str) -> str:
    lines = wrapped(name)
    return lines[0] if len(lines) == 1 else f"{lines[0]}…"


def _text(x: float, y: float, words: str, css: str = "") -> str:
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}">{plain_xml(words)}</text>'


def _page(diagram: Diagram, title: str, width: float, height: float, parts: Sequence[str]) -> str:
    tag = "c" + content_hash(diagram.graph.to_dict(), diagram.treatment, list(diagram.outcome))[:10]
    said = "; ".join(f"{name} feeds {', '.join(diagram.feeds(name))}" for name in diagram.graph.names
                     if diagram.feeds(name))
    said = (f"Boxes in causal order: {', '.join(diagram.graph.names)}. {said}. The comb holds "
            f"{', '.join(diagram.outer)}. After the cut {diagram.treatment} is set from outside.")
    style = (graph_style() + STYLE).replace("\n", "")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" class="whence-graph whence-comb" role="img" '
            f'aria-labelledby="{tag}-t {tag}-d" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
            f'height="{height:.0f}"><title id="{tag}-t">{plain_xml(title)}</title><desc id="{tag}-d">{plain_xml(said)}'
            f"</desc><style>{style}</style>{''.join(parts)}</svg>")
