"""``whence claims``: what a graph, or every graph of a class, says about two of its nodes."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from whence.cli import screen
from whence.cli.identify import GraphArgument
from whence.cli.inputs import read_graph
from whence.cli.options import Json, Seed
from whence.cli.status import ANSWERED, REFUSED

First = Annotated[str, Parameter(name="A", help="A node of the graph.")]
Second = Annotated[str, Parameter(name="B", help="Another node.")]


def claims(graph: GraphArgument, a: First, b: Second, /, *, json: Json = False, seed: Seed = 0) -> int:
    """Say what a class of graphs claims about two nodes.

    Whether either node causes the other, is its parent or causes it through something else, and whether they share a
    common cause or have a common effect. Data often leave a class of graphs (a CPDAG, with --- edges, or a PAG, with
    circles): what holds in all its members follows, what holds in some is open. Status 3 when the class is too large
    for any of it to be decided.

    Examples:

      whence claims 'sleep --- stress; stress --- mood' sleep mood
      whence claims 'u o-> x; z o-> x; x --> y' x y --json
      whence claims learned.json dose recovery
    """
    from whence.graphs.claims import claims as answer

    found = answer(read_graph(graph), a, b)
    if json:
        screen.emit({"claims": found})
    else:
        from whence.cli.show_claims import show

        show(found)
    return REFUSED if all(one.verdict == "undecided" for one in found) else ANSWERED
