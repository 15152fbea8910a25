"""Members of a PAG built to hold or to break a statement, where going through all of them would take too long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np

from whence.graphs.bits import closure, ones, rows
from whence.graphs.equivalent_mags import MagBits, may_change
from whence.graphs.possible import onward

CIRCLE, ARROW, TAIL = 1, 2, 3
End = tuple[int, int]


def rooted(marks: np.ndarray, root: int, late: int = 0) -> np.ndarray:
    """The member in which every o-> is --> and the o-o edges lead away from ``root`` wherever they can.

    In it ``root`` causes all that it causes in any member. marks: of a PAG without selection. late: the nodes that come
    after others where there is a choice.
    Source: Zhang (2008), theorem 2: any orientation of the o-o edges without an unshielded collider gives a member.
    They are chordal, so an order of maximum cardinality search from any node is one (Tarjan and Yannakakis 1984).
    """
    circle = marks == CIRCLE
    both = circle & circle.T
    at = np.empty(len(marks), dtype=np.int64)
    at[_search(rows(both), root, late)] = np.arange(len(marks))
    forward = at[:, None] < at[None, :]
    out = np.where(both, np.where(forward, ARROW, TAIL), np.where(circle, TAIL, marks))
    return out.astype(np.int8)


def _search(near: list[int], root: int, late: int) -> list[int]:
    """The nodes, each time one with the most neighbours already taken, from ``root`` on."""
    taken, order, left = [0] * len(near), [], set(range(len(near)))
    node = root
    while True:
        order.append(node)
        left.discard(node)
        if not left:
            return order
        for k in ones(near[node]):
            taken[k] += 1
        node = min(left, key=lambda k: (-taken[k], late >> k & 1, k))


def with_heads(marks: np.ndarray, ends: Iterable[End]) -> np.ndarray:
    """The member ``marks`` with the arrows k --> j of ``ends`` turned into k <-> j, in turn, where no other class
    comes of it (each change by Zhang and Spirtes 2005, lemma 1).
    """
    s, out, left = MagBits(marks), marks.copy(), list(ends)
    while True:
        kept = []
        for k, j in left:
            if s.children[k] >> j & 1:
                if may_change(s, k, j):
                    s.put_head(k, j)
                    out[j, k] = ARROW
                else:
                    kept.append((k, j))
        if len(kept) == len(left):
            return out
        left = kept


def likely_members(marks: np.ndarray, a: int, b: int) -> Iterator[np.ndarray]:
    """Members in which a or b causes much or little, from the likeliest to settle a statement about them on.

    Roots: a, b, what they may cause next, then the others. From each root the member as it is, then with arrows
    turned into <->, those on ways between a and b apart from the others. marks: of the PAG.
    """
    step = rows(onward(marks))
    nodes = dict.fromkeys([a, b, *ones(step[a] | step[b]), *range(len(marks))])
    plans = _plans(marks, step, a, b)
    starts: set[bytes] = set()
    seen: set[bytes] = set()
    pair = 1 << a | 1 << b
    for root, late in product(nodes, (pair, ~pair)):
        start = rooted(marks, root, late)
        if start.tobytes() in starts:
            continue
        starts.add(start.tobytes())
        for ends in plans:
            found = with_heads(start, ends)
            if found.tobytes() not in seen:
                seen.add(found.tobytes())
                yield found


def _plans(marks: np.ndarray, step: list[int], a: int, b: int) -> list[list[End]]:
    """Which arrows to turn, in what order: the arrow between a and b, those on ways from one to the other, others."""
    free = [(k, j) for j, k in np.argwhere(marks == CIRCLE).tolist()]
    back = rows(onward(marks).T)
    ways = [closure(step, 1 << x) for x in (a, b)], [closure(back, 1 << y) for y in (b, a)]
    between = [e for e in free if e in ((a, b), (b, a))]
    ways_on = [e for e in free if e not in between
               and any(down >> e[0] & 1 and up >> e[1] & 1 for down, up in zip(*ways, strict=True))]
    ways_on.sort(key=lambda e: (e[1] not in (a, b), e[0] not in (a, b)))
    others = [e for e in free if e not in between and e not in ways_on]
    plans = [[], between + ways_on + others, between, ways_on, others, ways_on + others, between + others,
             [e for e in free if e[0] == a], [e for e in free if e[0] == b], others + ways_on[::-1] + between]
    return [plan for at, plan in enumerate(plans) if plan not in plans[:at]]
