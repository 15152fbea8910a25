"""From a table, a description, a treatment and an outcome to the evidence for each design."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from whence.data.table import Table
from whence.studies.evidence.chance import chance
from whence.studies.evidence.constant import constant
from whence.studies.evidence.evidence import Evidence
from whence.studies.evidence.hints import ASSIGNED, RUNNING, hint, said_of
from whence.studies.evidence.offers import offers
from whence.studies.evidence.panel import over_time
from whence.studies.evidence.phrases import words_of_design
from whence.studies.evidence.sheet import EXCLUSIVE, OFFER, TAKE_UP, Sheet, make_sheet, nesting
from whence.studies.evidence.steps import cutoffs, steps
from whence.studies.words import Description, descriptions

SURE = 0.8  # strength of a mention that settles a role
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
    columns = [n for n in table.names if n not in (treatment, outcome)]
    amounts = [n for n in columns if table.kind(n) in ("continuous", "count", "ordinal", "datetime")]
    said = words_of_design(question, about, columns, described, amounts)
    return (*said, *data_of_design(table, treatment, outcome, described, mentions, said))


def data_of_design(
    table: Table, treatment: str | None, outcome: str, described: Mapping[str, Description] | None = None,
    mentions: Sequence[Any] = (), said: Sequence[Evidence] = (),
) -> tuple[Evidence, ...]:
    """What the data say: a constant treatment, a step, times of adoption, an offer or instrument, chance.

    The names and descriptions of columns count here too, where they say which column has which part. said: evidence
    from the words, for the running variable and the cutoff that they name.
    """
    if treatment is None:
        return _unheld(table, outcome, described or {})
    found = constant(table, treatment)
    if found:
        return found
    sheet = make_sheet(table, treatment, outcome, described or {})
    when = over_time(sheet)
    rule = next((e for e in said if e.design == "rdd"), None)
    running = (*(m.column for m in mentions if m.role == "running" and m.strength >= SURE),
               *(rule.columns.get("running_variable", ()) if rule else ()))
    stepped = steps(sheet)
    instruments = frozenset(m.column for m in mentions if m.role == "instrument" and m.strength >= SURE)
    moved = offers(sheet, instruments, frozenset(s.name for s in stepped))
    if any(e.strength >= STRONG for e in when):
        moved = tuple(dataclasses.replace(e, strength=min(e.strength, 0.0)) for e in moved)
    jumps = cutoffs(sheet, stepped, running, rule.cutoff if rule else None)
    if any("hole_in" in e.measured for e in jumps):
        moved += _instead(moved)
    moved += _drawn(sheet, moved, said)
    return (*jumps, *when, *moved, *chance(sheet, any(e.design == "iv" and e.strength > 0 for e in moved)))


def tied_columns(table: Table, treatment: str, outcome: str, instruments: Sequence[str] = ()) -> dict[str, str]:
    """Columns tied by logic to the treatment or an instrument, which are no controls, each with the reason.

    What only the treated have follows the treatment; another arm or another level of the same variable cannot be held
    fixed while the treatment changes. instruments: not themselves among the answer.
    """
    sheet = make_sheet(table, treatment, outcome, {})
    reasons = {OFFER: "nobody without it has {}", TAKE_UP: "only those with {} have it",
               EXCLUSIVE: "nobody has it and {}"}
    found: dict[str, str] = {}
    for name in sheet.others:
        values = sheet.numbers(name)
        if values is None or name in instruments:
            continue
        for other in (treatment, *instruments):
            with_it = sheet.t if other == treatment else sheet.numbers(other)
            link = 0 if with_it is None else nesting(values, with_it)
            if link:
                found.setdefault(name, reasons[link].format(other))
    return found


def _drawn(sheet: Sheet, moved: tuple[Evidence, ...], said: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Where the words speak of chance, and another column than the treatment is said to be assigned and moves it, what
    was left to chance is that column."""
    chance_said = next((e for e in said if e.design == "rct"), None)
    other = next((e for e in moved if e.design == "iv" and e.strength > 0 and e.quote), None)
    drawn = hint(said_of(sheet.treatment or "", sheet.described), ASSIGNED)[0] >= 2.5
    if chance_said is None or other is None or drawn:
        return ()
    name = other.columns["instruments"][0]
    text = f"What was left to chance is {name}, which moves {sheet.treatment}."
    return (Evidence("iv", min(chance_said.strength / 2, 3.0), "data", text, other.columns, None, chance_said.quote),)


def _instead(moved: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Where rows near the cutoff are missing, which side one is on can still serve as an instrument."""
    side = next((e for e in moved if e.design == "iv" and e.quote and e.columns.get("instruments")), None)
    if side is None:
        return ()
    text = f"With no rows near the cutoff, {side.columns['instruments'][0]} can serve as an instrument."
    return (Evidence("iv", 2.0, "data", text, side.columns),)


def _unheld(table: Table, outcome: str, described: Mapping[str, Description]) -> tuple[Evidence, ...]:
    """No column holds the treatment: only a rule on another column can say who was treated."""
    text = "No column holds the treatment, so only a rule can say who was treated."
    against = [Evidence(design, -5.0, "data", text) for design in ("adjustment", "iv", "rct")]
    said = {n: hint(said_of(n, described), RUNNING)[0] for n in table.names
            if n != outcome and table.kind(n) in ("continuous", "count")}
    running = tuple(sorted((n for n in said if said[n]), key=lambda n: (-said[n], n))[:3])
    if not running:
        return tuple(against)
    text = f"No column holds the treatment; a cutoff of {running[0]} may say who was treated."
    return (*against, Evidence("rdd", 2.5, "data", text, {"running_variable": running}))
