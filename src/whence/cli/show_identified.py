"""Whether an effect is identified, on the screen."""

from __future__ import annotations

from whence.cli import screen
from whence.identification.identify import Identified, NotIdentified
from whence.identification.mediated import Mediated, NotMediated

ROLES = {"treatment": "the treatment", "outcome": "the outcome", "mediator": "a mediator", "latent": "hidden",
         "adjusted": "in the formula", "other": "not in the formula"}


def show(answer: Identified | NotIdentified | Mediated | NotMediated) -> None:
    """What to adjust for and why, the formula and the assumptions; or the obstacle and the remedy."""
    if isinstance(answer, (NotIdentified, NotMediated)):
        screen.heading("Not identified")
        screen.say(answer.reason)
        if answer.remedy:
            screen.say(answer.remedy)
        return
    screen.heading("Identified")
    if isinstance(answer, Mediated):
        _part(answer)
    else:
        _whole(answer)
    if answer.assumptions:
        screen.heading("Assumes")
        for line in answer.assumptions:
            screen.say(f"- {line}")


def _part(answer: Mediated) -> None:
    """The part of an effect past mediators or through them: the formula and what each node does in it."""
    screen.say(answer.headline)
    if answer.note:
        screen.say(answer.note)
    if answer.expression is not None:
        screen.say(f"{answer.estimand.unicode()} = {answer.expression.unicode()}")
        if answer.quantity != "CDE":
            screen.say(f"{answer.treatment}′ is the level of comparison.")
    screen.heading("Each variable")
    screen.table(("variable", "role"), ((name, ROLES[role]) for name, role in answer.roles.items()))
    if answer.labels:
        screen.heading(f"Each arrow of {answer.treatment}")
        screen.table(("arrow", "paths"), ((f"{a} --> {b}", kind) for (a, b), kind in sorted(answer.labels.items())))


def _whole(answer: Identified) -> None:
    screen.say(f"The effect of {', '.join(answer.treatment)} on {', '.join(answer.outcome)} is identified.")
    if answer.note:
        screen.say(answer.note)
    if answer.adjustable:
        screen.say("Adjust for: " + (", ".join(answer.adjustment) or "nothing"))
    screen.say(answer.expression.unicode())
    if answer.reasons:
        screen.heading("Each variable")
        screen.table(("variable", "role"), answer.reasons.items())
