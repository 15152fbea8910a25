"""Background knowledge about directions: tiers, required and forbidden arrows, who said it, and its check."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.core.hashing import content_hash
from whence.core.result import Refused, Remark, fields_to_plain
from whence.graphs.bits import closure, find_cycle, ones
from whence.graphs.classes import CPDAG, DAG, MPDAG
from whence.graphs.graph import ARROW, TAIL, Graph
from whence.graphs.orient import meek

Pair = tuple[str, str]


@dataclass(frozen=True)
class Knowledge:
    """What is known before the data are seen.

    tiers: groups of nodes in order of time; nothing causes a node of an earlier tier. A node in no tier is
    free. required, forbidden: pairs (a, b) for the arrow a --> b; a required arrow must be there, directly.
    within_tiers: whether nodes of one tier may cause each other. source: who said it and why.

    Statements that contradict each other raise ``WhenceError`` (``contradictory_knowledge``).
    """

    tiers: tuple[tuple[str, ...], ...] = ()
    required: tuple[Pair, ...] = ()
    forbidden: tuple[Pair, ...] = ()
    within_tiers: bool = True
    source: str = ""

    def __post_init__(self) -> None:
        tiers = (_list(tier, "tiers") for tier in _list(self.tiers, "tiers"))
        object.__setattr__(self, "tiers", tuple(tuple(map(_name, tier)) for tier in tiers))
        for field in ("required", "forbidden"):
            pairs = (_pair(p, field) for p in _list(getattr(self, field), field))
            object.__setattr__(self, field, tuple(dict.fromkeys(pairs)))
        if not isinstance(self.within_tiers, bool):
            raise _malformed("within_tiers", "True or False", self.within_tiers)
        if not isinstance(self.source, str):
            raise _malformed("source", "text", self.source)
        seen: dict[str, int] = {}
        for k, tier in enumerate(self.tiers):
            for name in tier:
                if name in seen:
                    raise _contradiction(f"{name!r} is in tier {seen[name] + 1} and in tier {k + 1}.", [name])
                seen[name] = k
        self._check_statements()

    def _check_statements(self) -> None:
        for a, b in self.required:
            if (a, b) in set(self.forbidden):
                raise _contradiction(f"{a} --> {b} is both required and forbidden.", [a, b])
            why = self._tier_objection(a, b)
            if why:
                raise _contradiction(f"{a} --> {b} is required, but {why}.", [a, b])
        names = sorted({n for pair in self.required for n in pair})
        cycle = find_cycle(*self._required_bits(names))
        if cycle:
            walk = [names[k] for k in cycle]
            raise _contradiction(f"The required arrows make a cycle: {' --> '.join(walk)}.", walk)

    def _required_bits(self, names: Sequence[str]) -> tuple[list[int], list[int]]:
        at = {name: k for k, name in enumerate(names)}
        above, below = [0] * len(names), [0] * len(names)
        for a, b in self.required:
            above[at[b]] |= 1 << at[a]
            below[at[a]] |= 1 << at[b]
        return above, below

    @functools.cached_property
    def tier_of(self) -> dict[str, int]:
        """The tier of each node that has one, from 0."""
        return {name: k for k, tier in enumerate(self.tiers) for name in tier}

    @functools.cached_property
    def _upstream(self) -> dict[str, frozenset[str]]:
        """Per node of a required arrow: the nodes above it by required arrows."""
        names = sorted({n for pair in self.required for n in pair})
        above, _ = self._required_bits(names)
        return {
            name: frozenset(names[i] for i in ones(closure(above, 1 << k) & ~(1 << k)))
            for k, name in enumerate(names)
        }

    @functools.cached_property
    def _forbidden(self) -> frozenset[Pair]:
        return frozenset(self.forbidden)

    @property
    def names(self) -> frozenset[str]:
        """Every node mentioned."""
        pairs = (*self.required, *self.forbidden)
        return frozenset(self.tier_of) | {name for pair in pairs for name in pair}

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return bool(self.required or self.forbidden or self.tiers)

    def _tier_objection(self, a: str, b: str) -> str:
        first, second = self.tier_of.get(a), self.tier_of.get(b)
        if first is None or second is None:
            return ""
        if first > second:
            return f"{a} is in tier {first + 1}, later than {b} in tier {second + 1}"
        if first == second and not self.within_tiers:
            return f"{a} and {b} are both in tier {first + 1}, where nodes do not cause each other"
        return ""

    def objection(self, a: str, b: str) -> str:
        """Why a --> b cannot be, in words; empty when it can."""
        if (a, b) in self._forbidden:
            return f"{a} --> {b} is forbidden"
        why = self._tier_objection(a, b)
        if why:
            return why
        if b in self._upstream.get(a, ()):
            return f"{b} is required to be upstream of {a}"
        return ""

    def allows(self, a: str, b: str) -> bool:
        """Whether a --> b may be."""
        return not self.objection(a, b)

    def allowed(self, names: Sequence[str]) -> np.ndarray:
        """bool (d, d): entry [i, j] says whether names[i] --> names[j] may be; the diagonal is False."""
        d, at = len(names), {name: i for i, name in enumerate(names)}
        tier = np.array([self.tier_of.get(name, -1) for name in names])
        both = (tier[:, None] >= 0) & (tier[None, :] >= 0)
        later = tier[:, None] > tier[None, :]
        if not self.within_tiers:
            later |= tier[:, None] == tier[None, :]
        out = ~(both & later)
        for a, b in self.forbidden:
            if a in at and b in at:
                out[at[a], at[b]] = False
        for a, upstream in self._upstream.items():
            if a in at:
                out[at[a], [at[b] for b in upstream if b in at]] = False
        out[np.arange(d), np.arange(d)] = False
        return out

    def orientations(self, names: Sequence[str]) -> list[Pair]:
        """The pairs (a, b) of ``names`` for which an edge, if there is one, must be a --> b; sorted."""
        names = sorted(names)
        may = self.allowed(names)
        return [(names[i], names[j]) for i, j in np.argwhere(may & ~may.T)]

    def validate(self, names: Iterable[str]) -> None:
        """Raise ``WhenceError`` (``unknown_node``) for a statement about a node that is not one of ``names``."""
        known = tuple(names)
        for name in sorted(self.names - set(known)):
            raise unknown_name("node in the knowledge", name, known, code="unknown_node")

    def check(self, graph: Graph) -> list[Remark]:
        """Every contradiction between ``graph`` and this knowledge, one remark each, in name order.

        An edge whose direction the graph leaves open contradicts only when both directions are ruled out
        or an arrow is required. In a MAG or PAG an arrow means ancestry, so only tiers and required arrows
        speak about it.
        """
        found = [
            Remark("unknown_node", f"The knowledge is about {name!r}, which is not in the graph.", (name,))
            for name in sorted(self.names - set(graph.names))
        ]
        for a, b in sorted(self.required):
            if a in graph and b in graph:
                found += _check_required(graph, a, b)
        for a, edge, b in sorted(graph.edges()):
            found += self._check_edge(graph, a, edge, b)
        return found

    def _check_edge(self, graph: Graph, a: str, edge: str, b: str) -> list[Remark]:
        object_to = self._tier_objection if graph.kind in ("MAG", "PAG") else self.objection
        if edge == "-->":
            why = object_to(a, b)
        elif edge == "---" and graph.kind not in ("MAG", "PAG"):
            ways = (object_to(a, b), object_to(b, a))
            why = " and ".join(ways) if all(ways) else ""
        else:
            why = ""
        if not why:
            return []
        return [Remark("against_knowledge", f"The graph has {a} {edge} {b}, but {why}.", (a, b),
                       {"edge": edge, "knowledge": why, "source": self.source})]

    def apply(self, graph: CPDAG | MPDAG | DAG) -> MPDAG | Refused:
        """The DAGs of the class that agree with this knowledge, as an MPDAG, or why there are none.

        Statements about nodes that the graph lacks are a ``WhenceError`` (``unknown_node``). Each arrow is
        added in name order and Meek's rules applied (Perkovic, Kalisch and Maathuis 2017, algorithm 1).
        """
        if not isinstance(graph, (CPDAG, MPDAG, DAG)):
            raise WhenceError(
                f"Knowledge orients a CPDAG, an MPDAG or a DAG, not {getattr(graph, 'kind', graph)!r}.",
                code="unsupported_graph", allowed=("CPDAG", "MPDAG", "DAG"),
            )
        self.validate(graph.names)
        clashes = self.check(graph)
        if clashes:
            return self._refused(clashes[0].text, graph, *clashes[0].about)
        marks = graph.marks
        for a, b in self.orientations(graph.names):
            i, j = graph.index[a], graph.index[b]
            if marks[i, j] == TAIL and marks[j, i] == TAIL:
                marks = meek(marks, [(i, j)])
            elif marks[i, j] == TAIL and marks[j, i] == ARROW:
                reason = f"{a} --> {b} must hold, but {b} --> {a} follows from the graph and the other statements."
                return self._refused(reason, graph, a, b)
        return MPDAG(graph.names, marks, graph.latents)

    def _refused(self, reason: str, graph: Graph, a: str, b: str) -> Refused:
        return Refused(
            "knowledge_contradicts_graph", reason,
            {"pair": [a, b], "objection": self.objection(b, a) or self.objection(a, b), "source": self.source,
             "graph": graph.to_dict()},
            "Withdraw the statement, or give the knowledge to the discovery step so that it shapes the graph.",
        )

    @property
    def hash(self) -> str:
        return content_hash(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    @staticmethod
    def from_dict(given: Mapping[str, Any]) -> Knowledge:
        """Knowledge from plain values. Raises ``WhenceError`` for an unknown field or a bad statement."""
        known = [f.name for f in fields(Knowledge)]
        for key in given:
            if key not in known:
                raise unknown_name("knowledge field called", key, known, code="unknown_field")
        return Knowledge(**given)

    def to_text(self) -> str:
        """The statements one a line; ``from_text`` reads them back."""
        from whence.graphs.formats.knowledge import write

        return write(self)

    @staticmethod
    def from_text(text: str) -> Knowledge:
        """Knowledge from lines such as ``tier: age sex``, ``require a --> b``, ``forbid b --> a``.

        Raises ``WhenceError`` (``bad_knowledge``) that names the line.
        """
        from whence.graphs.formats.knowledge import read

        return read(text)


_SHAPES = {"tiers": '[["age", "sex"], ["smoking"]]', "required": '[("a", "b")] for a --> b',
           "forbidden": '[("a", "b")] for a --> b'}


def _malformed(field: str, wanted: str, value: Any) -> WhenceError:
    example = f"For example {field}={_SHAPES[field]}." if field in _SHAPES else None
    return WhenceError(f"{field} of knowledge must be {wanted}, not {value!r}.", code="bad_knowledge",
                       value=value, allowed=wanted, hint=example)


def _list(value: Any, field: str) -> Iterable[Any]:
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise _malformed(field, "groups of names" if field == "tiers" else "pairs of names", value)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise WhenceError(f"A node name must be text, not {value!r}.", code="bad_knowledge", value=value)
    return value


def _pair(value: Any, field: str) -> Pair:
    if not isinstance(value, (list, tuple)) or len(value) != 2 or value[0] == value[1]:
        raise _malformed(field, "pairs of two different names", value)
    return _name(value[0]), _name(value[1])


def _contradiction(message: str, about: list[str]) -> WhenceError:
    return WhenceError(message, code="contradictory_knowledge", value=about,
                       hint="The statements contradict each other: withdraw one.")


def _check_required(graph: Graph, a: str, b: str) -> list[Remark]:
    i, j = graph.index[a], graph.index[b]
    at_a, at_b = int(graph.marks[j, i]), int(graph.marks[i, j])
    if not at_b:
        text = f"{a} --> {b} is required, but the graph has no edge between them."
        return [Remark("required_edge_missing", text, (a, b))]
    if at_a == ARROW and at_b == ARROW:
        text = f"{a} --> {b} is required, but the graph has only {a} <-> {b}."
        return [Remark("against_knowledge", text, (a, b))]
    open_ended = graph.kind not in ("MAG", "PAG") and (at_a, at_b) == (TAIL, TAIL)
    if (at_a == ARROW or at_b == TAIL) and not open_ended:
        edge = next(f"{x} {e} {y}" for x, e, y in graph.edges() if {x, y} == {a, b})
        text = f"{a} --> {b} is required, but the graph has {edge}."
        return [Remark("against_knowledge", text, (a, b))]
    return []
