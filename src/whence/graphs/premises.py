"""From statements of (in)dependence, as people write them, to the graphs they allow, and what follows from them."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import fields_to_plain
from whence.graphs.claims import KINDS, claim
from whence.graphs.classes import CPDAG
from whence.graphs.formats.statements import Statement, hypothesis, read
from whence.graphs.graph import ARROW, TAIL, Graph
from whence.graphs.hypotheses import held_in_all
from whence.graphs.orient import class_of, extension, meek
from whence.graphs.separation import separated
from whence.graphs.small_classes import MOST, SmallClasses, smallest_clash


@dataclass(frozen=True)
class Premise:
    """What a list of statements allows: the Markov equivalence classes of DAGs over its variables, without hidden
    causes, in which the independences stated hold and the dependences stated hold as well (faithfulness).

    graph: the class when there is one, else None. graphs: all classes allowed. closed: whether a pair of which
    no independence was stated counts as dependent whatever is given.
    """

    variables: tuple[str, ...]
    statements: tuple[Statement, ...]
    closed: bool
    graphs: tuple[CPDAG, ...] = field(repr=False)

    @property
    def graph(self) -> CPDAG | None:
        return self.graphs[0] if len(self.graphs) == 1 else None

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        if self.graph is not None:
            return f"{len(self.statements)} statements, one class: {self.graph!r}"
        return f"{len(self.statements)} statements allow {len(self.graphs):,} classes over {', '.join(self.variables)}"

    def _repr_html_(self) -> str:
        from whence.graphs.svg import to_svg

        picture = to_svg(self.graph) if self.graph is not None else ""
        return f"<figure>{picture}<figcaption>{html.escape(str(self))}</figcaption></figure>"


@dataclass(frozen=True)
class Contradiction:
    """No DAG over these variables fits the statements; falsy.

    clash: statements that cannot hold together, as few as could be found. reason: one sentence. graph: the nearest
    class, the one that fits all else, where there is one to show.
    """

    reason: str
    clash: tuple[Statement, ...]
    variables: tuple[str, ...]
    graph: CPDAG | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return False

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        return self.reason

    def _repr_html_(self) -> str:
        lines = "".join(f"<li>{html.escape(str(s))}</li>" for s in self.clash)
        return f"<p><b>Contradiction.</b> {html.escape(self.reason)}</p><ul>{lines}</ul>"


@dataclass(frozen=True)
class Judgement:
    """Whether a hypothesis follows from a premise; it acts as that truth value.

    verdict: ``"entailed"`` (in every DAG allowed), ``"possible"`` (in some) or ``"impossible"`` (in none). why: one
    sentence. holds_in, fails_in: a DAG of either kind where there is one.
    """

    hypothesis: str
    verdict: str
    why: str
    holds_in: Graph | None = field(default=None, repr=False)
    fails_in: Graph | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self.verdict == "entailed"

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def __str__(self) -> str:
        return f"{self.verdict}: {self.hypothesis} {self.why}"

    def _repr_html_(self) -> str:
        return f"<p><b>{self.verdict}</b>: {html.escape(self.hypothesis)} {html.escape(self.why)}</p>"


def premises(
    statements: str | Iterable[str | tuple[Any, ...]], variables: Iterable[str] | None = None, closed: bool = True
) -> Premise | Contradiction:
    """The class of DAGs that statements of dependence and independence describe.

    statements: text, or one statement each, such as ``"A _||_ B | C, D"``, ``"A is independent of B given C."``,
    ``"A correlates with B"``, ``"A and B are not independent given C"``, or a tuple ``("A", "B", ["C"])`` for an
    independence. Text may begin "Suppose there is a closed system of 3 variables, A, B and C." variables: the
    names, where the statements do not mention all of them.
    closed: True when what is not listed is dependent: two variables of which no independence is stated are
    dependent whatever is given. Of a pair that is independent one separating set is enough; other independences
    that follow need not be listed. With False nothing is supposed of what is not listed, and the premise may
    allow several classes (at most 5 variables).

    Returns a falsy ``Contradiction`` when no DAG fits. Raises ``WhenceError`` for a sentence it cannot read
    (``bad_statement``), or too many variables with ``closed=False`` (``too_many_variables``).
    Source: Verma and Pearl (1990); Spirtes, Glymour and Scheines (2000), the SGS algorithm.
    """
    found, named = read(statements)
    names = tuple(dict.fromkeys([*(variables or ()), *named, *(n for s in found for n in s.names)]))
    if variables is not None:
        given = tuple(dict.fromkeys(variables))
        for name in names:
            if name not in given:
                raise WhenceError(f"A statement is about {name!r}, which is not one of the variables.",
                                  code="unknown_node", value=name, allowed=given)
    if len(names) < 2:
        raise WhenceError("A premise needs statements about two variables or more.", code="empty_premise",
                          hint='For example "A is independent of B given C."')
    if closed:
        return _closed(names, found)
    if len(names) > MOST:
        raise WhenceError(
            f"With closed=False all classes are gone through, for at most {MOST} variables, not {len(names)}.",
            code="too_many_variables", value=len(names), allowed=f"2 to {MOST}",
            hint="closed=True takes what is not listed as dependent.",
        )
    classes = SmallClasses.of(len(names))
    allowed = classes.fitting(names, found)
    if not allowed.any():
        clash = smallest_clash(names, found)
        return Contradiction(_clash_text(clash), clash, names)
    graphs = tuple(CPDAG(names, marks) for marks in classes.marks[allowed])
    return Premise(names, found, False, graphs)


def _clash_text(clash: Iterable[Statement]) -> str:
    lines = [str(s) for s in clash]
    return f"No DAG without hidden causes fits: {'; '.join(lines)}."


def _closed(names: tuple[str, ...], statements: tuple[Statement, ...]) -> Premise | Contradiction:
    """Pairs never said to be independent are adjacent; a separating set says which middle nodes are colliders."""
    independent = [s for s in statements if s.independent]
    apart = {frozenset((s.a, s.b)) for s in independent}
    at = {name: k for k, name in enumerate(names)}
    marks = np.zeros((len(names), len(names)), dtype=np.int8)
    for a, b in combinations(names, 2):
        if frozenset((a, b)) not in apart:
            marks[at[a], at[b]] = marks[at[b], at[a]] = TAIL
    skeleton = marks.copy()
    decided: dict[tuple[frozenset[str], str], Statement] = {}
    for s in independent:
        for c in names:
            if c in (s.a, s.b) or not skeleton[at[s.a], at[c]] or not skeleton[at[s.b], at[c]]:
                continue
            before = decided.setdefault((frozenset((s.a, s.b)), c), s)
            if (c in before.given) != (c in s.given):
                return _contradiction(names, statements, (before, s), f"{c} is joined to both {s.a} and {s.b}, so it "
                                      f"belongs to every set that separates them or to none")
            if c not in s.given:
                for end in (s.a, s.b):
                    if marks[at[c], at[end]] == ARROW:
                        other = next(o for (pair, mid), o in decided.items() if mid == end and c in pair
                                     and end not in o.given)
                        return _contradiction(names, statements, (other, s),
                                              f"one makes {c} a cause of {end}, the other {end} a cause of {c}")
                    marks[at[end], at[c]], marks[at[c], at[end]] = ARROW, TAIL
    graph = _class_with(names, marks)
    if graph is None:
        return _contradiction(names, statements, tuple(independent),
                              "their arrows cannot all be drawn without a cycle or another independence")
    for s in statements:
        if bool(separated(graph, s.a, s.b, s.given)) != s.independent:
            return _contradiction(names, statements, (s,), "the class that the others describe says otherwise", graph)
    return Premise(names, statements, True, (graph,))


def _class_with(names: tuple[str, ...], marks: np.ndarray) -> CPDAG | None:
    """The class with these adjacencies and just these v-structures, if there is one."""
    try:
        Graph(names, marks)
        found, _ = extension(meek(marks))
        return None if found is None else CPDAG(names, class_of(found))
    except WhenceError:
        return None


def _contradiction(
    names: tuple[str, ...], statements: tuple[Statement, ...], clash: tuple[Statement, ...], why: str,
    graph: CPDAG | None = None,
) -> Contradiction:
    """With few variables the fewest statements that clash whatever is not listed, where there are some."""
    if len(names) <= MOST:
        fewest = smallest_clash(names, statements)
        if fewest:
            return Contradiction(_clash_text(fewest), fewest, names, graph)
    where = " With everything else dependent, " if len(clash) == 1 else " Both pairs being otherwise dependent, "
    if len(clash) > 2:
        where = " "
    lines = "; ".join(map(str, clash))
    return Contradiction(f"No DAG without hidden causes fits: {lines}.{where}{why}.", clash, names, graph)


_VERDICT = {"all": "entailed", "some": "possible", "none": "impossible"}


def judge(premise: Premise | Contradiction, text: str) -> Judgement:
    """Whether a hypothesis holds in every, some or no DAG that the premise allows.

    text: one of the six sentences "A directly causes B", "A is a cause for B, but not a direct one" (or "A
    influences B through some mediators"), "There exists at least one confounder (i.e., common cause) of A and B",
    "There exists at least one collider (i.e., common effect) of A and B", "A causes B", or the passive.
    Raises ``WhenceError``: a sentence it cannot read, an unknown variable, or a contradictory premise.
    """
    if isinstance(premise, Contradiction):
        raise WhenceError("From statements that contradict each other nothing follows.", code="contradictory_premise",
                          value=[str(s) for s in premise.clash], hint="Withdraw one of the statements that clash.")
    kind, a, b = hypothesis(text)
    found = [claim(graph, kind, a, b) for graph in premise.graphs]
    verdicts = {one.verdict for one in found}
    verdict = verdicts.pop() if len(verdicts) == 1 else "some"
    holds = next((one.holds_in for one in found if one.holds_in is not None), None)
    fails = next((one.fails_in for one in found if one.fails_in is not None), None)
    many = f"{len(premise.graphs):,} classes" if len(premise.graphs) > 1 else "class"
    why = found[0].why if len(found) == 1 else {
        "all": f"It holds in every DAG of the {many} allowed.", "none": f"It holds in no DAG of the {many} allowed.",
        "some": f"It holds in some DAGs of the {many} allowed and not in others.",
    }[verdict]
    return Judgement(KINDS[kind].format(a=a, b=b) + ".", _VERDICT[verdict], why, holds, fails)


def valid_hypotheses(graph: CPDAG) -> int:
    """How many of the six hypotheses about each unordered pair hold in every DAG of the class.

    The six: a parent of b, b of a, a causes b through something else, b causes a so, a common cause, a common
    effect (the hypotheses of the Corr2Cause benchmark, Jin et al. 2024).
    """
    bits = graph.member.bits
    left, complete = held_in_all(bits.parents)
    if complete:
        return len(left)
    return sum(bool(claim(graph, kind, bits.names[a], bits.names[b])) for kind, a, b in left)
