"""What a class of graphs says about two nodes, on the screen."""

from __future__ import annotations

from whence.cli import screen
from whence.graphs.claims import Claims
from whence.graphs.classes import ADMG, DAG

YES_OR_NO = {"all": "yes", "none": "no"}


def show(found: Claims) -> None:
    """A table of the statements: one graph says yes or no, a class in how many members each holds, and why."""
    one = isinstance(found.graph, (DAG, ADMG))
    kind = found.graph.kind
    screen.heading(f"{found.a} and {found.b} in this {kind}")
    if one:
        screen.table(("statement", "holds"), ((claim.text, YES_OR_NO[claim.verdict]) for claim in found))
    else:
        screen.table(("statement", "members", "why"), ((claim.text, claim.verdict, claim.why) for claim in found))
