"""From a design with its columns to a spec: what is adjusted for in each design, and why the rest is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.result import Remark
from whence.data.table import Table
from whence.identification.spec import Spec
from whence.stats.features import codes_of
from whence.studies.evidence.evidence import Evidence, proposed
from whence.studies.evidence.read import tied_columns
from whence.studies.narrow import narrowed
from whence.studies.roles import choose_controls
from whence.studies.words import Description

ROWS_PER_CONTROL = 20  # an experiment with fewer rows per control is left unadjusted
UNBALANCED = 4.5  # standard errors between arms beyond which a column of an experiment is not taken for one before it
SAID = 0.6  # strength of a mention from which on it decides about a control
TAKEN_FROM = {"iv": ("instruments",), "rdd": ("running_variable",), "did": ("time", "unit", "post", "group"),
              "frontdoor": ("mediators",), "rct": ("strata",)}


@dataclass(frozen=True)
class Composed:
    """spec: the plan. choices: why, one remark each, with the columns left out. warnings: what it takes on faith."""

    spec: Spec
    choices: tuple[Remark, ...]
    warnings: tuple[Remark, ...]


def compose(
    table: Table, treatment: str, outcome: str, design: str, evidence: Sequence[Evidence],
    described: Mapping[str, Description], mentions: Sequence[Any] = (), controls: tuple[str, ...] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Composed:
    """The spec of ``design``. controls: given by the user, or None to choose them. extra: further fields of the spec.

    Raises the errors of ``Spec``.
    """
    fields: dict[str, Any] = {**_roles(design, evidence), **(extra or {})}
    listed = [value if isinstance(value, tuple) else (value,) for value in fields.values()]
    taken = {name for names in listed for name in names if isinstance(name, str)}
    taken |= {c.column for c in fields.get("population", ())}
    for role in TAKEN_FROM.get(design, ()):
        taken |= set(proposed(evidence, design, role)[:1])
    choices: list[Remark] = []
    if controls is None:
        controls, choices = _controls(table, treatment, outcome, design, fields, taken, described, mentions)
    warnings = (assumed(controls),) if design == "adjustment" and "graph" not in fields else ()
    spec = Spec(design, (treatment,), (outcome,), controls=controls, **fields)  # type: ignore[arg-type]
    return Composed(spec, tuple(choices), warnings)


def _roles(design: str, evidence: Sequence[Evidence]) -> dict[str, Any]:
    """The fields of the spec that the design's evidence proposes columns for."""
    if design == "iv":
        return {"instruments": proposed(evidence, design, "instruments")}
    if design == "rdd":
        running = proposed(evidence, design, "running_variable")
        return {"running_variable": running[0] if running else None, "cutoff": _cutoff(evidence)}
    if design == "did":
        time, unit = (proposed(evidence, design, role) for role in ("time", "unit"))
        return {"time": time[0] if time else None, "unit": unit[0] if unit else None}
    if design == "frontdoor":
        return {"mediators": proposed(evidence, design, "mediators")}
    return {}


def _cutoff(evidence: Sequence[Evidence]) -> float | None:
    """The cutoff that the data show, or else the one that the words name."""
    given = [e for e in evidence if e.design == "rdd" and e.cutoff is not None]
    return max(given, key=lambda e: (e.source == "data", e.strength)).cutoff if given else None


def _controls(
    table: Table, treatment: str, outcome: str, design: str, fields: Mapping[str, Any], taken: set[str],
    described: Mapping[str, Description], mentions: Sequence[Any],
) -> tuple[tuple[str, ...], list[Remark]]:
    """Controls for the design, and a remark for each column left out."""
    if design == "rdd":
        return (), [Remark("no_controls", "Nothing is adjusted for: near the cutoff, both sides are alike.")]
    if design == "did" and fields.get("unit") is not None:
        return (), [Remark("no_controls", "Nothing else is adjusted for: each unit is compared with itself, and what "
                           "changes over time may itself follow from the treatment.")]
    rest = table.select([n for n in table.names if n not in taken])
    kept, remarks = choose_controls(rest, treatment, outcome, described)
    later = {m.column: m for m in mentions if m.role == "post_treatment" and m.strength >= SAID}
    before = {m.column for m in mentions if m.role == "control" and m.strength >= SAID}
    for name in kept:
        if name in later and name not in before:
            said = later[name].sentence
            remarks.append(_left_out(name, f"it comes after the treatment by its description ({said!r})"))
    tied = tied_columns(table, treatment, outcome, fields.get("instruments", ()))
    remarks += [_left_out(name, tied[name]) for name in kept if name in tied]
    kept = tuple(n for n in kept if n not in tied and (n not in later or n in before))
    if design == "rct":
        return _balanced(table, treatment, kept, remarks)
    kept, said = narrowed(table, treatment, outcome, fields.get("instruments", ()), kept, described, before)
    return kept, [*remarks, *said]


def _balanced(
    table: Table, treatment: str, names: tuple[str, ...], remarks: list[Remark]
) -> tuple[tuple[str, ...], list[Remark]]:
    """Of an experiment: columns alike in the arms, for precision; what differs may have come after the treatment."""
    kept = []
    for name in names:
        gap = _imbalance(table, treatment, name)
        if gap > UNBALANCED:
            remarks.append(_left_out(name, f"the arms differ in it by {gap:.0f} standard errors, more than chance "
                                           "would have made of a column before the treatment"))
        else:
            kept.append(name)
    if kept and table.n_rows < ROWS_PER_CONTROL * len(kept):
        return (), [*remarks, Remark("no_controls", f"Nothing is adjusted for: {len(kept)} columns are too many for "
                                     f"{table.n_rows:,} rows, and an experiment does not need them.")]
    if kept:
        be, them = ("is", "it") if len(kept) == 1 else ("are", "them")
        remarks.append(Remark("role_control", f"{', '.join(kept)} {be} adjusted for, to be more precise: the arms are "
                              f"alike in {them}.", tuple(kept)))
    return tuple(kept), remarks


def _imbalance(table: Table, treatment: str, name: str) -> float:
    """How far a column goes with the treatment, in standard errors (the largest over levels of words)."""
    t, x = table.column(treatment), table.column(name)
    rows = np.flatnonzero(~t.missing & ~x.missing)
    if len(rows) < 10:
        return 0.0
    treated = _as_numbers(table, treatment, rows)[:, :1]
    values = _as_numbers(table, name, rows)
    spread = treated.std(0) * values.std(0)
    share = ((treated - treated.mean(0)) * (values - values.mean(0))).mean(0) / np.where(spread > 0, spread, 1.0)
    share = np.clip(share, -1 + 1e-9, 1 - 1e-9)
    return float(np.abs(np.arctanh(share)).max() * np.sqrt(len(rows)))


def _as_numbers(table: Table, name: str, rows: np.ndarray) -> np.ndarray:
    """A column as float (n, k): itself, or one column of zeros and ones for each of its first levels."""
    column = table.column(name)
    if column.kind == "categorical" or column.kind == "text":
        codes = codes_of(column, rows)
        return (codes[:, None] == np.arange(min(int(codes.max()) + 1, 20))).astype(float)
    return column.numeric()[rows].astype(float)[:, None]


def assumed(controls: tuple[str, ...]) -> Remark:
    """What an adjustment without a graph takes on faith."""
    if not controls:
        return Remark("assumed_unconfounded", "No graph was given and no column can be adjusted for. The groups are "
                      "compared as they are, which is right only if nothing affects both treatment and outcome.")
    one = len(controls) == 1
    return Remark(
        "assumed_pretreatment",
        f"No graph was given, so {'the only usable column is' if one else f'all {len(controls)} usable columns are'} "
        f"adjusted for. That is right only if {'it is not' if one else 'none of them is'} affected by the treatment "
        f"and {'it is the only' if one else 'together they hold every'} common cause.", controls)


def _left_out(name: str, reason: str) -> Remark:
    return Remark("excluded", f"{name} is not adjusted for: {reason}.", (name,))

