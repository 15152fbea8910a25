"""``whence discover``: a causal graph learned from data."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from whence.cli import screen
from whence.cli.inputs import check_targets, parameters, read_data, read_knowledge, write_text
from whence.cli.inputs import columns as names_in
from whence.cli.options import Data, Json, Kinds, KnowledgeFile, Method, Missing, Params, Seed
from whence.cli.progress import bars
from whence.cli.status import ANSWERED, REFUSED

Columns = Annotated[
    str | None, Parameter(name="--columns", metavar="A,B", help="Only these columns, comma-separated.")
]
Alpha = Annotated[
    float | None,
    Parameter(name="--alpha", help="Level of the independence tests; smaller gives fewer edges."),
]
Stability = Annotated[
    int | None,
    Parameter(name="--stability", help="Number of bootstrap samples that show how often each edge is found."),
]
Svg = Annotated[str | None, Parameter(name="--svg", metavar="FILE", help="Draw the graph to this SVG file.")]


def discover(
    data: Data, /, *,
    columns: Columns = None, method: Method = "auto", alpha: Alpha = None, stability: Stability = None,
    knowledge: KnowledgeFile = None, param: Params = (), kinds: Kinds = (), missing: Missing = (), svg: Svg = None,
    json: Json = False, seed: Seed = 0,
) -> int:
    """Learn a causal graph from data.

    The result is usually an equivalence class: edges with a head are directed in every graph that fits the data,
    edges without a head can point either way. It rests on the method's assumptions (`whence methods pc`), among
    them that no common cause is missing from the columns. Knowledge, such as which columns come first in time,
    makes the answer sharper and safer.

    Examples:

      whence discover data.csv --columns age,dose,recovery
      whence discover data.csv --knowledge knowledge.json --stability 100 --svg graph.svg
      whence discover data.csv --method pc --alpha 0.01 --json
    """
    from whence.core.result import Refused
    from whence.discovery.discovery import discover as learn

    check_targets(svg)
    given: dict[str, Any] = parameters(param, "discovery", method)
    given |= {name: value for name, value in (("alpha", alpha), ("stability", stability)) if value is not None}
    table = read_data(data, kinds, missing)
    chosen = names_in(columns)
    known = read_knowledge(knowledge)
    with bars() as progress:
        found = learn(table.select(chosen) if chosen else table, method, known, seed, progress=progress, **given)
    from whence.cli import show_graph

    if isinstance(found, Refused):
        if json:
            screen.emit({"graph": None, "refused": found, "warnings": []})
        else:
            show_graph.show_refusal(found)
        return REFUSED
    if svg is not None:
        from whence.graphs.svg import to_svg

        write_text(svg, to_svg(found.graph, stability=found.stability, title="Learned graph"))
    if json:
        screen.emit({**found.to_dict(), "refused": None})
    else:
        show_graph.show(found, svg)
    return ANSWERED
