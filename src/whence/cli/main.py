"""Entry point of the ``whence`` command.

Next to nothing is imported here, so that ``whence --version`` answers at once.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

from whence.cli import interrupt
from whence.cli.status import ANSWERED, INTERRUPTED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: the process's own) and return the exit status."""
    try:
        if argv is None:
            interrupt.watch()
            if not (sys.warnoptions or os.environ.get("WHENCE_DEBUG")):
                # What a library warns its callers of is not for the reader: results carry their own remarks.
                warnings.simplefilter("ignore")
        return _run(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        if argv is None:
            interrupt.leave()
        sys.stderr.write("Stopped.\n")
        return INTERRUPTED


def _run(argv: list[str]) -> int:
    if argv in (["--version"], ["-V"]):
        from whence import __version__

        sys.stdout.write(f"whence {__version__}\n")
        return ANSWERED
    from whence.cli.app import run

    return run(argv)
