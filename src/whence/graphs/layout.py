"""Layered layout of any graph, from left to right like time: boxes for nodes and routes for edges.

Layers by longest path with compaction, passages for edges that span several columns, few crossings, straight
long edges. A route leaves and enters boxes horizontally and bends only between columns, so it never runs
through a node. The same graph gives the same picture whatever the order of its nodes.

Source: Sugiyama, Tagawa, Toda (1981), Methods for visual understanding of hierarchical system structures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from whence.graphs.alignment import align
from whence.graphs.crossings import order_columns
from whence.graphs.graph import ARROW, Graph, edge_marks
from whence.graphs.layering import layers

SIZE = (72.0, 34.0)  # of a node when no size is given
MARGIN = 14.0
NODE_GAP = 20.0  # between nodes of a column
LANE_GAP = 11.0  # beside the passage of a long edge
PORT = 10.0  # between two edges on the same side of a node
STUB = 15.0  # straight run at both ends of an edge: room for its mark
GAP = (78.0, 170.0)  # between columns: least and most


@dataclass(frozen=True)
class Box:
    """A node: centre and size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Route:
    """The edge between a and b, with its marks at both ends.

    points: an even number of (x, y), from the border of a to the border of b. Points 0-1, 2-3, ... are
    joined by horizontal straight lines, points 1-2, 3-4, ... by curves that are horizontal at both
    ends. When points 1 and 2 have the same x, the curve is an arc that swings out to the right.
    """

    a: str
    b: str
    mark_a: int
    mark_b: int
    points: tuple[tuple[float, float], ...]

    @property
    def arc(self) -> bool:
        return len(self.points) == 4 and self.points[1][0] == self.points[2][0]


@dataclass(frozen=True)
class Layout:
    """Where everything stands, in pixels; y grows downwards."""

    boxes: Mapping[str, Box]
    routes: tuple[Route, ...]
    width: float
    height: float


@dataclass
class _Drawing:
    """Working state: nodes are numbers in name order, passages of long edges get the numbers after them."""

    names: list[str]
    edges: list[tuple[int, int, int, int]]  # a, b, mark at a, mark at b; a's column is not after b's
    column: list[int]
    size: list[tuple[float, float]]
    chains: list[list[int]]
    y: list[float]


def layout(graph: Graph, sizes: Mapping[str, tuple[float, float]] | None = None,
           left: Iterable[str] = (), right: Iterable[str] = ()) -> Layout:
    """Place the nodes and route the edges of any graph (cycles and circle marks allowed).

    sizes: (width, height) of nodes in pixels. left, right: nodes that stand as far left, right as the
    arrows allow: usually the treatment and the outcome. Raises ``WhenceError`` for an unknown name.
    """
    for name in (*left, *right, *(sizes or ())):
        graph.position(name)
    drawing = _drawing(graph, dict(sizes or {}), set(left), set(right))
    parts = _components(len(drawing.names), drawing.edges)
    linked = [p for p in parts if len(p) > 1]
    bottom = 0.0
    for part in sorted(linked, key=lambda p: (-len(p), p[0])):
        bottom = _place(drawing, part, bottom) + NODE_GAP * 1.5
    starts, width = _column_starts(drawing, [v for p in linked for v in p])
    boxes = _boxes(drawing, [v for p in linked for v in p], starts)
    alone = [p[0] for p in parts if len(p) == 1]
    bottom = _shelve(drawing, alone, boxes, bottom, max(width, 560.0))
    ports = _ports(drawing)
    routes = tuple(_route(drawing, k, boxes, starts, ports) for k in range(len(drawing.edges)))
    return _framed({drawing.names[v]: boxes[v] for v in sorted(boxes)}, routes)


def _drawing(graph: Graph, sizes: Mapping[str, tuple[float, float]], left: set[str], right: set[str]) -> _Drawing:
    names = sorted(graph.names)
    at = {name: i for i, name in enumerate(names)}
    given = [(at[a], at[b], *edge_marks(text)) for a, text, b in graph.edges()]
    ends = sorted((a, b, m, n) if a < b else (b, a, n, m) for a, b, m, n in given)
    forward, weak = [], []
    for a, b, mark_a, mark_b in ends:
        if mark_a != ARROW and mark_b != ARROW:
            weak.append((a, b))
        elif mark_a != ARROW:
            forward.append((a, b))
        elif mark_b != ARROW:
            forward.append((b, a))
    column = layers(len(names), forward, weak, [at[n] for n in left], [at[n] for n in right])
    edges = [(a, b, m, n) if column[a] <= column[b] else (b, a, n, m) for a, b, m, n in ends]
    size = [sizes.get(name, SIZE) for name in names]
    drawing = _Drawing(names, edges, column, size, [], [0.0] * len(names))
    _grow(drawing)
    for a, b, _, _ in edges:
        chain = []
        for c in range(column[a] + 1, column[b]):
            chain.append(len(drawing.column))
            drawing.column.append(c)
            drawing.size.append((0.0, 0.0))
            drawing.y.append(0.0)
        drawing.chains.append(chain)
    return drawing


def _grow(drawing: _Drawing) -> None:
    """Make nodes with many edges on one side a little taller, so that the marks do not pile up."""
    out = [0] * len(drawing.names)
    into = [0] * len(drawing.names)
    for a, b, _, _ in drawing.edges:
        out[a] += 1
        (out if drawing.column[a] == drawing.column[b] else into)[b] += 1
    for v, (width, height) in enumerate(drawing.size):
        ports = max(out[v], into[v])
        drawing.size[v] = (width, max(height, min(96.0, PORT * (ports - 1) + 16.0)))


def _components(d: int, edges: list[tuple[int, int, int, int]]) -> list[list[int]]:
    near: list[list[int]] = [[] for _ in range(d)]
    for a, b, _, _ in edges:
        near[a].append(b)
        near[b].append(a)
    seen: set[int] = set()
    parts = []
    for v in range(d):
        if v in seen:
            continue
        part, stack = {v}, [v]
        while stack:
            new = [u for u in near[stack.pop()] if u not in part]
            part.update(new)
            stack.extend(new)
        seen |= part
        parts.append(sorted(part))
    return parts


def _place(drawing: _Drawing, part: list[int], top: float) -> float:
    """Heights for one connected part, from ``top`` down; returns its lower edge."""
    members = set(part)
    here = [(e, c) for e, c in zip(drawing.edges, drawing.chains, strict=True) if e[0] in members]
    every = part + [v for _, chain in here for v in chain]
    before: dict[int, list[int]] = {v: [] for v in every}
    after: dict[int, list[int]] = {v: [] for v in every}
    beside: dict[int, list[int]] = {v: [] for v in every}
    for (a, b, _, _), chain in here:
        if drawing.column[a] == drawing.column[b]:
            beside[a].append(b)
            beside[b].append(a)
            continue
        path = [a, *chain, b]
        for u, v in pairwise(path):
            after[u].append(v)
            before[v].append(u)
    first = min(drawing.column[v] for v in part)
    columns: list[list[int]] = [[] for _ in range(max(drawing.column[v] for v in part) - first + 1)]
    for v in every:
        columns[drawing.column[v] - first].append(v)
    order = order_columns([c for c in columns if c], before, after, beside)

    def separation(u: int, v: int) -> float:
        lane = len(drawing.names)
        gap = NODE_GAP if u < lane and v < lane else LANE_GAP
        return (drawing.size[u][1] + drawing.size[v][1]) / 2 + gap

    height = align(order, before, after, {v for _, chain in here for v in chain}, separation)
    upper = min(y - drawing.size[v][1] / 2 for v, y in height.items())
    for v, y in height.items():
        drawing.y[v] = y - upper + top
    return max(drawing.y[v] + drawing.size[v][1] / 2 for v in every)


def _column_starts(drawing: _Drawing, members: list[int]) -> tuple[list[tuple[float, float]], float]:
    """Left and right edge of each column; a gap is wider where edges climb far. Also the whole width."""
    count = max((drawing.column[v] for v in members), default=-1) + 1
    width, climb = [0.0] * count, [0.0] * count
    for v in members:
        width[drawing.column[v]] = max(width[drawing.column[v]], drawing.size[v][0])
    for (a, b, _, _), chain in zip(drawing.edges, drawing.chains, strict=True):
        path = [a, *chain, b]
        for u, v in pairwise(path):
            c = drawing.column[u]
            climb[c] = max(climb[c], abs(drawing.y[u] - drawing.y[v]))
    starts, x = [], 0.0
    for c in range(count):
        starts.append((x, x + width[c]))
        x += width[c] + min(GAP[1], max(GAP[0], 0.36 * climb[c]))
    return starts, starts[-1][1] if starts else 0.0


def _boxes(drawing: _Drawing, members: list[int], starts: list[tuple[float, float]]) -> dict[int, Box]:
    boxes = {}
    for v in members:
        low, high = starts[drawing.column[v]]
        boxes[v] = Box((low + high) / 2, drawing.y[v], *drawing.size[v])
    return boxes


def _shelve(drawing: _Drawing, alone: list[int], boxes: dict[int, Box], top: float, width: float) -> float:
    """Nodes without edges, in rows below the rest."""
    x, y, tallest = 0.0, top, 0.0
    for v in alone:
        w, h = drawing.size[v]
        if x and x + w > width:
            x, y, tallest = 0.0, y + tallest + NODE_GAP, 0.0
        boxes[v] = Box(x + w / 2, y + h / 2, w, h)
        x, tallest = x + w + NODE_GAP, max(tallest, h)
    return y + tallest


def _route(drawing: _Drawing, k: int, boxes: Mapping[int, Box], starts: list[tuple[float, float]],
           ports: Mapping[tuple[int, int], float]) -> Route:
    a, b, mark_a, mark_b = drawing.edges[k]
    start, end = boxes[a], boxes[b]
    y_a, y_b = ports[k, 0], ports[k, 1]
    points = [(start.x + start.width / 2, y_a), (starts[drawing.column[a]][1] + STUB, y_a)]
    for v in drawing.chains[k]:
        low, high = starts[drawing.column[v]]
        points += [(low, drawing.y[v]), (high, drawing.y[v])]
    if drawing.column[a] == drawing.column[b]:
        points += [(starts[drawing.column[b]][1] + STUB, y_b), (end.x + end.width / 2, y_b)]
    else:
        points += [(starts[drawing.column[b]][0] - STUB, y_b), (end.x - end.width / 2, y_b)]
    return Route(drawing.names[a], drawing.names[b], mark_a, mark_b, tuple(points))


def _ports(drawing: _Drawing) -> dict[tuple[int, int], float]:
    """Height at which each edge end (edge number, 0 or 1) meets its node.

    The ends on one side of a node are spread in the order of where they lead. Crowded sides are settled
    first; on the others an end moves to where its edge runs level, if there is room.
    """
    sides: dict[tuple[int, bool], list[tuple[float, tuple[int, int]]]] = {}
    reach: dict[tuple[int, int], float] = {}  # the height of the next point along the edge
    for k, (a, b, _, _) in enumerate(drawing.edges):
        path = [a, *drawing.chains[k], b]
        level = drawing.column[a] == drawing.column[b]
        for end, v, u in ((0, a, path[1]), (1, b, path[-2])):
            reach[k, end] = drawing.y[u]
            sides.setdefault((v, end == 0 or level), []).append((drawing.y[u], (k, end)))
    ports: dict[tuple[int, int], float] = {}
    for (v, _), side in sorted(sides.items(), key=lambda item: (-len(item[1]), item[0])):
        side.sort()
        room = drawing.size[v][1] / 2 - 8.0
        step = min(PORT, 2 * room / max(1, len(side) - 1))
        wanted = []
        for at, (_, (k, end)) in enumerate(side):
            target = ports.get((k, 1 - end), reach[k, end]) if not drawing.chains[k] else reach[k, end]
            offset = target - drawing.y[v]
            usual = (at - (len(side) - 1) / 2) * step
            wanted.append(offset if abs(offset) <= room else usual)
        for (_, key), offset in zip(side, _spread(wanted, step, room), strict=True):
            ports[key] = drawing.y[v] + offset
    return ports


def _spread(wanted: list[float], step: float, room: float) -> list[float]:
    """Offsets nearest to the wanted ones that keep ``step`` apart and within ``room`` of the centre."""
    blocks: list[tuple[float, int]] = []  # (mean, members) of wanted minus rank: isotonic regression
    for rank, value in enumerate(wanted):
        mean, size = value - rank * step, 1
        while blocks and blocks[-1][0] > mean:
            other, members = blocks.pop()
            mean, size = (mean * size + other * members) / (size + members), size + members
        blocks.append((mean, size))
    flat = [mean for mean, size in blocks for _ in range(size)]
    last = (len(wanted) - 1) * step
    return [min(max(base, -room), room - last) + rank * step for rank, base in enumerate(flat)]


def _framed(boxes: Mapping[str, Box], routes: tuple[Route, ...]) -> Layout:
    """Shift everything so that the picture starts at the margin."""
    xs = [b.x + s * b.width / 2 for b in boxes.values() for s in (-1, 1)] + [p[0] for r in routes for p in r.points]
    ys = [b.y + s * b.height / 2 for b in boxes.values() for s in (-1, 1)] + [p[1] for r in routes for p in r.points]
    if any(r.arc for r in routes):
        xs.append(max(max(p[0] for p in r.points) + arc_swing(r) * 0.75 for r in routes if r.arc))
    if not xs:
        return Layout({}, (), 2 * MARGIN, 2 * MARGIN)
    dx, dy = MARGIN - min(xs), MARGIN - min(ys)
    moved = {n: Box(b.x + dx, b.y + dy, b.width, b.height) for n, b in boxes.items()}
    shifted = tuple(Route(r.a, r.b, r.mark_a, r.mark_b, tuple((x + dx, y + dy) for x, y in r.points)) for r in routes)
    return Layout(moved, shifted, max(xs) + dx + MARGIN, max(ys) + dy + MARGIN)


def arc_swing(route: Route) -> float:
    """How far the control points of an arc stand out from its ends; it stays within the gap of columns."""
    rise = abs(route.points[1][1] - route.points[2][1])
    return min(GAP[0] - 2 * STUB, 14.0 + 0.25 * rise)
