"""Exit statuses of the ``whence`` command."""

from __future__ import annotations

ANSWERED = 0
DEFECT = 1  # ours
BAD_INPUT = 2  # or bad usage
REFUSED = 3  # honestly: not identified, or a precondition failed
INTERRUPTED = 130  # Ctrl-C: 128 + SIGINT
PIPE_CLOSED = 141  # the reader of our output went away: 128 + SIGPIPE
