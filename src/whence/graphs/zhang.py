"""Zhang's orientation rules R0 to R10, on mark matrices: what a class of MAGs has in common.

Nothing here knows names; ``pag`` and ``classes`` do. Every rule looks at one circle, the one at b's end of
a *-o b, and says which ends follow. All circles are looked at before an end is changed, and an end that a
rule turns both ways at once (separating sets that contradict each other) stays a circle, so the answer does
not depend on the order of the nodes.

The paths of R5, R9 and R10 are searched as walks, in polynomial time. That is sound and loses nothing: an
arrowhead that the rule excludes would be carried on along an uncovered walk, as along a path, until it
closes a directed cycle or makes a node an ancestor of its spouse.

Source: Zhang (2008), "On the completeness of orientation rules for causal discovery in the presence of latent
confounders and selection bias", Artificial Intelligence 172, whose numbers and Greek letters are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from whence.graphs.bits import closure, ones, rows
from whence.graphs.orient import extension

CIRCLE, ARROW, TAIL = 1, 2, 3

End = tuple[int, int, int]  # (a, b, mark): the mark at b's end of the edge between a and b
Separator = Callable[[int, int], int | None]


class Ends:
    """A mark matrix as bit sets that can be changed.

    near[m][k]: the nodes j with mark m at k's end of j-k. far[m][k]: those with mark m at j's own end.
    adjacent[k]: all of them. separator(i, j): the bit set that separates two nodes without an edge, or None
    when it is not known.
    """

    def __init__(self, marks: np.ndarray, separator: Separator) -> None:
        self.marks = np.array(marks, dtype=np.int8)
        turned = self.marks.T
        self.near = {m: rows(turned == m) for m in (CIRCLE, ARROW, TAIL)}
        self.far = {m: rows(self.marks == m) for m in (CIRCLE, ARROW, TAIL)}
        self.adjacent = rows(self.marks != 0)
        self.separator = separator
        self.closed_walks: set[tuple[int, int]] | None = None  # of R5, until an end is changed

    def put(self, a: int, b: int, mark: int) -> None:
        """The circle at b's end of a *-o b becomes ``mark``."""
        self.marks[a, b] = mark
        self.near[CIRCLE][b] ^= 1 << a
        self.far[CIRCLE][a] ^= 1 << b
        self.near[mark][b] |= 1 << a
        self.far[mark][a] |= 1 << b
        self.closed_walks = None

    def has_circle(self, a: int, b: int) -> bool:
        """Whether b's end of the edge between a and b is a circle."""
        return bool(self.near[CIRCLE][b] >> a & 1)

    def parents(self, k: int) -> int:
        return self.near[ARROW][k] & self.far[TAIL][k]

    def children(self, k: int) -> int:
        return self.near[TAIL][k] & self.far[ARROW][k]

    def apart(self, k: int) -> int:
        """The other nodes without an edge to k."""
        return ~(self.adjacent[k] | 1 << k)

    def onward(self, k: int) -> int:
        """Where a potentially directed path goes on from k: no arrowhead at k, no tail at the other end."""
        return self.adjacent[k] & ~self.near[ARROW][k] & ~self.far[TAIL][k]


Rule = Callable[[Ends, int, int], list[End]]


def rule_0(s: Ends, a: int, b: int) -> list[End]:
    """R0: a *-* b *-o c, a and c not adjacent, b not in what separates them: a *-> b <-* c."""
    found: list[End] = []
    for c in ones(s.adjacent[b] & s.apart(a)):
        given = s.separator(a, c)
        if given is not None and not given >> b & 1:
            found += [(a, b, ARROW), (c, b, ARROW)]
    return found


def rule_1(s: Ends, a: int, b: int) -> list[End]:
    """R1: alpha *-> b o-* a, alpha and a not adjacent: b --> a."""
    return [(a, b, TAIL), (b, a, ARROW)] if s.near[ARROW][b] & s.apart(a) else []


def rule_2(s: Ends, a: int, b: int) -> list[End]:
    """R2: a --> beta *-> b or a *-> beta --> b, and a *-o b: a *-> b."""
    between = s.children(a) & s.near[ARROW][b] | s.far[ARROW][a] & s.parents(b)
    return [(a, b, ARROW)] if between else []


def rule_3(s: Ends, a: int, b: int) -> list[End]:
    """R3: alpha *-> b <-* gamma, alpha *-o a o-* gamma, alpha and gamma not adjacent, a *-o b: a *-> b."""
    sides = s.near[ARROW][b] & s.near[CIRCLE][a]
    return [(a, b, ARROW)] if any(sides & s.apart(x) for x in ones(sides)) else []


def rule_4(s: Ends, a: int, b: int) -> list[End]:
    """R4: <theta, ..., alpha, b, a> is a discriminating path for b, and b o-* a.

    Every node between theta and b is a collider on the path and a parent of a; theta and a are not adjacent.
    b --> a when b is in what separates theta and a, otherwise alpha <-> b <-> a.
    """
    found: list[End] = []
    parents = s.parents(a)
    for alpha in ones(s.far[ARROW][b] & parents):
        for theta in ones(_discriminating(s, alpha, parents) & s.apart(a)):
            given = s.separator(theta, a)
            if given is None:
                continue
            if given >> b & 1:
                found += [(a, b, TAIL), (b, a, ARROW)]
            else:
                found += [(alpha, b, ARROW), (a, b, ARROW), (b, a, ARROW)]
    return found


def _discriminating(s: Ends, alpha: int, parents: int) -> int:
    """The nodes with an arrowhead path to alpha whose inner nodes are colliders among ``parents``."""
    inner = new = 1 << alpha
    starts = 0
    while new:
        into = spouses = 0
        for k in ones(new):
            into |= s.near[ARROW][k]
            spouses |= s.near[ARROW][k] & s.far[ARROW][k]
        starts |= into
        new = spouses & parents & ~inner
        inner |= new
    return starts


def rule_5(s: Ends, a: int, b: int) -> list[End]:
    """R5: a o-o b closes an uncovered circle path <a, gamma, ..., theta, b>, a and theta not adjacent, b and
    gamma not adjacent: a --- b, and likewise every edge of the path.
    """
    if not s.has_circle(b, a):
        return []
    if s.closed_walks is None:
        s.closed_walks = _closed_walks(s)
    return [(a, b, TAIL), (b, a, TAIL)] if (a, b) in s.closed_walks else []


def _closed_walks(s: Ends) -> set[tuple[int, int]]:
    """The steps (u, v) along o-o edges that lie on a closed walk whose nodes never skip to the next but one."""
    circles = [near & far for near, far in zip(s.near[CIRCLE], s.far[CIRCLE], strict=True)]
    after = {(u, v): circles[v] & s.apart(u) for u, row in enumerate(circles) for v in ones(row)}
    while True:  # drop the steps that lead nowhere; in a chordal component these are all
        ends = [step for step, following in after.items() if not following]
        if not ends:
            break
        for u, v in ends:
            del after[u, v]
            for t in ones(circles[u] & s.apart(v)):
                if (t, u) in after:
                    after[t, u] &= ~(1 << v)
    return {step for step in after if _returns(after, step)}


def _returns(after: dict[tuple[int, int], int], step: tuple[int, int]) -> bool:
    waiting, seen = [step], set()
    while waiting:
        u, v = waiting.pop()
        for w in ones(after[u, v]):
            if (v, w) == step:
                return True
            if (v, w) not in seen:
                seen.add((v, w))
                waiting.append((v, w))
    return False


def rule_6(s: Ends, a: int, b: int) -> list[End]:
    """R6: alpha --- b o-* a: b --* a."""
    return [(a, b, TAIL)] if s.near[TAIL][b] & s.far[TAIL][b] else []


def rule_7(s: Ends, a: int, b: int) -> list[End]:
    """R7: alpha --o b o-* a, alpha and a not adjacent: b --* a."""
    return [(a, b, TAIL)] if s.near[CIRCLE][b] & s.far[TAIL][b] & s.apart(a) else []


def rule_8(s: Ends, a: int, b: int) -> list[End]:
    """R8: b --> beta --> a or b --o beta --> a, and b o-> a: b --> a."""
    if not s.near[ARROW][a] >> b & 1:
        return []
    return [(a, b, TAIL)] if s.near[TAIL][b] & ~s.far[TAIL][b] & s.parents(a) else []


def rule_9(s: Ends, a: int, b: int) -> list[End]:
    """R9: b o-> a, and an uncovered potentially directed path <b, beta, theta, ..., a>, beta and a not
    adjacent: b --> a.
    """
    if not s.near[ARROW][a] >> b & 1:
        return []
    starts = ones(s.onward(b) & s.apart(a))
    return [(a, b, TAIL)] if any(_leads(s, b, beta, 1 << a) for beta in starts) else []


def rule_10(s: Ends, a: int, b: int) -> list[End]:
    """R10: b o-> a, beta --> a <-- theta, and uncovered potentially directed paths from b to beta and to theta
    whose second nodes mu and omega are distinct and not adjacent: b --> a.
    """
    parents = s.parents(a)
    if not s.near[ARROW][a] >> b & 1 or not parents:
        return []
    steps, second = s.onward(b) & ~(1 << a), 0
    for mu in ones(steps):
        if steps & s.apart(mu) and _leads(s, b, mu, parents):
            if second & s.apart(mu):
                return [(a, b, TAIL)]
            second |= 1 << mu
    return []


def _leads(s: Ends, u: int, v: int, targets: int) -> bool:
    """Whether an uncovered potentially directed walk <u, v, ...> meets ``targets`` from v on."""
    waiting, seen = [(u, v)], {(u, v)}
    while waiting:
        u, v = waiting.pop()
        if targets >> v & 1:
            return True
        for w in ones(s.onward(v) & s.apart(u)):
            if (v, w) not in seen:
                seen.add((v, w))
                waiting.append((v, w))
    return False


LOCAL = (rule_1, rule_2, rule_3, rule_6, rule_7, rule_8)  # what they need lies next to the edge
SELECTION = (rule_5, rule_6, rule_7)
RULES: tuple[Rule, ...] = (
    rule_1, rule_2, rule_3, rule_4, rule_5, rule_6, rule_7, rule_8, rule_9, rule_10,
)


def zhang(marks: np.ndarray, separator: Separator, *, selection: bool = True) -> np.ndarray:
    """``marks`` closed under R1 to R10: the first rule that turns an end does so everywhere, then from R1 again.

    marks: int8 (d, d) with circles where nothing is known, the unshielded colliders in place already (see
    ``colliders``). separator: for two positions without an edge, the bit set that separates them, or None.
    selection: whether units may have been selected by an effect of the nodes. R5 to R7 concern nothing else:
    only they make the undirected edges that such selection leaves, and without it they never apply to marks
    that are right; False leaves them out.

    Source: Zhang (2008), who proves the rules sound and complete.
    """
    s = Ends(marks, separator)
    rules = [rule for rule in RULES if selection or rule not in SELECTION]
    everything = {(int(a), int(b)) for a, b in np.argwhere(s.marks == CIRCLE)}
    pending = {rule: set(everything) for rule in rules}
    at = 0
    while at < len(rules):
        turned = _apply(s, rules[at], pending[rules[at]])
        pending[rules[at]].clear()
        if not turned:
            at += 1
            continue
        near = _circles_at(s, {k for a, b in turned for k in (a, b)})
        everything.difference_update(turned)
        for rule in rules:
            pending[rule] |= near if rule in LOCAL else everything
        at = 0
    return s.marks


def _apply(s: Ends, rule: Rule, circles: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Turn the ends that a rule demands one way only; the ends turned."""
    wanted: dict[tuple[int, int], int] = {}
    for a, b in circles:
        if s.has_circle(a, b):
            for x, y, mark in rule(s, a, b):
                if s.has_circle(x, y):
                    wanted[x, y] = mark if wanted.get((x, y), mark) == mark else CIRCLE
    turned = {end for end, mark in wanted.items() if mark != CIRCLE}
    for x, y in turned:
        s.put(x, y, wanted[x, y])
    return turned


def _circles_at(s: Ends, nodes: Iterable[int]) -> set[tuple[int, int]]:
    """The circles (a, b), at b's end, of all edges that touch one of ``nodes``."""
    found = set()
    for k in nodes:
        found.update((a, k) for a in ones(s.near[CIRCLE][k]))
        found.update((k, b) for b in ones(s.far[CIRCLE][k]))
    return found


def colliders(adjacent: np.ndarray, separator: Separator) -> np.ndarray:
    """The marks with o at every end but those that R0 turns into arrowheads. adjacent: (d, d), nonzero for an edge."""
    s = Ends(np.where(adjacent != 0, CIRCLE, 0), separator)
    _apply(s, rule_0, [(int(a), int(b)) for a, b in np.argwhere(s.marks == CIRCLE)])
    return s.marks


def class_of_mag(marks: np.ndarray) -> np.ndarray:
    """The marks of the PAG of a MAG: the ends that all Markov equivalent MAGs have in common."""
    separator = separator_in(marks)
    selected = bool(((marks == TAIL) & (marks.T == TAIL)).any())
    return zhang(colliders(marks, separator), separator, selection=selected)


def separator_in(marks: np.ndarray) -> Separator:
    """What separates two nodes of a MAG without an edge: the others that are anterior to one of them.

    Source: Richardson and Spirtes (2002), theorem 4.2.
    """
    arrow, tail = marks == ARROW, marks == TAIL
    upward = rows(tail & arrow.T | tail & tail.T)
    anterior = [closure(upward, 1 << k) for k in range(len(marks))]

    def separator(i: int, j: int) -> int:
        return (anterior[i] | anterior[j]) & ~(1 << i | 1 << j)

    return separator


def member_of_pag(marks: np.ndarray) -> np.ndarray | None:
    """The marks of a MAG of the class: o-> and --o become -->, and o-o a DAG without unshielded colliders.

    None when the o-o edges are not chordal, which is so in no PAG. Ties fall by storage order.
    Source: Zhang (2008), theorem 2 (arrowhead augmentation).
    """
    arrow, tail, circle = marks == ARROW, marks == TAIL, marks == CIRCLE
    both = circle & circle.T
    directed, _ = extension(np.where(both, TAIL, 0))
    if directed is None:
        return None
    out = np.where(circle & arrow.T, TAIL, np.where(circle & tail.T, ARROW, marks))
    return np.where(both, directed, out).astype(np.int8)
