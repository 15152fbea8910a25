"""The IDC algorithm: an effect within levels of other nodes, which the treatment may affect.

Source: Shpitser and Pearl (2006), Identification of conditional interventional distributions, figure 5.
"""

from __future__ import annotations

from collections.abc import Iterable

from whence.core.errors import WhenceError
from whence.graphs.bits import ones
from whence.graphs.classes import ADMG, DAG
from whence.graphs.transform import latent_projection
from whence.identification.adjustment import connected
from whence.identification.asked import canonical, check_apart, checked_graph, checked_nodes
from whence.identification.expression import Expression
from whence.identification.hedge import Hedge
from whence.identification.id import identified
from whence.identification.reduction import ratio, total


def estimand(graph: DAG | ADMG, treatment: str | Iterable[str], outcome: str | Iterable[str],
             given: str | Iterable[str] = ()) -> Expression | Hedge:
    """P(outcome | do(treatment), given) from what is measured, or the hedge that shows that no method gives it.

    graph: DAG (latent nodes are never used) or ADMG, or anything ``whence.graph`` reads. The answer is complete.
    A hedge is falsy; with ``given`` it stands against P(outcome, rest of given | do(treatment, the others)).

    Raises ``WhenceError``: ``unknown_node``, ``latent_node``, ``role_conflict``, ``missing_role``,
    ``unsupported_graph``.
    """
    checked = checked_graph(graph, "The ID algorithm")
    x, y = checked_nodes(checked, treatment, "treatment"), checked_nodes(checked, outcome, "outcome")
    w = checked_nodes(checked, given, "given") if given else ()
    check_apart(treatment=x, outcome=y, given=w)
    if not isinstance(checked, (DAG, ADMG)):
        raise WhenceError("The ID algorithm needs a DAG or ADMG.", code="unsupported_graph", value=checked.kind)
    projected = latent_projection(checked)
    return _idc(projected, *(projected.bits.bits_of(names) for names in (x, y, w)))


def _idc(graph: ADMG, x: int, y: int, w: int) -> Expression | Hedge:
    # Line 1: a condition that acts like an intervention becomes one (rule 2 of the do-calculus).
    for z in ones(w):
        if _like_intervention(graph, x, y, w, z):
            return _idc(graph, x | 1 << z, y, w & ~(1 << z))
    # Line 2: the joint effect, then divide.
    found = identified(graph, x, y | w)
    if isinstance(found, Hedge) or not w:
        return found
    return ratio(found, total(graph.bits.sorted_of(y), [found]))


def _like_intervention(graph: ADMG, x: int, y: int, w: int, z: int) -> bool:
    """Whether y and z are separated by x and the rest of w without the arrows into x and out of z."""
    parents, _ = canonical(graph)
    into_x = [0 if x >> v & 1 else p & ~(1 << z) for v, p in enumerate(parents)]
    children = [0] * len(into_x)
    for v, p in enumerate(into_x):
        for u in ones(p):
            children[u] |= 1 << v
    return not connected(into_x, children, 1 << z, (x | w) & ~(1 << z)) & y
