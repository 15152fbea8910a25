"""What a class of graphs can say: whether a statement about two nodes holds in all, some or no members."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.core.result import fields_to_plain
from whence.graphs.build import graph as as_graph
from whence.graphs.classes import ADMG, CPDAG, DAG, MAG, MPDAG, PAG
from whence.graphs.graph import TAIL, Graph, matrices_from_edges
from whence.graphs.member_search import Met, settle
from whence.graphs.orient import extension
from whence.graphs.possible import PagReach
from whence.graphs.separation import separated
from whence.graphs.terms import TERMS, Spent, shortest, with_term, without_terms
from whence.graphs.zhang import class_of_mag

# Kind -> how it is said of a and b.
KINDS = {
    "causes": "{a} causes {b}",
    "parent": "{a} is a parent of {b}",
    "indirect": "{a} causes {b} through something else",
    "common_cause": "{a} and {b} share a common cause",
    "common_effect": "{a} and {b} have a common effect",
}
SYMMETRIC = ("common_cause", "common_effect")
VERDICTS = ("all", "some", "none", "undecided")
_CLASSES = (DAG, CPDAG, MPDAG, ADMG, MAG, PAG)


@dataclass(frozen=True)
class Claim:
    """Whether one statement about two nodes holds in all, some or no members of a class.

    verdict: ``"all"``, ``"some"``, ``"none"``, or ``"undecided"`` when the search was given up (a big PAG). why:
    one sentence. holds_in, fails_in: a member of either kind where one is known: both when ``"some"``.
    It acts as the truth of "holds in all members".
    """

    kind: str
    a: str
    b: str
    verdict: str
    why: str
    holds_in: Graph | None = field(default=None, repr=False)
    fails_in: Graph | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self.verdict == "all"

    @property
    def text(self) -> str:
        """The statement in words."""
        return KINDS[self.kind].format(a=self.a, b=self.b)

    def to_dict(self) -> dict[str, Any]:
        return {"text": self.text, **fields_to_plain(self)}

    def __str__(self) -> str:
        return f"{self.text}: {self.verdict}. {self.why}"

    def _repr_html_(self) -> str:
        return (f"<p><b>{html.escape(self.text)}</b>: {self.verdict}. {html.escape(self.why)}</p>")


@dataclass(frozen=True)
class Claims:
    """Every statement about two nodes with its verdict; iterate, or take one by kind with ``of``."""

    a: str
    b: str
    graph: Graph = field(repr=False)
    every: tuple[Claim, ...]

    def of(self, kind: str, a: str | None = None) -> Claim:
        """The claim of a kind; a: the node it starts from (default the first). Raises ``WhenceError``."""
        _check_kind(kind)
        start = self.a if a is None else a
        for one in self.every:
            if one.kind == kind and (kind in SYMMETRIC or one.a == start):
                return one
        raise unknown_name("node of these claims", start, (self.a, self.b), code="unknown_node")

    def __iter__(self) -> Iterator[Claim]:
        return iter(self.every)

    def __len__(self) -> int:
        return len(self.every)

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        return "\n".join(f"{one.verdict:<10} {one.text}" for one in self.every)

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{html.escape(one.text)}</td><td>{one.verdict}</td><td>{html.escape(one.why)}</td></tr>"
                       for one in self.every)
        return f"<table><tr><th>Statement</th><th>Members</th><th>Why</th></tr>{rows}</table>"


def claims(graph: Graph | Any, a: str, b: str, budget: int = 200) -> Claims:
    """What every, some or no member of a class says about a and b: eight claims.

    graph: DAG, CPDAG, MPDAG, ADMG, MAG or PAG, or anything ``whence.graph`` reads. The kinds:

    - ``causes``: a directed path from a to b.
    - ``parent``: the arrow a --> b.
    - ``indirect``: a directed path from a to b through a third node.
    - ``common_cause``: a third node, measured or hidden, with a directed path to a that does not pass b and one
      to b that does not pass a (a confounder).
    - ``common_effect``: a third node to which a and b have such paths (the end of a path forward, then backward).

    The members of a CPDAG or MPDAG are its DAGs, and the answer is exact. The members of a MAG or PAG are graphs
    with hidden causes and without selection; there, ``parent`` is read in the MAG (the arrow a --> b of a MAG
    says that a causes b and that no measured nodes separate them, not that nothing lies between),
    ``common_effect`` is any third measured node that both cause, and ``common_cause`` speaks of hidden causes
    too, so that one MAG may leave it open. budget: turns or members tried before "undecided".

    Raises ``WhenceError``: an unknown node, the same node twice, a graph that is no class, or one with selection.
    """
    read, a, b = _checked(graph, a, b)
    asked = [(kind, *pair) for kind in KINDS for pair in ([(a, b)] if kind in SYMMETRIC else [(a, b), (b, a)])]
    return Claims(a, b, read, tuple(_answers(read, asked, budget)))


def claim(graph: Graph | Any, kind: str, a: str, b: str, budget: int = 200) -> Claim:
    """One claim of ``claims``: whether ``kind`` holds of a and b in all, some or no members of the class."""
    _check_kind(kind)
    read, a, b = _checked(graph, a, b)
    return _answers(read, [(kind, a, b)], budget)[0]


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise unknown_name("kind of claim", kind, KINDS, code="unknown_claim")


def _checked(graph: Any, a: str, b: str) -> tuple[Graph, str, str]:
    read = as_graph(graph)
    if not isinstance(read, _CLASSES):
        raise WhenceError(f"Claims are read in a class of graphs, not in a {read.kind}.", code="unsupported_graph",
                          value=read.kind, allowed=tuple(c.__name__ for c in _CLASSES))
    for name in (a, b):
        read.position(name)
    if a == b:
        raise WhenceError(f"A claim is about two different nodes, not {a!r} twice.", code="same_node", value=a)
    if isinstance(read, (MAG, PAG)):
        ends = np.argwhere((read.marks == TAIL) & (read.marks.T != 2) & (read.marks != 0))
        if len(ends):
            pair = [read.names[k] for k in map(int, ends[0])]
            raise WhenceError(
                f"The edge between {pair[0]!r} and {pair[1]!r} speaks of selection, which claims do not cover.",
                code="selection", value=pair, hint="A graph without --- and --o edges has no selection.",
            )
    return read, a, b


def _answers(graph: Graph, asked: list[tuple[str, str, str]], budget: int) -> list[Claim]:
    if isinstance(graph, (MAG, PAG)):
        return _of_mags(graph, asked, budget)
    read = _with_hidden_nodes(graph) if isinstance(graph, ADMG) else graph
    return [_of_dags(read, graph, *one, budget) for one in asked]


def _with_hidden_nodes(graph: ADMG) -> DAG:
    """The DAG with a latent node for each <-> edge; it answers every claim as all graphs it stands for."""
    names, edges, hidden = list(graph.names), [], []
    for x, edge, y in graph.edges():
        if edge == "<->":
            name = f"hidden cause of {x} and {y}"
            while name in graph:
                name += "'"
            hidden.append(name)
            edges += [(name, "-->", x), (name, "-->", y)]
        else:
            edges.append((x, edge, y))
    marks, bidirected = matrices_from_edges([*names, *hidden], edges)
    return DAG((*names, *hidden), marks, graph.latents | frozenset(hidden), bidirected)


def _of_dags(graph: Graph, given: Graph, kind: str, a: str, b: str, budget: int) -> Claim:
    """Exact for DAG, CPDAG and MPDAG; whence.graphs.terms has the reasons."""
    bits = graph.bits
    order = sorted(range(len(graph)), key=graph.names.__getitem__)
    marks = graph.marks[np.ix_(order, order)]
    terms = shortest(TERMS[kind](bits, bits.rank[a], bits.rank[b]))
    try:
        yes, no = with_term(marks, terms, budget), without_terms(marks, terms, budget)
    except Spent:
        return Claim(kind, a, b, "undecided", "The search was given up; a larger budget may decide it.")
    verdict = "none" if yes is None else "all" if no is None else "some"
    if isinstance(given, (DAG, ADMG)):
        said = KINDS[kind].format(a=a, b=b)
        why = f"In this graph {said}." if yes is not None else f"Not in this graph: {said}."
        return Claim(kind, a, b, verdict, why, given if yes is not None else None,
                     given if no is not None else None)
    holds, fails = (_dag(graph, part, order) for part in (yes, no))
    arrows = " and ".join(f"{bits.names[x]} --> {bits.names[y]}" for x, y in sorted(terms[0])) if terms else ""
    return Claim(kind, a, b, verdict, _why(verdict, arrows, "DAG"), holds, fails)


def _dag(graph: Graph, part: np.ndarray | None, order: list[int]) -> DAG | None:
    """A member of a part of the class (marks in name order)."""
    if part is None:
        return None
    found, _ = extension(part)
    if found is None:  # a closed part of a class has a member
        raise RuntimeError("a class closed under Meek's rules has no member")
    back = np.argsort(order)
    return DAG(graph.names, found[np.ix_(back, back)], graph.latents)


def _why(verdict: str, arrows: str, member: str) -> str:
    if verdict == "all":
        return f"It holds in every {member} with these independences."
    if verdict == "none":
        return f"It holds in no {member} with these independences."
    return f"It holds where {arrows}, which is open." if arrows else f"It holds in one {member} and not in another."


def _of_mags(graph: MAG | PAG, asked: list[tuple[str, str, str]], budget: int) -> list[Claim]:
    """By the marks of the PAG where they decide, else by members until both answers are met."""
    order = sorted(range(len(graph)), key=graph.names.__getitem__)
    back = np.ix_(*[np.argsort(order)] * 2)
    rank = graph.bits.rank
    member = graph.member if isinstance(graph, PAG) else graph
    start, marks = (one.marks[np.ix_(order, order)] for one in (member, graph))
    at = [(kind, rank[a], rank[b]) for kind, a, b in asked]
    reach = PagReach(marks)
    met = Met(at, [_shown(reach, member, one, names) for one, names in zip(at, asked, strict=True)])
    met.meet(start)
    met.complete = isinstance(graph, MAG)
    if not met.complete:
        settle(met, marks, start, budget)
    mags = {start.tobytes(): member}

    def mag(one: np.ndarray | None) -> MAG | None:
        if one is not None and one.tobytes() not in mags:
            if (class_of_mag(one) != marks).any():
                raise RuntimeError("a member was built outside its class")
            mags[one.tobytes()] = MAG(graph.names, one[back])
        return None if one is None else mags[one.tobytes()]

    out = []
    for k, (kind, a, b) in enumerate(asked):
        verdict = met.verdict(k)
        why = _mag_why(verdict, met.tried, k in met.open_in and not (k in met.holds and k in met.fails))
        out.append(Claim(kind, a, b, verdict, why, mag(met.holds.get(k)), mag(met.fails.get(k))))
    return out


def _shown(reach: PagReach, member: MAG, at: tuple[str, int, int], names: tuple[str, str, str]) -> str | None:
    """The verdict where no member needs to be listed."""
    if at[0] != "common_cause":
        return reach.verdict(*at)
    _, a, b = names
    if separated(member, a, b):
        return "none"
    neither = not reach.possible(at[1]) >> at[2] & 1 and not reach.possible(at[2]) >> at[1] & 1
    return "all" if neither else reach.verdict(*at)


def _mag_why(verdict: str, tried: int, one_open: bool) -> str:
    if verdict == "undecided":
        return f"The first {tried:,} members agree, and there are more; a larger budget may decide it."
    if one_open:
        return "One and the same MAG leaves it open: a hidden cause may lie beside an arrow."
    return _why(verdict, "", "MAG")
