"""The graph classes. Each checks what it claims and names the cycle or edge that breaks it."""

from __future__ import annotations

import functools
import itertools
from typing import ClassVar, final

import numpy as np

from whence.core.errors import WhenceError
from whence.graphs.bits import closure, find_cycle, nonzero, ones, shortest_path
from whence.graphs.graph import ARROW, CIRCLE, TAIL, Graph, cycle_error, edge_marks, edge_text
from whence.graphs.inducing import inducing_pairs, inducing_path
from whence.graphs.orient import class_of, extension, first_unclosed
from whence.graphs.zhang import class_of_mag, member_of_pag


@final
class DAG(Graph):
    """A directed acyclic graph: only -->. Hidden common causes are nodes of their own, listed in ``latents``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _only(self, "-->")
        _acyclic(self)


@final
class ADMG(Graph):
    """An acyclic directed mixed graph: --> and <->, where a <-> b says that a and b share a hidden cause.

    A pair may have both; ``bidirected`` holds every <-> edge.
    """

    may_have_double_edges: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _only(self, "-->", "<->")
        _acyclic(self)


@final
class CPDAG(Graph):
    """A completed partially directed graph: all DAGs with the same independences (a Markov equivalence class).

    Checked in full: some DAG has these edges, and the CPDAG of that DAG is this graph.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        _only(self, "-->", "---")
        _acyclic(self)
        expected = class_of(_member_marks(self))
        wrong = self.marks != expected
        if wrong.any():
            a, b = _first(self, wrong)
            have, want = _edge(self, self.marks, a, b), _edge(self, expected, a, b)
            raise WhenceError(
                f"This is not a CPDAG: {have} should be {want}, as in the class of the DAGs that fit.",
                code="not_a_cpdag", value=[a, b],
                hint="A graph that knowledge has oriented further is an MPDAG; a DAG is turned into its CPDAG "
                "by to_cpdag.",
            )

    @classmethod
    def of_dag(cls, names: tuple[str, ...], marks: np.ndarray) -> CPDAG:
        """The class of a DAG given by its marks, for callers that made them acyclic: right by construction, so not
        checked a second time."""
        out = object.__new__(cls)
        for field, value in (("names", names), ("marks", class_of(marks)), ("latents", frozenset()),
                             ("bidirected", np.zeros((0, 0), dtype=bool))):
            object.__setattr__(out, field, value)
        Graph.__post_init__(out)
        return out

    @functools.cached_property
    def member(self) -> DAG:
        """A DAG of the class, the same one whatever the order of the nodes."""
        return DAG(self.names, _member_marks(self), self.latents)


@final
class MPDAG(Graph):
    """A maximally oriented partially directed graph: the DAGs of a class that agree with given knowledge.

    Checked in full: some DAG has these edges, arrows and v-structures, and Meek's rules turn no further edge.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        _only(self, "-->", "---")
        _acyclic(self)
        _member_marks(self)
        order = _name_order(self)
        found = first_unclosed(self.marks[np.ix_(order, order)])
        if found:
            a, b, rule = self.names[order[found[0]]], self.names[order[found[1]]], found[2]
            raise WhenceError(
                f"This is not an MPDAG: {a} --- {b} must be {a} --> {b} by Meek's rule {rule}.",
                code="not_an_mpdag", value=[a, b], hint="whence.graphs.transform.close orients what follows.",
            )

    @functools.cached_property
    def member(self) -> DAG:
        """A DAG of the class, the same one whatever the order of the nodes."""
        return DAG(self.names, _member_marks(self), self.latents)


@final
class MAG(Graph):
    """A maximal ancestral graph: -->, <-> and ---, over measured nodes only.

    Checked in full: no directed cycle, no a <-> b where a is an ancestor of b, no arrowhead at an end of ---,
    and maximality: no inducing path between two nodes without an edge, so that something separates them.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        _only(self, "-->", "<->", "---")
        _measured(self)
        _acyclic(self)
        _ancestral(self)
        _maximal(self)


@final
class PAG(Graph):
    """A partial ancestral graph: a class of MAGs; a circle is an end that may be an arrowhead or a tail.

    Checked: what its arrowheads and tails must obey in every member (no directed cycle, no a <-> b where a
    is an ancestor of b, no arrowhead at an end of ---). That a class has exactly these marks is checked by
    ``member``, not on construction: what is learned from data, or narrowed by knowledge, need not be one.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        _measured(self)
        _acyclic(self)
        _ancestral(self)

    @functools.cached_property
    def member(self) -> MAG:
        """A MAG of the class, the same one whatever the order of the nodes; it has --- only where the PAG has.

        Raises ``WhenceError`` (``not_a_pag``) when this is the PAG of no MAG; the check is exact, because
        the MAG tried is a member whenever there is one (Zhang 2008, theorem 2).
        """
        return _member_of_pag(self)


CLASSES: dict[str, type[Graph]] = {c.__name__: c for c in (DAG, CPDAG, MPDAG, ADMG, MAG, PAG)}


def _name_order(graph: Graph) -> list[int]:
    return sorted(range(len(graph)), key=graph.names.__getitem__)


def _first(graph: Graph, where: np.ndarray) -> tuple[str, str]:
    """The first pair in name order where a symmetric or one-sided condition holds."""
    either = where | where.T
    order = _name_order(graph)
    i, j = np.argwhere(either[np.ix_(order, order)])[0]
    return graph.names[order[i]], graph.names[order[j]]


def _edge(graph: Graph, marks: np.ndarray, a: str, b: str) -> str:
    i, j = graph.index[a], graph.index[b]
    left, right = int(marks[j, i]), int(marks[i, j])
    return f"{a} {edge_text(left, right)} {b}" if left else f"no edge between {a} and {b}"


def _only(graph: Graph, *allowed: str) -> None:
    m = graph.marks
    i, j = nonzero(m)
    left, right = m[j, i], m[i, j]
    wrong = np.ones(len(i), dtype=bool)
    for text in allowed:
        a, b = edge_marks(text)
        wrong &= ~(((left == a) & (right == b)) | ((left == b) & (right == a)))
    if wrong.any():
        where = np.zeros(m.shape, dtype=bool)
        where[i[wrong], j[wrong]] = True
        a, b = _first(graph, where)
        edges = " and ".join(allowed)
        raise WhenceError(
            f"{_article(graph.kind)} {graph.kind} has only {edges} edges, not {_edge(graph, m, a, b)}.",
            code="edge_not_allowed", value=[a, b], allowed=allowed, hint=_other_classes(m),
        )


def _article(kind: str) -> str:
    return "An" if kind in ("MPDAG", "ADMG") else "A"


def _other_classes(marks: np.ndarray) -> str:
    if (marks == CIRCLE).any():
        return "Circles belong to a PAG."
    if ((marks == ARROW) & (marks.T == ARROW)).any():
        return "<-> edges belong to an ADMG or a MAG."
    return "--- edges belong to a CPDAG, an MPDAG or a MAG."


def _acyclic(graph: Graph) -> None:
    bits = graph.bits
    cycle = find_cycle(bits.parents, bits.children)
    if cycle:
        raise cycle_error([bits.names[k] for k in cycle])


def _ancestral(graph: Graph) -> None:
    """Richardson and Spirtes (2002), definition of an ancestral graph, conditions (i) and (ii)."""
    bits = graph.bits
    for k, spouses in enumerate(bits.spouses):
        above = closure(bits.children, 1 << k) & spouses
        if above:
            end = ones(above)[0]
            walk = " --> ".join(bits.names[i] for i in shortest_path(bits.children, k, end))
            a, b = bits.names[k], bits.names[end]
            raise WhenceError(
                f"{_article(graph.kind)} {graph.kind} cannot have {a} <-> {b} beside {walk}.",
                code="almost_cycle", value=[a, b],
                hint="<-> says that neither end is a cause of the other; an ADMG allows both.",
            )
    head_at = (graph.marks == ARROW).any(axis=0)
    undirected = (graph.marks == TAIL) & (graph.marks.T == TAIL)
    wrong = undirected & (head_at[:, None] | head_at[None, :])
    if wrong.any():
        a, b = _first(graph, wrong)
        node = a if head_at[graph.index[a]] else b
        raise WhenceError(
            f"An arrowhead points at {node!r}, an end of {a} --- {b}.", code="not_ancestral", value=[a, b],
        )


def _maximal(graph: Graph) -> None:
    bits = graph.bits
    for i, j in inducing_pairs(bits):
        a, b = bits.names[i], bits.names[j]
        path = [graph.index[bits.names[k]] for k in inducing_path(bits, i, j)]
        steps = itertools.pairwise(path)
        walk = a + "".join(f" {edge_text(*graph.marks[[t, s], [s, t]])} {graph.names[t]}" for s, t in steps)
        edge = "-->" if bits.ancestors[j] >> i & 1 else "<--" if bits.ancestors[i] >> j & 1 else "<->"
        raise WhenceError(
            f"This is not maximal: {a} and {b} have no edge, and nothing separates them, because of the inducing "
            f"path {walk}.", code="not_maximal", value=[a, b], hint=f"Add {a} {edge} {b}.",
        )


def _member_of_pag(graph: PAG) -> MAG:
    order = _name_order(graph)
    back = np.ix_(*[np.argsort(order)] * 2)
    found = member_of_pag(graph.marks[np.ix_(order, order)])
    if found is None:
        raise WhenceError(
            "This is the PAG of no MAG: its o-o edges have a cycle of four or more without a chord, which would "
            "be undirected.", code="not_a_pag", value=_circle_edges(graph),
        )
    try:
        mag = MAG(graph.names, found[back])
    except WhenceError as error:
        raise WhenceError(
            f"This is the PAG of no MAG. {error.message}", code="not_a_pag", value=error.value, hint=error.hint,
        ) from error
    expected = class_of_mag(found)[back]
    wrong = graph.marks != expected
    if wrong.any():
        a, b = _first(graph, wrong)
        have, want = _edge(graph, graph.marks, a, b), _edge(graph, expected, a, b)
        raise WhenceError(
            f"This is the PAG of no MAG: {have} should be {want}, as in the class of the MAG built from its marks.",
            code="not_a_pag", value=[a, b], hint="A MAG is turned into its PAG by to_pag.",
        )
    return mag


def _circle_edges(graph: Graph) -> list[list[str]]:
    return [[a, b] for a, edge, b in graph.edges() if edge == "o-o"]


def _measured(graph: Graph) -> None:
    if graph.latents:
        names = sorted(graph.latents)
        raise WhenceError(
            f"{_article(graph.kind)} {graph.kind} has measured nodes only, not latent {names}.",
            code="latent_node", value=names, hint="Hidden causes are in its edges already.",
        )


def _member_marks(graph: Graph) -> np.ndarray:
    """The marks of a DAG with the same edges, arrows and v-structures, ties by name."""
    order = _name_order(graph)
    found, stuck = extension(graph.marks[np.ix_(order, order)])
    if found is None:
        inside = np.zeros(len(graph), dtype=bool)
        inside[[order[k] for k in stuck]] = True
        undirected = (graph.marks == TAIL) & (graph.marks.T == TAIL) & inside[:, None] & inside[None, :]
        a, b = _first(graph, undirected)
        raise WhenceError(
            f"No DAG fits: {a} --- {b} cannot be directed either way together with the other edges among "
            f"{[graph.names[order[k]] for k in stuck]} without a cycle or a new v-structure.",
            code="no_extension", value=[a, b],
        )
    back = np.argsort(order)
    return found[np.ix_(back, back)]
