"""Response types: the ways in which the nodes of one district can answer their causes, as far as a question can tell.

The hidden causes of a node matter only through the function from its parents' levels to its own that they select, its
response type (Balke, Pearl 1994). Here a district's types are listed up to equivalence: by the levels its nodes
take in each of a list of worlds (a setting of causes, and the nodes that answer). Two types that agree in every world
asked about are one, so a function is only written out where some world needs it.

Sources: Balke, Pearl (1997), Bounds on treatment effects from studies with imperfect compliance; Jonzon,
Gabriel, Sjolander and others (2022), A general method for deriving tight symbolic bounds on causal effects.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Rule = tuple[int, int]  # a parent, and 1 where the node may not fall as it rises, -1 where it may not rise


class TooManyTypes(Exception):
    """More distinct types than allowed. count: how many there are at least."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


@dataclass(frozen=True)
class World:
    """fixed: levels of causes that are seen or set. read: the nodes that answer, causes first."""

    fixed: tuple[tuple[int, int], ...]
    read: tuple[int, ...]


def response_types(order: Sequence[int], parents: Mapping[int, Sequence[int]], levels: Sequence[int],
                   worlds: Sequence[World], rules: Mapping[int, Sequence[Rule]], most: int) -> np.ndarray:
    """Every distinct answer of a district to the worlds: int8 (types, worlds, nodes of ``order``).

    order: the nodes, causes first. parents: of each, all fixed or read in every world that reads the node.
    levels: how many each node of the graph has. rules: monotonicity per node. A node that a world does not read is 0
    there. Raises ``TooManyTypes`` before more than ``most`` are built.
    """
    at = {v: k for k, v in enumerate(order)}
    fixed = [dict(world.fixed) for world in worlds]
    found = np.zeros((1, len(worlds), len(order)), dtype=np.int8)
    for v in order:
        asked = [w for w, world in enumerate(worlds) if v in world.read]
        if not asked:
            continue
        seen = np.zeros((len(found), len(asked)), dtype=np.int64)
        for parent in parents[v]:
            told = [fixed[w][parent] if parent in fixed[w] else found[:, w, at[parent]] for w in asked]
            seen = seen * levels[parent] + np.stack(np.broadcast_arrays(np.zeros(len(found), np.int64), *told)[1:], 1)
        shape = tuple(levels[parent] for parent in parents[v])
        signs = {k: sign for parent, sign in rules.get(v, ()) for k, p in enumerate(parents[v]) if p == parent}
        found = _answered(found, seen, asked, at[v], levels[v], shape, signs, most)
    return found


def _answered(found: np.ndarray, seen: np.ndarray, asked: list[int], at: int, levels: int, shape: tuple[int, ...],
              signs: Mapping[int, int], most: int) -> np.ndarray:
    """Each type so far with each function of one node on the settings of its parents that it meets."""
    patterns, member, count = np.unique(seen, axis=0, return_inverse=True, return_counts=True)
    settings = [np.unique(row, return_inverse=True) for row in patterns]
    if not signs:
        total = sum(int(n) * levels ** len(each) for n, (each, _) in zip(count, settings, strict=True))
        if total > most:
            raise TooManyTypes(total)
    parts, total = [], 0
    for k, (each, back) in enumerate(settings):
        functions = _functions(each, levels, shape, signs, most)
        rows = found[member.ravel() == k]
        total += len(rows) * len(functions)
        if total > most:
            raise TooManyTypes(total)
        new = np.repeat(rows, len(functions), axis=0)
        new[:, asked, at] = np.tile(functions[:, back], (len(rows), 1))
        parts.append(new)
    return np.concatenate(parts)


def _functions(settings: np.ndarray, levels: int, shape: tuple[int, ...], signs: Mapping[int, int],
               most: int) -> np.ndarray:
    """All level choices per setting (functions, settings) that some function with these directions extends.

    A choice that respects the order between the settings met always extends to one that does everywhere.
    """
    if levels ** len(settings) > most:
        raise TooManyTypes(levels ** len(settings))
    functions = _choices(levels, len(settings))
    if not signs:
        return functions
    values = np.stack(np.unravel_index(settings, shape), axis=1)
    for i, j in itertools.permutations(range(len(settings)), 2):
        steps = values[j] - values[i]
        if all(signs[k] * step >= 0 if k in signs else step == 0 for k, step in enumerate(steps)):
            functions = functions[functions[:, i] <= functions[:, j]]
    return functions


@functools.lru_cache(maxsize=64)
def _choices(levels: int, count: int) -> np.ndarray:
    return np.array(list(itertools.product(range(levels), repeat=count)), dtype=np.int8).reshape(-1, count)
