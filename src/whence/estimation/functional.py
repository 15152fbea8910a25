"""An estimand as a differentiable function of the masses of a table's cells.

The value of an expression on a discrete distribution, its exact derivative by every cell's mass (reverse mode), the
combinations that positivity asks for and the data lack, and how many rows each condition rests on.

Source: the influence function of a plug-in functional is its derivative in the direction of one row (von Mises 1947;
Jaeckel 1972, The infinitesimal jackknife); for a saturated table it is the efficient one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from whence.identification.expression import Expression, P, Product, Quotient, Sum

Pull = Callable[[np.ndarray], None]
Cell = dict[str, int]


@dataclass
class Masses:
    """Cells by the levels of ``names`` (one axis each) and, if ``totals`` is given, the outcome's total in each.

    mass: the weights of the rows of each cell, added up. outcome: the name of a variable that has no axis: it stands
    left of the bar in one probability, which then means the expectation of the outcome over those cells.
    by_mass, by_total: where ``Node.pull`` adds up derivatives.
    """

    names: tuple[str, ...]
    mass: np.ndarray
    totals: np.ndarray | None = None
    outcome: str | None = None
    by_mass: np.ndarray = field(init=False)
    by_total: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Set the derivatives to zero."""
        self.by_mass, self.by_total = np.zeros(self.mass.shape), np.zeros(self.mass.shape)

    def axes(self, names: Sequence[str]) -> tuple[int, ...]:
        return tuple(k for k, name in enumerate(self.names) if name in names)

    def marginal(self, table: np.ndarray, keep: Sequence[str]) -> np.ndarray:
        """``table`` summed over all names but ``keep``; the axes stay, with length 1."""
        kept = self.axes(keep)
        return table.sum(axis=tuple(k for k in range(len(self.names)) if k not in kept), keepdims=True)


@dataclass(frozen=True)
class Node:
    """One evaluated part of an expression.

    value: as ``Expression.evaluate`` gives it. pull: takes the derivative of the result by ``value`` and adds what
    follows to the table's. lacking: takes a mask of entries that are needed and unknown and yields
    (names, cell) of the combinations that would have to occur.
    """

    value: np.ndarray
    pull: Pull
    lacking: Callable[[np.ndarray], Iterator[Cell]]


def evaluated(expression: Expression, table: Masses) -> Node:
    """The expression on the table's distribution, ready to be differentiated."""
    if isinstance(expression, P):
        return _probability(expression, table)
    if isinstance(expression, Sum):
        return _sum(expression, table)
    if isinstance(expression, Quotient):
        return _quotient(expression, table)
    assert isinstance(expression, Product), expression
    return _product(expression, table)


def _probability(p: P, table: Masses) -> Node:
    left = (*p.outcomes, *p.given)
    mean = table.outcome in p.outcomes
    counted = table.totals if mean else table.mass
    assert counted is not None
    whole, condition = table.marginal(counted, left), table.marginal(table.mass, p.given)
    known = condition > 0
    safe = np.where(known, condition, 1.0)
    value = np.where(np.broadcast_to(known, whole.shape), whole / safe, math.nan)

    def pull(by: np.ndarray) -> None:
        by = np.where(np.isnan(value), 0.0, by)
        target = table.by_total if mean else table.by_mass
        target += by / safe
        below = _to_shape(by * np.nan_to_num(value), condition.shape)
        table.by_mass[...] -= below / safe

    def lacking(needed: np.ndarray) -> Iterator[Cell]:
        yield from _cells(_any_to(needed & np.isnan(value), condition.shape), table, p.given)

    return Node(value, pull, lacking)


def _sum(s: Sum, table: Masses) -> Node:
    body = evaluated(s.body, table)
    axes = table.axes(s.over)

    def pull(by: np.ndarray) -> None:
        body.pull(np.broadcast_to(by, body.value.shape))

    def lacking(needed: np.ndarray) -> Iterator[Cell]:
        yield from body.lacking(np.broadcast_to(needed, body.value.shape) & np.isnan(body.value))

    return Node(body.value.sum(axis=axes, keepdims=True), pull, lacking)


def _product(product: Product, table: Masses) -> Node:
    parts = [evaluated(f, table) for f in product.factors]
    if not parts:
        return Node(np.ones((1,) * table.mass.ndim), lambda by: None, lambda needed: iter(()))
    values = np.broadcast_arrays(*(part.value for part in parts))
    zero = np.any([v == 0 for v in values], axis=0)
    value = np.where(zero, 0.0, np.prod(values, axis=0))

    def pull(by: np.ndarray) -> None:
        for k, part in enumerate(parts):
            # Beside a factor that is zero because nothing occurs, what is unknown has no weight either.
            others = np.prod([np.nan_to_num(v) for j, v in enumerate(values) if j != k], axis=0)
            part.pull(_to_shape(by * others, part.value.shape))

    def lacking(needed: np.ndarray) -> Iterator[Cell]:
        for part, v in zip(parts, values, strict=True):
            yield from part.lacking(_any_to(needed & np.isnan(v) & ~zero, part.value.shape))

    return Node(value, pull, lacking)


def _quotient(q: Quotient, table: Masses) -> Node:
    above, below = evaluated(q.above, table), evaluated(q.below, table)
    top, bottom = np.broadcast_arrays(above.value, below.value)
    known = bottom > 0
    safe = np.where(known, bottom, 1.0)
    value = np.where(known, top / safe, math.nan)

    def pull(by: np.ndarray) -> None:
        by = np.where(np.isnan(value), 0.0, by)
        above.pull(_to_shape(by / safe, above.value.shape))
        below.pull(_to_shape(-by * np.nan_to_num(value) / safe, below.value.shape))

    def lacking(needed: np.ndarray) -> Iterator[Cell]:
        for part, v in ((above, top), (below, bottom)):
            yield from part.lacking(_any_to(needed & np.isnan(v), part.value.shape))
        yield from _cells(_any_to(needed & (bottom == 0), below.value.shape), table, sorted(q.below.free))

    return Node(value, pull, lacking)


def _to_shape(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum over the axes that ``shape`` has with length 1."""
    return values.sum(axis=tuple(k for k, size in enumerate(shape) if size == 1), keepdims=True)


def _any_to(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(mask.any(axis=tuple(k for k, size in enumerate(shape) if size == 1), keepdims=True))


def _cells(mask: np.ndarray, table: Masses, names: Sequence[str]) -> Iterator[Cell]:
    axes = table.axes(names)
    for position in np.argwhere(mask):
        yield {table.names[k]: int(position[k]) for k in axes}


def conditions(expression: Expression) -> list[tuple[str, ...]]:
    """What its probabilities condition on, each set once, in the order met."""
    if isinstance(expression, P):
        return [expression.given] if expression.given else []
    if isinstance(expression, Sum):
        return conditions(expression.body)
    parts = expression.factors if isinstance(expression, Product) else (
        (expression.above, expression.below) if isinstance(expression, Quotient) else ())
    found: dict[frozenset[str], tuple[str, ...]] = {}
    for part in parts:
        for names in conditions(part):
            found.setdefault(frozenset(names), names)
    return list(found.values())


def enters_as_mean(expression: Expression, outcome: str) -> bool:
    """Whether the expectation of ``outcome`` may take its place: the expression is linear in one probability that
    has it left of the bar, and it occurs nowhere else."""
    if isinstance(expression, P):
        return outcome in expression.outcomes
    if isinstance(expression, Sum):
        return outcome not in expression.over and enters_as_mean(expression.body, outcome)
    if isinstance(expression, Quotient):
        return outcome not in expression.below.variables and enters_as_mean(expression.above, outcome)
    assert isinstance(expression, Product), expression
    holders = [f for f in expression.factors if outcome in f.variables]
    return len(holders) == 1 and enters_as_mean(holders[0], outcome)
