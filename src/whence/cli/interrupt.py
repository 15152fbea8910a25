"""Ctrl-C: one line, status 130, whatever the program is doing.

``KeyboardInterrupt`` alone does not do: raised inside an import, a callback or a destructor it may be turned into
another error or vanish, and Python may then end by the signal instead of with a status. So the signal is also
remembered, and work that goes on regardless is ended after a moment.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from whence.cli.status import INTERRUPTED

GRACE = 2.0  # seconds for temporary files to be removed and the terminal to be put right

_received = False
_said = False


def watch() -> None:
    """Take over SIGINT, unless whoever started us ignores it (``nohup``, a shell's background job)."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def received() -> bool:
    """Whether Ctrl-C was pressed in this process."""
    return _received


def leave() -> NoReturn:
    """End the process now, after what was registered for its end."""
    import atexit

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _say()
    atexit._run_exitfuncs()
    os._exit(INTERRUPTED)


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    global _received
    if _received:
        _leave_at_once()
    _received = True
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *_: _leave_at_once())
        signal.setitimer(signal.ITIMER_REAL, GRACE)
    raise KeyboardInterrupt


def _leave_at_once() -> NoReturn:
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h")  # the cursor, which a bar hides
    _say()
    os._exit(INTERRUPTED)


def _say() -> None:
    global _said
    if not _said:
        _said = True
        sys.stderr.write("\nStopped.\n" if sys.stderr.isatty() else "Stopped.\n")
        sys.stderr.flush()
