"""``whence identify``: whether a graph allows an effect to be estimated, and how."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from whence.cli import screen
from whence.cli.inputs import columns, read_graph
from whence.cli.options import Json, Seed
from whence.cli.status import ANSWERED, REFUSED

GraphArgument = Annotated[
    str, Parameter(name="GRAPH", help="A file, or text such as 'z --> x; z --> y; x --> y', DOT or dagitty.")
]
Treatment = Annotated[str, Parameter(name="--treatment", metavar="NODE", help="The cause.")]
Outcome = Annotated[str, Parameter(name="--outcome", metavar="NODE", help="What it may affect.")]
Quantity = Annotated[
    str,
    Parameter(
        name="--quantity", metavar="NAME",
        help="Averaged over everybody (ATE), the treated (ATT) or not (ATC); with mediators the controlled (CDE), "
        "natural (NDE) or total (TDE) direct effect, or the natural (NIE) or total (TIE) indirect one.",
    ),
]
Mediators = Annotated[
    str | None,
    Parameter(name="--mediators", metavar="A,B", help="What carries part of the effect, comma-separated: asks for "
              "the part past them or through them."),
]


def identify(
    graph: GraphArgument, /, *, treatment: Treatment, outcome: Outcome, quantity: Quantity = "ATE",
    mediators: Mediators = None, json: Json = False, seed: Seed = 0,
) -> int:
    """Say whether a graph allows an effect to be estimated, and how.

    No data are needed. The answer is a set of columns to adjust for, with the reason for each, or another formula, or
    what stands in the way (status 3). With mediators it is about the part of the effect past them or through them.

    Examples:

      whence identify 'z --> x; z --> y; x --> y' --treatment x --outcome y
      whence identify model.dagitty --treatment dose --outcome recovery --json
      whence identify 'x --> m; m --> y; x --> y' --treatment x --outcome y --mediators m --quantity NDE
    """
    from whence.identification.identify import NotIdentified
    from whence.identification.identify import identify as solve
    from whence.identification.mediated import NotMediated

    read = read_graph(graph)
    if mediators is None:
        answer = solve(read, treatment, outcome, quantity=quantity)
    else:
        answer = solve(read, treatment, outcome, quantity=quantity, mediators=columns(mediators))
    no = isinstance(answer, (NotIdentified, NotMediated))
    if json:
        screen.emit({"identified": None if no else answer, "not_identified": answer if no else None})
    else:
        from whence.cli.show_identified import show

        show(answer)
    return REFUSED if no else ANSWERED
