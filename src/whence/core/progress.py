"""Progress is an object passed in; the engine never prints.

The command line passes one that draws a bar, a notebook another, a server a third.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives what long work reports. Calls nest: ``begin`` and ``end`` come in pairs."""

    def begin(self, label: str, total: int | None = None) -> None:
        """Work named ``label`` starts; ``total`` steps if known."""

    def step(self, count: int = 1) -> None:
        """``count`` more steps of the innermost work are done."""

    def end(self) -> None:
        """The innermost work is over."""


class Silent:
    """Progress that nobody watches."""

    def begin(self, label: str, total: int | None = None) -> None:
        pass

    def step(self, count: int = 1) -> None:
        pass

    def end(self) -> None:
        pass


SILENT: Progress = Silent()
