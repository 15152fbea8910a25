"""Draw a graph as SVG: one string, no fonts to fetch, no scripts, light and dark.

Edge ends show the marks: arrowhead, circle, or nothing for a tail. Bidirected edges are dashed and bent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from html import escape

from whence.core.errors import WhenceError, unknown_name
from whence.core.hashing import content_hash
from whence.graphs.graph import ARROW, CIRCLE, Graph
from whence.graphs.layout import Box, Layout, Route, arc_swing, layout

# Role -> what the legend says. The first two also decide the place: treatment left, outcome right.
ROLES = {
    "treatment": "treatment",
    "outcome": "outcome",
    "adjusted": "adjusted for",
    "mediator": "on a causal path",
    "excluded": "must not be adjusted for",
    "instrument": "affects the treatment only",
    "latent": "not measured",
    "other": "other",
}
SYNONYMS = {"forbidden": "excluded"}

FONT_SIZE = 13.0
LINE = 16.0
WIDEST = 132.0  # of a line of text in a node
PADDING = 12.0

# Widths of characters in thousandths of the font size, a little above the usual sans-serif fonts so that a
# reader's own font fits too. Anything wider than Latin (CJK and the like) counts as a full square.
_NARROW = dict.fromkeys("ijl.,:;'|!I()[]{} ft", 360)
_WIDE = dict.fromkeys("mwMW@%", 960)
_USUAL, _CAPITAL, _SQUARE = 620, 730, 1050

STYLE = """
.whence-graph{--ink:#1f2937;--paper:#fff;--line:#4b5563;--soft:#6b7280;
--treatment:#1d4ed8;--treatment-fill:#dbeafe;--outcome:#c2410c;--outcome-fill:#ffedd5;
--adjusted:#15803d;--adjusted-fill:#dcfce7;--mediator:#7e22ce;--mediator-fill:#f3e8ff;
--excluded:#b91c1c;--excluded-fill:#fee2e2;--instrument:#0e7490;--instrument-fill:#cffafe;
--latent:#6b7280;--latent-fill:none;--other:#9ca3af;--other-fill:#f3f4f6;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-size:13px}
@media (prefers-color-scheme:dark){:root:not([data-theme="light"]) .whence-graph{DARK}}
[data-theme="dark"] .whence-graph{DARK}
svg.whence-graph{max-width:100%;height:auto}
.whence-graph text{fill:var(--ink);text-anchor:middle}
.whence-graph .legend{text-anchor:start;font-size:12px}
.whence-graph .label{font-size:11px;paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}
.whence-graph .strong{font-weight:600}
.whence-graph .edge{stroke:var(--line);fill:none;stroke-linecap:butt}
.whence-graph .edge.both{stroke:var(--soft);stroke-dasharray:5 4}
.whence-graph .head{fill:var(--line);stroke:none}
.whence-graph .both.head{fill:var(--soft)}
.whence-graph .ring{fill:none;stroke:var(--line)}
.whence-graph .node{stroke-width:1.3}
.whence-graph .treatment,.whence-graph .outcome{stroke-width:2.2}
.whence-graph .node.latent{stroke-dasharray:4 3}
@media print{.whence-graph{--paper:#fff;--ink:#111}}
"""
_DARK = (
    "--ink:#e5e7eb;--paper:#111827;--line:#9ca3af;--soft:#8b93a1;"
    "--treatment:#60a5fa;--treatment-fill:#172f5c;--outcome:#fb923c;--outcome-fill:#552a10;"
    "--adjusted:#4ade80;--adjusted-fill:#12402a;--mediator:#c084fc;--mediator-fill:#3c1d5c;"
    "--excluded:#f87171;--excluded-fill:#571d1d;--instrument:#22d3ee;--instrument-fill:#0e3f4b;"
    "--latent:#9ca3af;--latent-fill:none;--other:#6b7280;--other-fill:#1f2937"
)

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Weights = Mapping[tuple[str, str], float]


def to_svg(graph: Graph, roles: Mapping[str, str] | None = None, strength: Weights | None = None,
           stability: Weights | None = None, title: str | None = None,
           labels: Mapping[tuple[str, str], str] | None = None) -> str:
    """The graph as an SVG element, ready for a page or a file.

    roles: node to one of ``ROLES``; nodes without one are "other", hidden nodes of the graph "latent".
    strength: edge, as a pair in either order, to a number; its size becomes the width of the line.
    stability: edge to a share between 0 and 1, drawn as opacity. labels: edge to a short text beside it.
    title: what the picture shows, for people and screen readers. Raises ``WhenceError`` for an unknown
    node, role or edge, and for numbers out of range.
    """
    shown = _roles(graph, roles or {})
    text = {name: wrapped(name) for name in graph.names}
    sizes = {name: _size(lines, shown[name]) for name, lines in text.items()}
    placed = layout(graph, sizes, left=[n for n in graph.names if shown[n] == "treatment"],
                    right=[n for n in graph.names if shown[n] == "outcome"])
    width = _widths(_by_edge(graph, strength, "strength"))
    opacity = _opacities(_by_edge(graph, stability, "stability"))
    notes = {k: str(v) for k, v in _by_edge(graph, labels, "label").items()}
    edges = [
        _edge(r, {}, {}, _edge_note(r, {}, {})) if _beside(graph, r) else
        _edge(r, width, opacity, _edge_note(r, strength or {}, stability or {})) for r in placed.routes
    ]
    nodes = [_node(n, b, text[n], shown[n]) for n, b in placed.boxes.items()]
    tags = _labels(placed, notes)
    legend, low, right = _legend([shown[n] for n in graph.names] if roles else [], placed)
    return _page(graph, shown, title, max(placed.width, right), low, [*edges, *nodes, *tags, *legend])


def _beside(graph: Graph, route: Route) -> bool:
    """Whether this is the <-> of a pair that also has an arrow: strengths belong to the arrow."""
    i, j = graph.index[route.a], graph.index[route.b]
    lone = graph.marks[i, j] == graph.marks[j, i]
    return route.mark_a == route.mark_b == ARROW and not lone


def _roles(graph: Graph, roles: Mapping[str, str]) -> dict[str, str]:
    shown = {name: "latent" if name in getattr(graph, "latents", ()) else "other" for name in graph.names}
    for name, role in roles.items():
        graph.position(name)
        role = SYNONYMS.get(role, role)
        if role not in ROLES:
            raise unknown_name("role", role, ROLES, code="unknown_role")
        shown[name] = role
    return shown


def _by_edge(graph: Graph, given: Mapping[tuple[str, str], object] | None, what: str) -> dict[frozenset[str], object]:
    found: dict[frozenset[str], object] = {}
    for pair, value in (given or {}).items():
        a, b = pair
        if not graph.marks[graph.position(a), graph.position(b)]:
            raise WhenceError(f"There is no edge between {a!r} and {b!r} to give a {what} to.",
                              code="unknown_edge", value=[a, b])
        if what != "label" and not (isinstance(value, (int, float)) and math.isfinite(value)):
            raise WhenceError(f"The {what} of {a!r} and {b!r} is not a finite number.", code="bad_number",
                              value=str(value), allowed="finite numbers")
        found[frozenset(pair)] = value
    return found


def _widths(strength: Mapping[frozenset[str], object]) -> dict[frozenset[str], float]:
    size = {k: abs(float(v)) for k, v in strength.items()}  # pyright: ignore[reportArgumentType]
    top = max(size.values(), default=0.0) or 1.0
    return {k: 0.9 + 3.1 * v / top for k, v in size.items()}


def _opacities(stability: Mapping[frozenset[str], object]) -> dict[frozenset[str], float]:
    share = {k: float(v) for k, v in stability.items()}  # pyright: ignore[reportArgumentType]
    for pair, value in share.items():
        if not 0 <= value <= 1:
            raise WhenceError(f"The stability of the edge {sorted(pair)} is not between 0 and 1.",
                              code="bad_number", value=value, allowed="0 to 1")
    return {k: 0.22 + 0.78 * v for k, v in share.items()}


# Text


def text_width(text: str, size: float = FONT_SIZE) -> float:
    """Width of a text in pixels, estimated a little generously."""
    return sum(map(_char_width, text)) * size / 1000


def _char_width(c: str) -> int:
    if ord(c) > 0x2E7F:
        return _SQUARE
    if c in _NARROW:
        return _NARROW[c]
    if c in _WIDE:
        return _WIDE[c]
    return _CAPITAL if c.isupper() else _USUAL


def wrapped(name: str) -> list[str]:
    """A name in at most two lines that fit a node: broken after spaces and joints, shortened in the middle."""
    if text_width(name) <= WIDEST:
        return [name]
    cuts = [i + 1 for i, c in enumerate(name[:-1]) if c in " _-.:/" and i]
    fitting = [c for c in cuts if text_width(name[:c].strip()) <= WIDEST and text_width(name[c:].strip()) <= WIDEST]
    if not fitting:
        fitting = [c for c in cuts if text_width(name[:c].strip()) <= WIDEST][-1:]
    if not fitting:
        return [_shortened(name)]
    best = min(fitting, key=lambda c: max(text_width(name[:c].strip()), text_width(name[c:].strip())))
    return [name[:best].strip(), _shortened(name[best:].strip())]


def _shortened(text: str) -> str:
    """The text with an ellipsis in its middle if it is too wide: the ends of names tell them apart."""
    if text_width(text) <= WIDEST:
        return text
    room, head, tail = WIDEST - text_width("\u2026"), 0, len(text)
    while True:
        take_head = head <= len(text) - tail
        if text_width(text[: head + take_head]) + text_width(text[tail - (not take_head) :]) > room:
            return text[:head] + "\u2026" + text[tail:]
        head, tail = head + take_head, tail - (not take_head)


def _size(lines: list[str], role: str) -> tuple[float, float]:
    bold = 1.07 if role in ("treatment", "outcome") else 1.0
    width = max(text_width(line) for line in lines) * bold + 2 * PADDING
    return max(width, 46.0), 18.0 + LINE * len(lines)


# Pieces


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _node(name: str, box: Box, lines: list[str], role: str) -> str:
    strong = ' class="strong"' if role in ("treatment", "outcome") else ""
    x, y = box.x - box.width / 2, box.y - box.height / 2
    top = box.y + 4.5 - LINE * (len(lines) - 1) / 2
    spans = "".join(
        f'<text{strong} x="{_n(box.x)}" y="{_n(top + LINE * k)}">{plain_xml(line)}</text>'
        for k, line in enumerate(lines)
    )
    return (
        f'<g><title>{plain_xml(name)} ({ROLES[role]})</title><rect class="node {role}" x="{_n(x)}" y="{_n(y)}" '
        f'width="{_n(box.width)}" height="{_n(box.height)}" rx="8" stroke="var(--{role})" '
        f'fill="var(--{role}-fill)"/>{spans}</g>'
    )


def _edge(route: Route, widths: Mapping[frozenset[str], float], opacities: Mapping[frozenset[str], float],
          note: str) -> str:
    pair = frozenset((route.a, route.b))
    width = widths.get(pair, 1.5)
    both = " both" if route.mark_a == route.mark_b == ARROW else ""
    head = 6.5 + 1.5 * width
    faint = f' opacity="{opacities[pair]:.2f}"' if pair in opacities else ""
    points = list(route.points)
    marks = []
    for end, mark, toward in ((0, route.mark_a, 1), (-1, route.mark_b, -2)):
        x, y = points[end]
        out = 1.0 if points[toward][0] > x else -1.0  # away from the node
        if mark == ARROW:
            marks.append(f'<path class="head{both}" d="M{_n(x)} {_n(y)}l{_n(out * head)} {_n(-head * 0.46)}'
                         f'v{_n(head * 0.92)}z"/>')
            points[end] = (x + out * head * 0.8, y)
        elif mark == CIRCLE:
            radius = 3.2 + 0.4 * width
            marks.append(f'<circle class="ring" cx="{_n(x + out * radius)}" cy="{_n(y)}" r="{_n(radius)}" '
                         f'stroke-width="{_n(min(width, 2.0))}"/>')
            points[end] = (x + out * 2 * radius, y)
    line = f'<path class="edge{both}" stroke-width="{_n(width)}" d="{_path(route, points)}"/>'
    return f"<g{faint}><title>{plain_xml(note)}</title>{line}{''.join(marks)}</g>"


def _path(route: Route, points: list[tuple[float, float]]) -> str:
    parts = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for k in range(1, len(points)):
        x1, y1 = points[k]
        if k % 2:
            parts.append(f"H{_n(x1)}")
            continue
        (ax, ay), (bx, by) = controls(route, points[k - 1], points[k])
        parts.append(f"C{_n(ax)} {_n(ay)} {_n(bx)} {_n(by)} {_n(x1)} {_n(y1)}")
    return "".join(parts)


def controls(route: Route, start: tuple[float, float], end: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """The two control points of one curved piece; bidirected edges that run level get a bow."""
    (x0, y0), (x1, y1) = start, end
    if route.arc:
        swing = arc_swing(route)
        return (x0 + swing, y0), (x1 + swing, y1)
    middle = (x0 + x1) / 2
    level = len(route.points) == 4 and abs(y1 - y0) < 10.0
    bow = -16.0 if level and route.mark_a == route.mark_b == ARROW else 0.0
    return (middle, y0 + bow), (middle, y1 + bow)


def _edge_note(route: Route, strength: Weights, stability: Weights) -> str:
    left = {ARROW: "<", CIRCLE: "o"}.get(route.mark_a, "-")
    right = {ARROW: ">", CIRCLE: "o"}.get(route.mark_b, "-")
    note = f"{route.a} {left}-{right} {route.b}"
    for what, given in (("strength", strength), ("stability", stability)):
        for pair in ((route.a, route.b), (route.b, route.a)):
            if pair in given:
                note += f", {what} {given[pair]:.3g}"
    return note


def _labels(placed: Layout, notes: Mapping[frozenset[str], str]) -> list[str]:
    """Texts on edges, each where it meets no other; the longest free stretch comes first."""
    taken = [(b.x, b.y, b.width, b.height) for b in placed.boxes.values()]
    tags = []
    for route in placed.routes:
        text = notes.get(frozenset((route.a, route.b)))
        if not text:
            continue
        width = text_width(text, 11.0) + 4
        spots = [(*_at(route, piece, t), width, 14.0) for t in (0.5, 0.35, 0.65, 0.2, 0.8)
                 for piece in range(1, len(route.points) - 1, 2)]
        x, y, w, h = next((s for s in spots if not any(_overlap(s, other) for other in taken)), spots[0])
        taken.append((x, y, w, h))
        tags.append(f'<text class="label" x="{_n(x)}" y="{_n(y + 4)}">{plain_xml(text)}</text>')
    return tags


def _at(route: Route, piece: int, t: float) -> tuple[float, float]:
    """Where a label for the point ``t`` of a curved piece stands."""
    start, end = route.points[piece], route.points[piece + 1]
    (ax, ay), (bx, by) = controls(route, start, end)
    w = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    lift = 9.0 if abs(end[1] - start[1]) < 14.0 else 0.0  # above a level stretch, on a steep one
    return (w[0] * start[0] + w[1] * ax + w[2] * bx + w[3] * end[0],
            w[0] * start[1] + w[1] * ay + w[2] * by + w[3] * end[1] - lift)


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return abs(a[0] - b[0]) < (a[2] + b[2]) / 2 and abs(a[1] - b[1]) < (a[3] + b[3]) / 2


def _legend(shown: list[str], placed: Layout) -> tuple[list[str], float, float]:
    """Entries for the roles present, in rows below; also the height and least width of the picture."""
    present = [r for r in ROLES if r in shown]
    if not any(r != "other" for r in present):
        return [], placed.height, 0.0
    x, y, parts, least = 14.0, placed.height + 10.0, [], 0.0
    room = max(placed.width, 360.0)
    for role in present:
        need = 24.0 + text_width(ROLES[role], 12.0) + 14.0
        if x > 14.0 and x + need > room:
            x, y = 14.0, y + 20.0
        parts.append(
            f'<rect class="node {role}" x="{_n(x)}" y="{_n(y - 10)}" width="18" height="12" rx="3" '
            f'stroke="var(--{role})" fill="var(--{role}-fill)"/>'
            f'<text class="legend" x="{_n(x + 24)}" y="{_n(y)}">{ROLES[role]}</text>'
        )
        x += need
        least = max(least, x)
    return parts, y + 14.0, least


def _page(graph: Graph, shown: Mapping[str, str], title: str | None, width: float, height: float,
          parts: list[str]) -> str:
    heading = title or "Causal graph"
    tag = "g" + content_hash(graph.to_dict(), dict(shown), heading)[:10]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="whence-graph" role="img" '
        f'aria-labelledby="{tag}-t {tag}-d" viewBox="0 0 {_n(width)} {_n(height)}" '
        f'width="{_n(width)}" height="{_n(height)}"><title id="{tag}-t">{plain_xml(heading)}</title>'
        f'<desc id="{tag}-d">{plain_xml(_described(graph, shown))}</desc><style>{graph_style()}</style>'
        + "".join(parts) + "</svg>"
    )


def graph_style() -> str:
    """The style sheet of a picture of class ``whence-graph``, light and dark, in one line."""
    return STYLE.replace("DARK", _DARK).replace("\n", "")


def _described(graph: Graph, shown: Mapping[str, str]) -> str:
    """The picture in words, for those who cannot see it."""
    edges = graph.edges()
    text = [f"A graph with {len(graph)} nodes and {len(edges)} edges."]
    for role, words in ROLES.items():
        names = sorted(n for n in graph.names if shown[n] == role)
        if names and role != "other":
            text.append(f"{words.capitalize()}: {', '.join(names)}.")
    if edges:
        text.append("; ".join(" ".join(e) for e in edges[:40]) + ("; and more." if len(edges) > 40 else "."))
    return " ".join(text)


def plain_xml(text: str) -> str:
    """Escaped for XML; characters that XML 1.0 forbids become a visible replacement."""
    return escape(_FORBIDDEN.sub("\ufffd", text))
