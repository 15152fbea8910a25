"""``whence identify``: whether a graph allows an effect to be estimated, and how."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from whence.cli import screen
from whence.cli.inputs import read_graph
from whence.cli.options import Json, Seed
from whence.cli.status import ANSWERED, REFUSED

GraphArgument = Annotated[
    str, Parameter(name="GRAPH", help="A file, or text such as 'z --> x; z --> y; x --> y', DOT or dagitty.")
]
Treatment = Annotated[str, Parameter(name="--treatment", metavar="NODE", help="The cause.")]
Outcome = Annotated[str, Parameter(name="--outcome", metavar="NODE", help="What it may affect.")]


def identify(
    graph: GraphArgument, /, *, treatment: Treatment, outcome: Outcome, json: Json = False, seed: Seed = 0
) -> int:
    """Say whether a graph allows an effect to be estimated, and how.

    No data are needed. The answer is a set of columns to adjust for, with the reason for each, or the open path
    that stands in the way (status 3).

    Examples:

      whence identify 'z --> x; z --> y; x --> y' --treatment x --outcome y
      whence identify model.dagitty --treatment dose --outcome recovery --json
    """
    from whence.identification.identify import NotIdentified
    from whence.identification.identify import identify as solve

    answer = solve(read_graph(graph), treatment, outcome)
    no = isinstance(answer, NotIdentified)
    if json:
        screen.emit({"identified": None if no else answer, "not_identified": answer if no else None})
    else:
        from whence.cli.show_identified import show

        show(answer)
    return REFUSED if no else ANSWERED
