"""Whether an effect is identified, on the screen."""

from __future__ import annotations

from whence.cli import screen
from whence.identification.identify import Identified, NotIdentified


def show(answer: Identified | NotIdentified) -> None:
    """What to adjust for and why, the formula and the assumptions; or the obstacle and the remedy."""
    if isinstance(answer, NotIdentified):
        screen.heading("Not identified")
        screen.say(answer.reason)
        if answer.remedy:
            screen.say(answer.remedy)
        return
    screen.heading("Identified")
    screen.say(f"The effect of {', '.join(answer.treatment)} on {', '.join(answer.outcome)} is identified.")
    if answer.note:
        screen.say(answer.note)
    if answer.adjustable:
        screen.say("Adjust for: " + (", ".join(answer.adjustment) or "nothing"))
    screen.say(answer.expression.unicode())
    if answer.reasons:
        screen.heading("Each variable")
        screen.table(("variable", "role"), answer.reasons.items())
    if answer.assumptions:
        screen.heading("Assumes")
        for line in answer.assumptions:
            screen.say(f"- {line}")
