"""``whence estimate``: an effect from data and a specification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from whence.cli import screen
from whence.cli.inputs import parameters, read_data, read_spec
from whence.cli.options import Data, Json, Kinds, Method, Missing, Params, Seed, SpecFile
from whence.cli.progress import bars
from whence.cli.status import ANSWERED, REFUSED

if TYPE_CHECKING:
    from whence.data.table import Table
    from whence.identification.spec import Spec

Checks = Annotated[bool, Parameter(name="--checks", negative="--no-checks", help="Check the estimate afterwards.")]


def estimate(
    data: Data, /, *,
    spec: SpecFile, method: Method = "auto", param: Params = (), checks: Checks = True,
    kinds: Kinds = (), missing: Missing = (), json: Json = False, seed: Seed = 0,
) -> int:
    """Estimate an effect from data and a specification.

    The specification says the strategy, the treatment, the outcome and what to adjust for:
    {"strategy": "adjustment", "treatments": ["dose"], "outcomes": ["recovery"], "controls": ["age"]}. The answer is
    the effect with its interval and the checks of it, or a refusal with its reason (status 3).

    Examples:

      whence estimate data.csv --spec spec.json
      whence estimate data.csv --spec spec.json --method aipw --param folds=10 --json
    """
    from whence.checks.run import check
    from whence.core.result import Refused, fields_to_plain
    from whence.estimation.estimate import estimate as compute
    from whence.report.finding import Finding

    wanted = read_spec(spec)
    given = parameters(param, "estimation", method)
    table = read_data(data, kinds, missing)
    with bars() as progress:
        answer = compute(table, wanted, method, seed, progress=progress, **given)
        if isinstance(answer, Refused):
            finding = Finding(None, None, table.source, wanted, refused=answer,
                              provenance=_provenance(table, wanted, method, given, seed))
        else:
            found = check(table, answer, seed=seed, progress=progress) if checks else ()
            finding = Finding(None, None, table.source, answer.spec, effect=answer, checks=tuple(found),
                              warnings=answer.warnings, provenance=fields_to_plain(answer.provenance))
    from whence.cli import show_answer

    if json:
        screen.emit(show_answer.as_data(finding))
    else:
        show_answer.show(finding)
    return REFUSED if finding.effect is None else ANSWERED


def _provenance(table: Table, spec: Spec, method: str, parameters: dict[str, Any], seed: int) -> dict[str, Any]:
    """What leads to the same refusal again."""
    from whence.core.result import Provenance, fields_to_plain, versions

    return fields_to_plain(
        Provenance(table.hash, table.n_rows, spec.hash, method, parameters, seed, versions("numpy", "scipy")))
