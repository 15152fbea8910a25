"""``whence discover``: a causal graph learned from data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from whence.cli import screen
from whence.cli.inputs import check_targets, parameters, read_data, read_knowledge, write_text
from whence.cli.inputs import columns as names_in
from whence.cli.options import Data, Json, Kinds, KnowledgeFile, Method, Missing, Params, Seed
from whence.cli.progress import bars
from whence.cli.status import ANSWERED, REFUSED

if TYPE_CHECKING:
    from whence.data.table import Table
    from whence.graphs.knowledge import Knowledge

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
AlphaPath = Annotated[
    bool,
    Parameter(name="--alpha-path", negative=(),
              help="Instead of one graph: the levels of the tests over which each edge holds."),
]
Svg = Annotated[str | None, Parameter(name="--svg", metavar="FILE", help="Draw the graph to this SVG file.")]


def discover(
    data: Data, /, *,
    columns: Columns = None, method: Method = "auto", alpha: Alpha = None, stability: Stability = None,
    knowledge: KnowledgeFile = None, param: Params = (), kinds: Kinds = (), missing: Missing = (), svg: Svg = None,
    alpha_path: AlphaPath = False, json: Json = False, seed: Seed = 0,
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
      whence discover data.csv --alpha-path
    """
    from whence.core.result import Refused
    from whence.discovery.discovery import discover as learn

    check_targets(svg)
    given: dict[str, Any] = parameters(param, "discovery", method)
    given |= {name: value for name, value in (("alpha", alpha), ("stability", stability)) if value is not None}
    table = read_data(data, kinds, missing)
    chosen = names_in(columns)
    known = read_knowledge(knowledge)
    table = table.select(chosen) if chosen else table
    if alpha_path:
        return _path(table, known, method, given, json, svg)
    with bars() as progress:
        found = learn(table, method, known, seed, progress=progress, **given)
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


def _path(
    table: Table, known: Knowledge | None, method: str, given: dict[str, Any], json: bool, svg: str | None
) -> int:
    """The levels of the tests over which each edge holds."""
    from whence.cli import show_graph
    from whence.core.errors import WhenceError
    from whence.core.result import Refused
    from whence.discovery.alpha_path import alpha_path
    from whence.discovery.discovery import DEFAULT

    taken = [name for name in ("alpha", "stability") if name in given] + (["svg"] if svg else [])
    if taken:
        raise WhenceError(f"--alpha-path goes over all levels; --{taken[0]} does not go with it.",
                          code="bad_parameter", value=taken[0])
    method = DEFAULT if method == "auto" else method
    with bars() as progress:
        path = alpha_path(table, None, known, method=method, progress=progress, **given)
    if isinstance(path, Refused):
        if json:
            screen.emit({"alpha_path": None, "refused": path})
        else:
            show_graph.show_refusal(path)
        return REFUSED
    if json:
        screen.emit({"alpha_path": path.to_dict(), "refused": None})
    else:
        show_graph.show_path(path)
    return ANSWERED
