"""From a table, a description, a treatment and an outcome to the evidence for each design."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from whence.data.table import Table
from whence.studies.evidence.chance import chance
from whence.studies.evidence.constant import constant
from whence.studies.evidence.evidence import Evidence
from whence.studies.evidence.offers import offers
from whence.studies.evidence.panel import over_time
from whence.studies.evidence.phrases import words_of_design
from whence.studies.evidence.sheet import make_sheet
from whence.studies.evidence.steps import cutoffs
from whence.studies.words import Description, descriptions

STRONG = 4.0  # nats of a panel that explain away what only says who ever adopts


def read_designs(
    table: Table, treatment: str | None, outcome: str, about: str = "", question: str = "",
    described: Mapping[str, Description] | None = None, mentions: Sequence[Any] = (),
) -> tuple[Evidence, ...]:
    """Evidence from the words and from the data, for and against each design.

    treatment: its column; None where no column holds it and a rule (a cutoff) does. described: by column; read from
    ``about`` where not given. mentions: roles that the description gives to columns (``column``, ``role``,
    ``strength``, ``sentence``).
    """
    if described is None:
        described = descriptions(about, table.names) if about else {}
    said = words_of_design(question, about, table.names, described)
    return (*said, *data_of_design(table, treatment, outcome, described, mentions))


def data_of_design(
    table: Table, treatment: str | None, outcome: str, described: Mapping[str, Description] | None = None,
    mentions: Sequence[Any] = (),
) -> tuple[Evidence, ...]:
    """What the data say: a constant treatment, a step, times of adoption, an offer or instrument, chance.

    The names and descriptions of columns count here too, where they say which column has which part.
    """
    if treatment is None:
        return ()
    found = constant(table, treatment)
    if found:
        return found
    sheet = make_sheet(table, treatment, outcome, described or {})
    when = over_time(sheet)
    instruments = frozenset(m.column for m in mentions if m.role in ("instrument", "instruments"))
    moved = offers(sheet, instruments)
    if any(e.strength >= STRONG for e in when):
        moved = tuple(dataclasses.replace(e, strength=min(e.strength, 0.0)) for e in moved)
    return (*cutoffs(sheet), *when, *moved, *chance(sheet, any(e.design == "iv" and e.strength > 0 for e in moved)))
