"""``whence study``: a specified study, run."""

from __future__ import annotations

from whence.cli.inputs import check_targets, graph_or_learn, pairs, parameters, read_spec
from whence.cli.options import Data, GraphSource, Json, Kinds, Method, Missing, Params, Report, Script, Seed, SpecFile
from whence.cli.progress import bars
from whence.cli.run_study import finish


def study(
    data: Data, /, *,
    spec: SpecFile, graph: GraphSource = None, method: Method = "auto", param: Params = (), kinds: Kinds = (),
    missing: Missing = (), report: Report = None, script: Script = None, json: Json = False, seed: Seed = 0,
) -> int:
    """Run a specified study: effect, checks, report and script.

    Like `whence ask`, with the plan given as a specification instead of found from a question. A graph is used to
    test what it implies. The script repeats the numbers without this command.

    Examples:

      whence study data.csv --spec spec.json --report study.html --script study.py
      whence study data.csv --spec spec.json --graph model.dagitty --json
    """
    from whence.studies.study import study as plan

    check_targets(script, report=report)
    with bars() as progress:
        planned = plan(
            data, graph=graph_or_learn(graph), spec=read_spec(spec), kinds=pairs(kinds, "--kinds", "stage=ordinal"),
            missing=missing, method=method, parameters=parameters(param, "estimation", method), seed=seed,
            progress=progress,
        )
    return finish(planned, report, script, as_json=json, confirm=False)
