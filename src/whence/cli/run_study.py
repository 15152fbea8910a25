"""From a planned study to its end: plan shown, run, report and script written, answer shown."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from whence.cli import screen
from whence.cli.inputs import write_text
from whence.cli.progress import bars
from whence.cli.status import ANSWERED, REFUSED

if TYPE_CHECKING:
    from whence.studies.study import Study


def finish(planned: Study, report: str | None, script: str | None, *, as_json: bool, confirm: bool) -> int:
    """Run ``planned`` and give the exit status. On a terminal ``confirm`` asks before a plan is run."""
    from whence.cli import show_answer

    if not as_json and planned.plan.spec is not None:
        show_plan(planned)
        agreed = _agreed(planned) if confirm else planned
        if agreed is None:
            screen.say("Not run. Change the plan with --treatment, --outcome, --controls or --graph.")
            return ANSWERED
        planned = agreed
    with bars() as progress:
        finding = planned.run(progress)
    written = None
    if report is not None:
        written = str(finding.report(report))
    if script is not None:
        write_text(script, planned.script() if finding.spec is not None else finding.script)
    if as_json:
        screen.emit(show_answer.as_data(
            finding, question=finding.question, choices=finding.choices, graph=finding.graph,
            identified=finding.identified, alternatives=finding.alternatives, report=written,
        ))
    else:
        show_answer.show(finding, written, said=planned.plan.warnings)
        if written is None and finding.effect is not None:
            screen.say()
            screen.say("Add --report answer.html for the whole story with its graph and plots.")
    return REFUSED if finding.effect is None else ANSWERED


def show_plan(planned: Study) -> None:
    """What will be estimated, from which columns and why."""
    screen.heading("Plan")
    screen.say(str(planned.plan))


def _agreed(planned: Study) -> Study | None:
    """The study that the person at the terminal wants run, or None; nobody there means the first plan.

    Where two plans are nearly as likely, the other one can be chosen.
    """
    if not (screen.on_terminal(sys.stdin) and screen.on_terminal(sys.stdout)):
        return planned
    from whence.studies.plan import short_plan

    other = planned.plan.runner_up
    screen.say()
    if other is None:
        typed = _typed("Run this plan? [Y/n] ")
        return planned if typed in ("", "y", "yes") else None
    screen.say(f"Which one? 1: the plan above. 2: {short_plan(other)}.")
    typed = _typed("1, 2 or n for neither [1] ")
    if typed == "2":
        chosen = planned.edit(spec=other)
        show_plan(chosen)
        return chosen
    return planned if typed in ("", "1", "y", "yes") else None


def _typed(prompt: str) -> str:
    """What is typed after ``prompt``; ``"n"`` when the input has ended."""
    sys.stdout.write(prompt)
    sys.stdout.flush()
    line = sys.stdin.readline()
    return line.strip().lower() if line else "n"
