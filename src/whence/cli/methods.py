"""``whence methods``: the registered methods, from their cards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from whence.cli import screen
from whence.cli.options import Json, Seed
from whence.cli.status import ANSWERED

if TYPE_CHECKING:
    from whence.core.card import Card


def methods(
    name: Annotated[str | None, Parameter(name="NAME", help="A method, to read its whole card.")] = None,
    /,
    *,
    task: Annotated[
        str | None,
        Parameter(name="--task", metavar="TASK", help="discovery, independence_test, estimation, bounds or check."),
    ] = None,
    json: Json = False,
    seed: Seed = 0,
) -> int:
    """List the methods, or explain one.

    Each method has a card: the data it takes, what it assumes, its parameters with their ranges, its cost and its
    sources. Without NAME the cards are listed; with it one is shown in full.

    Examples:

      whence methods
      whence methods --task estimation
      whence methods aipw
    """
    from whence.core.errors import unknown_name
    from whence.core.registry import methods as registered

    cards = registered(task)
    if name is None:
        if json:
            screen.emit({"methods": cards})
        else:
            _list(cards)
        return ANSWERED
    found = [card for card in cards if card.name == name]
    if not found:
        raise unknown_name("method", name, [card.name for card in cards], code="unknown_method")
    if json:
        screen.emit({"methods": found})
    else:
        for card in found:
            _card(card)
    return ANSWERED


def _list(cards: list[Card]) -> None:
    for task in dict.fromkeys(card.task for card in cards):
        screen.heading(task.replace("_", " ").capitalize())
        screen.table(
            ("name", "method", "what it does"),
            [(card.name, card.title, card.summary) for card in cards if card.task == task],
        )
    screen.say()
    screen.say("`whence methods NAME` explains one.")


def _card(card: Card) -> None:
    screen.heading(f"{card.name}: {card.title}")
    screen.say(card.summary)
    screen.say()
    screen.say(f"Task: {card.task.replace('_', ' ')}. Columns: {', '.join(card.data_kinds)}. Gives: {card.output}.")
    screen.say(f"Cost: {card.cost}")
    for title, lines in (("Assumes", card.assumptions), ("Sources", card.citations)):
        if lines:
            screen.heading(title)
            for line in lines:
                screen.say(f"- {line}")
    if card.parameters:
        screen.heading("Parameters")
        screen.table(
            ("name", "default", "allowed", "meaning"),
            [(p.name, "none" if p.default is None else p.default, p.allowed(), p.meaning) for p in card.parameters],
        )
