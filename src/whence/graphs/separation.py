"""d- and m-separation by reachability, with an open path as witness, and minimal separators.

A path is open given Z when every inner node with two arrowheads at it (a collider) is in Z or has a
descendant there, and no other inner node is in Z. Two sets are separated when every path between them is
blocked; in a DAG, ADMG or MAG that is the independence the graph implies, and in a class (CPDAG, MPDAG,
PAG) the one that all its members imply.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from whence.core.errors import WhenceError
from whence.core.result import fields_to_plain
from whence.graphs.ancestry import bits_of
from whence.graphs.bits import Bits, closure, lowest, union
from whence.graphs.graph import Graph

Step = tuple[str, str, str]


@dataclass(frozen=True)
class Separation:
    """Whether x and y are separated given a set; it acts as that truth value.

    x, y, given: sorted names. path: when not separated, an open path as steps ``(a, "-->", b)`` read from x
    to y. member: for a class, the DAG (of a CPDAG or MPDAG) or MAG (of a PAG) in which the path is to be
    read (the verdict holds in all of them).
    """

    separated: bool
    x: tuple[str, ...]
    y: tuple[str, ...]
    given: tuple[str, ...]
    path: tuple[Step, ...] = ()
    member: Graph | None = None

    def __bool__(self) -> bool:
        return self.separated

    def path_text(self) -> str:
        """The open path in one line, ``"x <-- u --> y"``; empty when separated."""
        return "".join(f"{a} {edge} " for a, edge, _ in self.path) + (self.path[-1][2] if self.path else "")

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        x, y = ", ".join(self.x), ", ".join(self.y)
        given = f" given {', '.join(self.given)}" if self.given else ""
        if self.separated:
            return f"{x} and {y} are separated{given}"
        return f"{x} and {y} are connected{given} by {self.path_text()}"


def separated(
    graph: Graph, x: str | Iterable[str], y: str | Iterable[str], given: str | Iterable[str] = ()
) -> Separation:
    """Whether every path between x and y is blocked given ``given``.

    graph: DAG, ADMG, MAG, or a CPDAG, MPDAG or PAG (all members agree). x, y, given: a node or several, without
    overlap; latent nodes are allowed, since this is a question about the graph.

    Raises ``WhenceError``: unknown node, overlap, nothing to separate, a kind of graph it does not cover, or a
    PAG that is the class of no MAG (``not_a_pag``).
    Source: Koster (2002) and van der Zander, Liskiewicz and Textor (2019), algorithm 'TestSep'.
    """
    read = _readable(graph)
    xs, ys, zs = (bits_of(read, s) for s in (x, y, given))
    _check_query(read, xs, ys, zs)
    bits = read.bits
    within = _anterior(bits, xs | ys | zs)
    levels = _search(bits, xs, ys, zs, within)
    names = (bits.sorted_of(xs), bits.sorted_of(ys), bits.sorted_of(zs))
    if levels is None:
        return Separation(True, *names)
    path = _path(bits, levels, ys, ~zs, union(bits.ancestors, zs))
    return Separation(False, *names, path, None if read is graph else read)


def minimal_separator(
    graph: Graph, x: str | Iterable[str], y: str | Iterable[str],
    within: Iterable[str] | None = None, always: str | Iterable[str] = (),
) -> frozenset[str] | None:
    """A separator of x and y from which no node outside ``always`` can be dropped, or None when there is none.

    within: the nodes it may use (default: the observed ones); x and y are never used. always: nodes it must
    contain. Of several, the one nearest to x's side after y's is taken; it does not depend on node order.

    Raises ``WhenceError`` as ``separated`` does.
    Source: van der Zander and Liskiewicz (2020), "Finding minimal d-separators in linear time".
    """
    read = _readable(graph)
    xs, ys, must = (bits_of(read, s) for s in (x, y, always))
    _check_query(read, xs, ys, must)
    bits = read.bits
    observed = (1 << len(read)) - 1 & ~bits.bits_of(read.latents)
    usable = (observed if within is None else bits_of(read, within)) | must
    anterior = _anterior(bits, xs | ys | must)
    candidates = usable & anterior & ~(xs | ys)
    from_x = _reach(bits, xs, candidates, anterior)
    if from_x & ys:
        return None
    candidates &= from_x | must
    return bits.set_of(candidates & (_reach(bits, ys, candidates, anterior) | must))


def _readable(graph: Graph) -> Graph:
    """The graph in which paths are read: a member for a class."""
    if graph.kind in ("CPDAG", "MPDAG", "PAG"):
        return graph.member  # pyright: ignore[reportAttributeAccessIssue]
    if graph.kind in ("DAG", "ADMG", "MAG"):
        return graph
    raise WhenceError(
        f"Separation is defined here for DAG, ADMG, MAG, CPDAG, MPDAG and PAG, not for {graph.kind}.",
        code="unsupported_graph", value=graph.kind, allowed=("DAG", "ADMG", "MAG", "CPDAG", "MPDAG", "PAG"),
    )


def _check_query(graph: Graph, xs: int, ys: int, zs: int) -> None:
    if not xs or not ys:
        raise WhenceError("Separation needs at least one node on either side.", code="empty_set")
    overlap = xs & ys | xs & zs | ys & zs
    if overlap:
        names = graph.bits.sorted_of(overlap)
        raise WhenceError(
            f"{', '.join(map(repr, names))} is in two of the sets x, y and given.",
            code="overlapping_sets", value=names, hint="The three sets must not share a node.",
        )


def _anterior(bits: Bits, start: int) -> int:
    """``start`` and all nodes with a path of --> and --- to it; open paths leave this set never."""
    found = union(bits.ancestors, start)
    if not bits.directed_only:
        # Undirected edges come first on such a path: no arrowhead points at their ends.
        found = union(bits.ancestors, closure(bits.neighbours, found))
    return found


Level = tuple[int, int]  # nodes newly entered through an arrowhead, and through a tail


def _search(bits: Bits, xs: int, ys: int, zs: int, within: int) -> list[Level] | None:
    """Breadth-first over open walks from xs; the levels up to the first that meets ys, or None."""
    pa, ch, sp, nb = bits.parents, bits.children, bits.spouses, bits.neighbours
    opens = union(bits.ancestors, zs)  # colliders here let a walk pass
    mixed = not bits.directed_only
    heads, tails = 0, xs
    seen_heads, seen_tails = 0, xs
    left_down, left_up = 0, 0  # those whose edges of that kind were followed already
    levels = [(heads, tails)]
    while heads or tails:
        free = tails & ~zs  # entered through a tail: never a collider
        down = (free | heads & ~zs) & ~left_down  # may leave through a tail
        up = (free | heads & opens) & ~left_up  # may leave through an arrowhead
        left_down |= down
        left_up |= up
        to_heads, to_tails = union(ch, down), union(pa, up)
        if mixed:
            to_heads |= union(sp, up)
            to_tails |= union(nb, down)
        heads = to_heads & within & ~seen_heads
        tails = to_tails & within & ~seen_tails
        seen_heads |= heads
        seen_tails |= tails
        levels.append((heads, tails))
        if (heads | tails) & ys:
            return levels
    return None


def _path(bits: Bits, levels: list[Level], ys: int, free: int, opens: int) -> tuple[Step, ...]:
    """The open path behind the last level, traced back with ties by name, its loops cut.

    free: the nodes outside the given set. opens: the nodes with a descendant in it. Cutting a loop leaves
    the path open: a node that becomes a collider by it has a descendant in the given set, because the loop
    left it downwards and had to turn at an open collider.
    """
    heads, tails = levels[-1]
    k = lowest((heads | tails) & ys)
    through_head = bool(heads >> k & 1)
    back: list[tuple[int, str]] = [(k, "")]  # node, and the edge from it to the node traced before
    for heads, tails in reversed(levels[:-1]):
        down, up = (heads | tails) & free, tails & free | heads & opens
        if through_head:
            found, edge = bits.parents[k] & down, "-->"
            if not found:
                found, edge = bits.spouses[k] & up, "<->"
        else:
            found, edge = bits.children[k] & up, "<--"
            if not found:
                found, edge = bits.neighbours[k] & down, "---"
        k = lowest(found)
        # The state in which k may leave by this edge, a tail-entered one first: it may leave by any.
        through_head = not (tails & free) >> k & 1
        back.append((k, edge))
    walk: list[tuple[int, str]] = []
    for node, edge in reversed(back):
        at = next((i for i, (other, _) in enumerate(walk) if other == node), len(walk))
        walk[at:] = [(node, edge)]
    names = bits.names
    return tuple((names[a], edge, names[b]) for (a, edge), (b, _) in itertools.pairwise(walk))


def _reach(bits: Bits, start: int, given: int, within: int) -> int:
    """Nodes met by walks from ``start`` inside the ancestral set ``within``, every collider there let through.

    These are the paths of the moral graph of ``within`` that stop at ``given``; members of ``given`` that a
    walk meets are included.
    """
    pa, ch, sp, nb = bits.parents, bits.children, bits.spouses, bits.neighbours
    heads, tails = 0, start
    seen_heads, seen_tails = 0, start
    while heads or tails:
        free = tails & ~given
        down, up = free | heads & ~given, free | heads
        heads = (union(ch, down) | union(sp, up)) & within & ~seen_heads
        tails = (union(pa, up) | union(nb, down)) & within & ~seen_tails
        seen_heads |= heads
        seen_tails |= tails
    return seen_heads | seen_tails
