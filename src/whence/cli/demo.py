"""``whence demo``: a real question on a real cohort, from the file to the report."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from cyclopts import Parameter

from whence.cli import screen
from whence.cli.inputs import cannot_write
from whence.cli.options import Json, Seed
from whence.cli.progress import bars
from whence.cli.run_study import show_plan
from whence.cli.status import ANSWERED, REFUSED

Folder = Annotated[str, Parameter(name="--folder", metavar="FOLDER", help="Where the files and the report go.")]


def demo(*, folder: Folder = "out", json: Json = False, seed: Seed = 0) -> int:
    """Answer a real question on a real cohort.

    Writes the data, their description and a causal graph to a folder, answers the question, checks the answer and
    writes the report there. The last lines give the command that asks the same question. The data come with
    pip install causaldata pandas.

    Examples:

      whence demo
      whence demo --folder somewhere
    """
    from whence.cli import show_answer
    from whence.studies.demo import prepare

    with bars() as progress:
        try:
            ready = prepare(folder, progress)
            finding = replace(ready.study, seed=seed).run(progress)
            report = str(finding.report(f"{folder}/report.html"))
        except OSError as error:
            raise cannot_write(folder, error) from None
    if json:
        screen.emit(show_answer.as_data(finding, question=finding.question, report=report))
    else:
        screen.say(f"{ready.data}: {finding.question}")
        show_plan(ready.study)
        show_answer.show(finding, report, said=ready.study.plan.warnings)
        screen.say()
        screen.say("Ask it yourself:")
        screen.verbatim("  " + ready.command())
    return REFUSED if finding.effect is None else ANSWERED
