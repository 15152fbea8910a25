"""All registered methods, found by looking: a module with a ``CARD`` in a task's package is a method.

Nothing has to be edited to add one. Modules that carry cards import heavy packages inside functions,
so that listing them stays cheap.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from whence.core.card import Card
from whence.core.errors import unknown_name

# Where the methods of each task live. Import strings: core imports nothing above itself.
PACKAGES = {
    "discovery": "whence.discovery",
    "independence_test": "whence.stats.citest",
    "score": "whence.stats.score",
    "estimation": "whence.estimation",
    "heterogeneity": "whence.estimation.heterogeneity",
    "bounds": "whence.estimation.bounding",
    "check": "whence.checks",
}


@functools.cache
def _cards(task: str) -> dict[str, Card]:
    package = importlib.import_module(PACKAGES[task])
    cards: dict[str, Card] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__) if _may_hold_card(info)):
        card = getattr(importlib.import_module(f"{package.__name__}.{module}"), "CARD", None)
        if card is not None:
            cards[card.name] = card
    return cards


def _may_hold_card(info: pkgutil.ModuleInfo) -> bool:
    """False where the source is at hand and defines none: importing such a module would only take time."""
    source = Path(getattr(info.module_finder, "path", "")) / f"{info.name}.py"
    return not source.is_file() or "\nCARD = " in source.read_text(encoding="utf-8")


def methods(task: str | None = None) -> list[Card]:
    """The cards of all registered methods, or of one task's.

    Raises ``WhenceError`` (``unknown_task``) for a task that does not exist.
    """
    if task is not None and task not in PACKAGES:
        raise unknown_name("task", task, PACKAGES, code="unknown_task")
    tasks = PACKAGES if task is None else (task,)
    return [card for t in tasks for card in _cards(t).values()]


def find_card(task: str, name: str) -> Card:
    """The card called ``name``. Raises ``WhenceError`` (``unknown_method``) with the closest names."""
    cards = _cards(task)
    if name not in cards:
        raise unknown_name(f"{task.replace('_', ' ')} method", name, cards, code="unknown_method")
    return cards[name]


def load_function(card: Card) -> Callable[..., Any]:
    """The function behind a card, imported now."""
    module, name = card.function.split(":")
    return getattr(importlib.import_module(module), name)
