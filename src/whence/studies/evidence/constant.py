"""A treatment that is the same everywhere: nothing can be learned of its effect, by any design."""

from __future__ import annotations

import numpy as np

from whence.data.table import Table
from whence.studies.evidence.evidence import Evidence

CERTAIN = 30.0  # nats: no words outweigh it


def constant(table: Table, treatment: str) -> tuple[Evidence, ...]:
    """Evidence that no design can answer, when everybody got the same treatment."""
    column = table.column(treatment)
    present = column.values[~column.missing]
    if len(present) and bool((present != present[0]).any()):
        return ()
    if not len(present):
        text = f"{treatment} is missing on every row, so nothing can be learned of its effect."
    else:
        first = int(np.flatnonzero(~column.missing)[0])
        text = (f"{treatment} is {column.shown(first)!r} on every row: without anyone treated otherwise, nothing can "
                "be learned of its effect.")
    return (Evidence("none", CERTAIN, "data", text, {}, None, "", {"values": min(len(present), 1)}),)
