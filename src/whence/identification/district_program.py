"""The linear program over the response types of the open districts: what was seen, and the effect."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from whence.graphs.bits import ones, topological
from whence.identification.factors import Factors, factor
from whence.identification.response_types import Rule, TooManyTypes, World, response_types

MOST_TYPES = 200_000
MOST_CELLS = 200_000_000  # levels held at once: types times worlds times nodes


@dataclass(frozen=True)
class Program:
    """Shares of columns with ``matrix @ shares == target`` and ``shares >= 0``; a column is a set of types seen alike.

    costs: for treated - control and for each arm, its least and greatest value over the types of each column.
    answers: the types, one level per world and node of ``order``. column: of each type. effects: (quantities, types).
    """

    matrix: Any
    target: np.ndarray
    costs: list[tuple[np.ndarray, np.ndarray]]
    sharp: bool
    order: tuple[int, ...] = field(repr=False)
    worlds: tuple[World, ...] = field(repr=False)
    answers: np.ndarray = field(repr=False)
    column: np.ndarray = field(repr=False)
    effects: np.ndarray = field(repr=False)

    @property
    def types(self) -> int:
        """How many response types the worlds tell apart."""
        return len(self.answers)


@dataclass
class _Worlds:
    """The worlds asked about, each once."""

    levels: tuple[int, ...]
    order: tuple[int, ...]
    found: dict[World, int] = field(default_factory=dict)

    def over(self, read: int, fixed: int, at: Mapping[int, int] | None = None) -> Iterator[tuple[int, dict[int, int]]]:
        """A world for every setting of the nodes ``fixed`` (some set to one level by ``at``), with that setting."""
        order = tuple(v for v in self.order if read >> v & 1)
        nodes = ones(fixed)
        choices = (((at or {})[v],) if v in (at or {}) else range(self.levels[v]) for v in nodes)
        for chosen in itertools.product(*choices):
            setting = dict(zip(nodes, chosen, strict=True))
            yield self.found.setdefault(World(tuple(setting.items()), order), len(self.found)), setting


@dataclass(frozen=True)
class _Seen:
    """The probability of each combination of the nodes read in one world; NaN where not determined."""

    world: int
    nodes: tuple[int, ...]
    chances: np.ndarray


def program(found: Factors, rules: Mapping[int, Sequence[Rule]]) -> Program:
    """The program. Raises ``TooManyTypes``."""
    asked, inside = found.asked, found.district
    bits = asked.bits
    order = tuple(v for v in topological(bits.parents, bits.children) if inside >> v & 1)
    worlds = _Worlds(found.table.shape, order)
    seen = [each for part in _determined(found) for each in _seen(found, worlds, part)]
    target = found.needed & inside
    wanted = [list(worlds.over(target, asked.outside(target), {asked.x: level})) for level in found.arms]
    apart = {v: _own_worlds(found, worlds, v) for v in found.roots}
    listed = tuple(worlds.found)
    if len(listed) * len(order) > MOST_CELLS // 1000:
        raise TooManyTypes(MOST_TYPES + 1)
    most = min(MOST_TYPES, MOST_CELLS // (len(listed) * len(order)))
    parents = {v: ones(bits.parents[v]) for v in order}
    answers = response_types(order, parents, worlds.levels, listed, rules, most)
    at = {v: k for k, v in enumerate(order)}
    means = [_means(rest, each, answers, at, target) for rest, each in zip(found.rest, wanted, strict=True)]
    effects = np.array([means[0] - means[-1] if len(means) > 1 else means[0], *means])
    matrix, goal, column = _constraints(seen, apart, found, answers, at)
    size = matrix.shape[1]
    costs = [(_per_column(np.minimum, each, column, size), _per_column(np.maximum, each, column, size))
             for each in effects]
    return Program(matrix, goal, costs, found.sharp, order, listed, answers, column, effects)


def _determined(found: Factors) -> list[int]:
    """The open districts as one, and where it says more, the parts of it whose factor can be computed.

    It says more when no single hidden cause reaches all nodes, and the part is not closed under parents inside (then
    it follows by summing).
    """
    asked, inside = found.asked, found.district
    if asked.one_cause(inside):
        return [inside]
    nodes, more = ones(inside), []
    for size in range(1, len(nodes)):
        for chosen in itertools.combinations(nodes, size):
            part = sum(1 << v for v in chosen)
            if asked.outside(part) & inside and factor(asked, found.table, part) is not None:
                more.append(part)
    return [inside, *more]


def _seen(found: Factors, worlds: _Worlds, part: int) -> Iterator[_Seen]:
    chances = factor(found.asked, found.table, part)
    assert chances is not None
    nodes = tuple(v for v in worlds.order if part >> v & 1)
    outside = ones(found.asked.outside(part))
    for setting in itertools.product(*(range(worlds.levels[v]) for v in outside)):
        fixed = dict(zip(outside, setting, strict=True))
        cells = chances[tuple(fixed.get(v, slice(None) if v in nodes else 0) for v in range(chances.ndim))]
        if not np.isnan(cells).all():
            ((world, _),) = worlds.over(part, found.asked.outside(part), fixed)
            yield _Seen(world, nodes, _in_order(cells, nodes))


def _in_order(cells: np.ndarray, nodes: tuple[int, ...]) -> np.ndarray:
    """Axes by name order turned into the order of ``nodes``, flattened."""
    by_name = sorted(nodes)
    return cells.transpose([by_name.index(v) for v in nodes]).ravel()


def _own_worlds(found: Factors, worlds: _Worlds, root: int) -> list[int]:
    """Worlds that show all that the types of the nodes which share no hidden cause with a root can differ in."""
    asked = found.asked
    strangers = asked.strangers(root, found.district)
    outside, listed = asked.outside(strangers), []
    for fixed in {0, strangers & 1 << asked.x}:
        listed += [world for world, _ in worlds.over(strangers & ~fixed, outside | fixed)]
    return listed


def _means(rest: np.ndarray, wanted: list[tuple[int, dict[int, int]]], answers: np.ndarray, at: Mapping[int, int],
           target: int) -> np.ndarray:
    """The mean score under one arm for each type: the term of its answers, summed over the settings around it."""
    total = np.zeros(len(answers))
    for world, setting in wanted:
        index = [answers[:, world, at[v]].astype(np.intp) if target >> v & 1
                 else np.full(len(answers), setting[v] if v in setting and rest.shape[v] > 1 else 0, dtype=np.intp)
                 for v in range(rest.ndim)]
        total += rest[tuple(np.minimum(each, size - 1) for each, size in zip(index, rest.shape, strict=True))]
    return total


def _constraints(seen: list[_Seen], apart: Mapping[int, list[int]], found: Factors, answers: np.ndarray,
                 at: Mapping[int, int]) -> tuple[Any, np.ndarray, np.ndarray]:
    """The matrix over columns, its target, and the column of each type."""
    from scipy.sparse import coo_array

    levels = found.table.shape
    codes = [_code(answers[:, each.world], each.nodes, at, levels) for each in seen]
    signs = []
    for root, worlds in apart.items():
        inside = answers[:, worlds].reshape(len(answers), -1)
        _, own = np.unique(inside, axis=0, return_inverse=True)
        signs += [own.ravel(), answers[:, seen[0].world, at[root]].astype(np.int64)]
    _, first, column = np.unique(np.stack([*codes, *signs], axis=1), axis=0, return_index=True, return_inverse=True)
    count = len(first)
    rows, cols, data = [np.zeros(count, np.int64)], [np.arange(count)], [np.ones(count)]
    target = [np.ones(1)]  # the shares sum to one
    start = 1
    for each, code in zip(seen, codes, strict=True):
        place = np.cumsum(~np.isnan(each.chances)) - 1
        kept = np.flatnonzero(~np.isnan(each.chances)[code[first]])
        rows.append(start + place[code[first][kept]])
        cols.append(kept)
        data.append(np.ones(len(kept)))
        target.append(each.chances[~np.isnan(each.chances)])
        start += len(target[-1])
    for k, root in enumerate(apart):
        own, level = signs[2 * k][first], signs[2 * k + 1][first]
        chance = found.table.sum(axis=tuple(v for v in range(found.table.ndim) if v != root))
        for value in range(levels[root]):  # P(root, own) = P(root) P(own)
            rows.append(start + own)
            cols.append(np.arange(count))
            data.append((level == value) - chance[value])
            target.append(np.zeros(int(own.max()) + 1))
            start += len(target[-1])
    at_all = (np.concatenate(rows), np.concatenate(cols))
    matrix = coo_array((np.concatenate(data), at_all), shape=(start, count)).tocsr()
    return matrix, np.concatenate(target), column.ravel()


def _code(answers: np.ndarray, nodes: tuple[int, ...], at: Mapping[int, int], levels: Sequence[int]) -> np.ndarray:
    code = np.zeros(len(answers), dtype=np.int64)
    for v in nodes:
        code = code * levels[v] + answers[:, at[v]]
    return code


def _per_column(choose: np.ufunc, effects: np.ndarray, column: np.ndarray, count: int) -> np.ndarray:
    out = np.full(count, np.inf if choose is np.minimum else -np.inf)
    choose.at(out, column, effects)
    return out
