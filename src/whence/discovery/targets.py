"""Which variables were intervened on in which rows, and the score that takes account of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.core.result import Refused, Remark
from whence.data.table import Column, Table
from whence.discovery.columns import FEWEST_ROWS, Nodes, nodes
from whence.discovery.scored import Scored
from whence.stats.score.interventional import interventional

UNTOUCHED = ("", "none", "observational")  # what a row says in which nothing was intervened on


def under_interventions(table: Table, parameters: Mapping[str, Any]) -> Scored | Refused:
    """The nodes of a search and their score, with the rows of every intervention.

    parameters: ``targets``, the column that says what was intervened on, ``levels``, what its values mean, and those of
    ``SCORE_PARAMETERS``. A ``Refused`` where a variable was intervened on in all rows but a few, does not vary in the
    others, or cannot be a node. Raises ``WhenceError``: ``unknown_column``, ``unknown_target``, ``bad_parameter``,
    ``wrong_kind``.
    """
    column = parameters["targets"]
    if column is None and parameters["levels"] is not None:
        raise WhenceError("levels says what the values of the column targets mean, but targets is not given.",
                          code="bad_parameter", value=parameters["levels"], hint="Name that column: targets='...'.")
    told = None if column is None else table.column(column)
    rest = table.select([n for n in table.names if n != column])
    found = nodes(rest)
    if isinstance(found, Refused):
        return found
    sets, which = _sets(told, len(table), rest.names, parameters["levels"])
    refused = _not_a_node(sets, found)
    if refused is not None:
        return refused
    family = np.array([[n in s for n in found.names] for s in sets], dtype=bool).reshape(len(sets), len(found.names))
    held = family[which]
    refused = _too_often(rest, found.names, held)
    if refused is not None:
        return refused
    given = {key: parameters[key] for key in ("penalty", "gamma", "sample_size")}
    chosen = interventional(rest, found.names, held, parameters["score"], given)
    remarks = (*found.remarks, *chosen.remarks, *(() if held.any() else (_no_interventions(),)))
    return Scored(found.names, chosen, remarks, targets=_counted(sets, which),
                  beside=() if column is None else (column,), within=which)


def _counted(sets: list[tuple[str, ...]], which: np.ndarray) -> tuple[tuple[tuple[str, ...], int], ...]:
    return tuple(sorted((s, int((which == k).sum())) for k, s in enumerate(sets)))


def _no_interventions() -> Remark:
    return Remark("no_interventions", "No row has an intervention: this is what the rows tell by themselves. The "
                  "parameter 'targets' names the column that says what was intervened on.", ())


def _sets(told: Column | None, n: int, names: tuple[str, ...], levels: str | None
          ) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """The sets of variables that were intervened on together, and int (n,) the set of each row."""
    if told is None:
        return [()], np.zeros(n, dtype=np.int64)
    there = np.flatnonzero(~told.missing)
    _, first, at = np.unique(told.values[there], return_index=True, return_inverse=True)
    which = np.full(n, len(first))  # the last value is the empty one, of rows without any
    which[there] = at
    values = [*(told.shown(row).strip() for row in there[first].tolist()), ""]
    meanings = None if levels is None else _meanings(levels, names)
    meant = [_meant(value, names, meanings, told.name) for value in values]
    sets = sorted({m for k, m in enumerate(meant) if k < len(first) or len(there) < n})
    return sets, np.array([sets.index(m) if m in sets else -1 for m in meant], dtype=np.int64)[which]


def _meant(value: str, names: tuple[str, ...], meanings: Mapping[str, tuple[str, ...]] | None, column: str
           ) -> tuple[str, ...]:
    if meanings is None or (value == "" and value not in meanings):
        return _targets(value, names)
    if value not in meanings:
        raise WhenceError(f"levels does not say what the value {value!r} of {column!r} means.", code="bad_parameter",
                          value=value, allowed=tuple(meanings),
                          hint=f"Add '{value} = ' and the variables it intervenes on; none for an untouched row.")
    return meanings[value]


def _targets(value: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The variables named, one or several with commas, semicolons, plus signs or ampersands between."""
    if value in names:
        return (value,)
    if value.lower() in UNTOUCHED:
        return ()
    named = [part.strip() for part in re.split(r"[,;+&]", value) if part.strip()]
    for name in named:
        if name not in names:
            raise unknown_name("variable that could have been intervened on called", name, names, code="unknown_target")
    return tuple(sorted(set(named)))


def _meanings(levels: str, names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The variables by value, from lines such as ``drug A = raf, mek; control =``."""
    out: dict[str, tuple[str, ...]] = {}
    for line in levels.split(";"):
        if not line.strip():
            continue
        value, equals, named = line.partition("=")
        if not equals or value.strip() in out:
            raise WhenceError(f"levels cannot be read at {line.strip()!r}.", code="bad_parameter", value=levels,
                              allowed="'value = variable, variable; value = variable', each value once")
        out[value.strip()] = _targets(named.strip(), names)
    return out


def _not_a_node(sets: Iterable[tuple[str, ...]], found: Nodes) -> Refused | None:
    """Interventions on a column that cannot be a node reach the others in ways that no graph of the nodes tells."""
    for name in sorted({n for s in sets for n in s}):
        if name not in found.names:
            why = next((str(r) for r in found.remarks if r.about[:1] == (name,)), "")
            reason = f"{name!r} was intervened on but cannot be part of the graph. {why}".strip()
            return Refused("target_left_out", reason, {"target": name},
                           "Leave out the rows in which it was intervened on.", "discover")
    return None


def _too_often(table: Table, names: tuple[str, ...], held: np.ndarray) -> Refused | None:
    """A variable that is always set shows nothing of its causes (Hauser and Buhlmann 2012: conservative families)."""
    for k, name in enumerate(names):
        column, free = table.column(name), ~held[:, k]
        seen = column.values[free & ~column.missing]
        if len(seen) < FEWEST_ROWS and held[:, k].any():
            return Refused(
                "always_intervened", f"Only {len(seen)} rows have a value of {name!r} that no intervention set, so "
                "nothing tells what causes it.", {"variable": name, "rows": len(seen), "needed": FEWEST_ROWS},
                "Add rows without interventions or with interventions on other variables, or leave this column out.",
                "discover")
        if (seen == seen[0]).all():
            return Refused(
                "constant_without_intervention", f"{name!r} has the same value in every row in which no intervention "
                "set it, so nothing tells what causes it.", {"variable": name, "rows": len(seen)},
                "Leave this column out, or add rows in which it varies by itself.", "discover")
    return None
