"""A discrete joint distribution and the levels of treatments, as given by a user, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.core.result import to_plain


def checked_joint(joint: np.ndarray, names: tuple[str, ...], needed: Iterable[str]) -> np.ndarray:
    """As probabilities, one axis per name. Raises ``WhenceError`` (``bad_joint``, ``unknown_variable``)."""
    table = np.asarray(joint, dtype=float)
    if table.ndim != len(names) or len(set(names)) != len(names):
        raise WhenceError(f"The joint has {table.ndim} axes and {len(set(names))} different names; one name per axis.",
                          code="bad_joint", value=list(table.shape), allowed="one axis per name")
    for name in sorted(needed):
        if name not in names:
            raise unknown_name("variable", name, names, code="unknown_variable")
    total = table.sum()
    if not np.isfinite(table).all() or (table < 0).any() or not total > 0:
        raise WhenceError("The joint must hold finite values of at least 0 with a positive sum.", code="bad_joint",
                          value=to_plain(total), allowed="probabilities or counts")
    return table / total


def checked_levels(do: Mapping[str, int] | int, x: tuple[str, ...], sizes: Mapping[str, int]) -> dict[str, int]:
    """The level of each treatment. Raises ``WhenceError`` (``bad_level``)."""
    given = do if isinstance(do, Mapping) else {x[0]: do} if len(x) == 1 else {}
    if set(given) != set(x):
        raise WhenceError(f"Give a level for each treatment ({', '.join(x)}) and for nothing else.", code="bad_level",
                          value=sorted(map(str, given)), allowed=x)
    for name in x:
        level = given[name]
        if isinstance(level, bool) or not isinstance(level, (int, np.integer)) or not 0 <= level < sizes[name]:
            raise WhenceError(f"{name!r} has the levels 0 to {sizes[name] - 1}, not {level!r}.", code="bad_level",
                              value=to_plain(level), allowed=range(sizes[name]))
    return {name: int(given[name]) for name in x}


def averaged(values: np.ndarray, table: np.ndarray, names: tuple[str, ...], over: Iterable[str]) -> np.ndarray:
    """``values`` averaged over the levels of some names, as often as they occur; the axes stay, with length 1.

    For names an estimand mentions though its true value is the same at all their levels.
    """
    axes = tuple(names.index(name) for name in over)
    weights = table.sum(axis=tuple(k for k in range(table.ndim) if k not in axes), keepdims=True)
    return (np.where(weights > 0, values, 0.0) * weights).sum(axis=axes, keepdims=True)
