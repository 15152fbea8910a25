"""Progress on a terminal: a bar on stderr for work that takes longer than a moment."""

from __future__ import annotations

import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from whence.cli.screen import on_terminal
from whence.core.progress import SILENT, Progress

DELAY = 1.5  # seconds before a bar appears: short work stays quiet


def bars() -> AbstractContextManager[Progress]:
    """Progress for one command: bars when stderr is a terminal, else silence."""
    return Bars() if on_terminal(sys.stderr) else nullcontext(SILENT)


@dataclass
class _Task:
    label: str
    total: int | None
    done: int = 0
    shown: Any = None  # rich's identifier, once drawn


class Bars(AbstractContextManager[Progress]):
    """Nested bars that appear ``delay`` seconds after the first work begins and go away when it ends.

    A timer draws them, because work that makes no step would otherwise never show.
    """

    def __init__(self, delay: float = DELAY) -> None:
        self._delay = delay
        self._lock = threading.Lock()
        self._stack: list[_Task] = []
        self._drawing: Any = None
        self._timer: threading.Timer | None = None

    def begin(self, label: str, total: int | None = None) -> None:
        with self._lock:
            self._stack.append(_Task(label, total))
            if self._drawing is not None:
                self._draw(self._stack[-1])
            elif self._timer is None:
                self._timer = threading.Timer(self._delay, self._appear)
                self._timer.daemon = True
                self._timer.start()

    def step(self, count: int = 1) -> None:
        with self._lock:
            if self._stack:
                task = self._stack[-1]
                task.done += count
                if task.shown is not None:
                    self._drawing.update(task.shown, completed=task.done)

    def end(self) -> None:
        with self._lock:
            if self._stack:
                task = self._stack.pop()
                if task.shown is not None:
                    self._drawing.remove_task(task.shown)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._stack.clear()
            if self._drawing is not None:
                self._drawing.stop()

    def _appear(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Drawing

        with self._lock:
            self._timer = None
            if not self._stack:
                return  # over already; the next begin sets a new timer
            self._drawing = Drawing(
                TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
                TimeElapsedColumn(), console=Console(file=sys.stderr), transient=True,
            )
            for task in self._stack:
                self._draw(task)
            self._drawing.start()

    def _draw(self, task: _Task) -> None:
        task.shown = self._drawing.add_task(task.label, total=task.total, completed=task.done)
