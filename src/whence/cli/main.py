"""Entry point of the ``whence`` command.

Next to nothing is imported here, so that ``whence --version`` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from whence.cli.status import ANSWERED, INTERRUPTED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: the process's own) and return the exit status."""
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        return _interrupted(own_process=argv is None)


def _run(argv: list[str]) -> int:
    if argv in (["--version"], ["-V"]):
        from whence import __version__

        sys.stdout.write(f"whence {__version__}\n")
        return ANSWERED
    from whence.cli.app import run

    return run(argv)


def _interrupted(own_process: bool) -> int:
    if not own_process:
        sys.stderr.write("Stopped.\n")
        return INTERRUPTED
    # A second Ctrl-C must not turn a clean stop into a traceback, and worker threads must not hold
    # the prompt until they finish work that nobody waits for any more.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stderr.write("\nStopped.\n" if sys.stderr.isatty() else "Stopped.\n")
    sys.stderr.flush()
    import threading

    if any(not t.daemon for t in threading.enumerate() if t is not threading.main_thread()):
        os._exit(INTERRUPTED)
    return INTERRUPTED
