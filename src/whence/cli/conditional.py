"""``whence conditional``: how an effect differs between people, and who benefits."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from whence.cli import screen
from whence.cli.inputs import check_targets, columns, parameters, read_data, read_spec
from whence.cli.options import Data, Json, Kinds, Method, Missing, Params, Report, Seed, SpecFile
from whence.cli.progress import bars
from whence.cli.status import ANSWERED, REFUSED

By = Annotated[
    str | None,
    Parameter(name="--by", metavar="A,B", help="Columns by which the effect may differ; the controls if left out."),
]
GROUPS = 4


def conditional(
    data: Data, /, *,
    spec: SpecFile, by: By = None, method: Method = "auto", param: Params = (), kinds: Kinds = (),
    missing: Missing = (), report: Report = None, json: Json = False, seed: Seed = 0,
) -> int:
    """Say how an effect differs between people, and who benefits.

    Everybody's effect comes from a causal forest, or from the method named (`whence methods --task heterogeneity`).
    Whether the differences are real is judged on people that the order was not learned from. With --json everybody's
    effect is printed too. Without an answer there is a refusal with its reason (status 3).

    Examples:

      whence conditional data.csv --spec spec.json
      whence conditional data.csv --spec spec.json --report who.html
      whence conditional data.csv --spec spec.json --by age,site --method dr_learner --json
    """
    from whence.core.result import Refused
    from whence.estimation.conditional import conditional as compute

    check_targets(report=report)
    wanted = read_spec(spec)
    given = parameters(param, "heterogeneity", method)
    table = read_data(data, kinds, missing)
    with bars() as progress:
        found = compute(table, wanted, method, columns(by) or None, seed, progress=progress, **given)
        no = isinstance(found, Refused)
        told = None if no else (found.rate(progress=progress), found.groups(GROUPS, progress=progress))
        if report is not None and not isinstance(found, Refused) and told is not None:
            from whence.report.benefit_page import write

            write(found, *told, found.policy(progress=progress), data, report)
    if json:
        rate, groups = told or (None, None)
        screen.emit({"spec": wanted if no else found.spec, "conditional": None if no else found, "rate": rate,
                     "groups": groups, "refused": found if no else None})
    else:
        from whence.cli.show_conditional import show

        show(found, told)
        if report is not None and not no:
            screen.say(f"\nReport: {report}")
    return REFUSED if no else ANSWERED
