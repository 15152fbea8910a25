"""``whence report``: the HTML report of a specified study."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from whence.cli.options import Data, GraphSource, Json, Kinds, Method, Missing, Params, Seed, SpecFile
from whence.cli.study import study

Out = Annotated[str, Parameter(name=("--out", "-o"), metavar="FILE", help="The HTML file to write.")]


def report(
    data: Data, /, *,
    spec: SpecFile, out: Out = "report.html", graph: GraphSource = None, method: Method = "auto",
    param: Params = (), kinds: Kinds = (), missing: Missing = (), json: Json = False, seed: Seed = 0,
) -> int:
    """Write the HTML report of a specified study.

    One file that opens without a network: the answer, how sure and why, the graph, balance and overlap, the checks,
    the assumptions, and the script that repeats it.

    Examples:

      whence report data.csv --spec spec.json --out report.html
    """
    return study(
        data, spec=spec, graph=graph, method=method, param=param, kinds=kinds, missing=missing, report=out,
        json=json, seed=seed
    )
