"""Who is linked to whom: rows that list other rows by their unit's name, and the network that the lists make."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.errors import WhenceError, unknown_name
from whence.core.result import Refused, Remark
from whence.data.table import Column, Table

SEPARATORS = " \t\n\r,;|"
WRAPPING = "[](){}'\""
JOINED_BY = ("; ", ", ", " ", " | ")
SHOWN = 5


@dataclass(frozen=True)
class Network:
    """Links among n rows.

    links: int64 (m,), the rows listed by row 0, then those by row 1, and so on, each row's ascending, without itself
    and without repeats. starts: int64 (n + 1,), where each row's begin. A row's neighbours are those that it lists.
    """

    starts: np.ndarray
    links: np.ndarray

    @staticmethod
    def of(n: int, heads: np.ndarray, tails: np.ndarray) -> Network:
        """From pairs (m,): row ``heads[k]`` lists row ``tails[k]``. Repeats and links to oneself are left out."""
        apart = heads != tails
        keys = np.unique(heads[apart].astype(np.int64) * n + tails[apart])
        return Network(np.searchsorted(keys, np.arange(n + 1) * n), keys % n)

    @property
    def n(self) -> int:
        return len(self.starts) - 1

    @property
    def degree(self) -> np.ndarray:
        """int (n,): how many neighbours each row lists."""
        return np.diff(self.starts)

    @property
    def heads(self) -> np.ndarray:
        """int (m,): the row that lists, for each link."""
        return np.repeat(np.arange(self.n), self.degree)

    @functools.cached_property
    def matrix(self) -> Any:
        """Sparse (n, n) with 1 where the row lists the column."""
        from scipy.sparse import csr_matrix

        return csr_matrix((np.ones(len(self.links)), self.links, self.starts), shape=(self.n, self.n))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums of ``values`` (n,) or (n, k) over the rows listed; 0 for rows that list none."""
        return np.asarray(self.matrix @ values)

    @functools.cached_property
    def mutual(self) -> Network:
        """With every link counted in both directions."""
        return Network.of(self.n, np.append(self.heads, self.links), np.append(self.links, self.heads))

    @functools.cached_property
    def components(self) -> np.ndarray:
        """int (n,): which part each row is in; no links lead from one part to another."""
        from scipy.sparse.csgraph import connected_components

        return connected_components(self.matrix, directed=False)[1].astype(np.int64)


def read_network(units: Column, lists: Column) -> tuple[Network, tuple[Remark, ...]] | Refused:
    """The network among the rows of a table, from the column that names them and the one that lists their neighbours.

    Names in a list stand apart by spaces, commas, semicolons or bars (those that occur in no unit's name); brackets and
    quotes around them do no harm. An empty list says that there are no neighbours. Links that only one of two rows
    names are kept as they are. Said: links to oneself (left out), rows without neighbours, links named on one side.

    Refused: ``unit_repeated``, ``unknown_units``, ``no_links``.
    """
    names, texts = _written(units), _written(lists)
    named = [name for name in names if name]
    place = {name: i for i, name in enumerate(names) if name}
    if len(place) < len(named):
        twice = sorted({name for i, name in enumerate(names) if name and place[name] != i})
        return Refused("unit_repeated", f"{len(named) - len(place):,} rows have a value of {units.name!r} that another "
                       "row has too, so lists of neighbours do not say which is meant.",
                       {"repeated": twice[:SHOWN], "count": len(twice)}, "Use one row per unit.")
    apart = {ord(mark): "\n" for mark in _separators(named)}
    heads, tails, unknown, own, given = [], [], {}, 0, 0
    for i, text in enumerate(texts):
        tokens = [text] if text in place else map(str.strip, text.translate(apart).split("\n"))
        for token in filter(None, tokens):
            j = place.get(token, -1)
            j = place.get(_number(token), -1) if j < 0 else j
            given += 1
            if j < 0:
                unknown.setdefault(token, i)
            elif j == i:
                own += 1
            else:
                heads.append(i)
                tails.append(j)
    if unknown:
        few = ", ".join(repr(name) for name in sorted(unknown)[:SHOWN])
        return Refused("unknown_units", f"{lists.name!r} lists {len(unknown):,} names that {units.name!r} does not "
                       f"have: {few}{', ...' if len(unknown) > SHOWN else ''}.",
                       {"unknown": sorted(unknown)[:SHOWN], "count": len(unknown)},
                       "Add the rows of these units, whose treatment counts too, or take them out of the lists.")
    network = Network.of(len(names), np.array(heads, dtype=np.int64), np.array(tails, dtype=np.int64))
    if not len(network.links):
        return Refused("no_links", f"{lists.name!r} lists no neighbour of any row.", {"rows": len(names)},
                       "Without links there is no interference: use strategy='adjustment'.")
    return network, tuple(_noticed(network, lists.name, own, given))


def _noticed(network: Network, name: str, own: int, given: int) -> list[Remark]:
    said = []
    if own:
        said.append(Remark("self_links_dropped", f"{own:,} rows list themselves in {name}; that is left out.", (name,),
                           {"links": own}))
    repeats = given - own - len(network.links)
    if repeats:
        said.append(Remark("repeated_links", f"{repeats:,} neighbours are listed more than once by the same row; each "
                           "counts once.", (name,), {"links": repeats}))
    one_sided = len(network.mutual.links) - len(network.links)
    if one_sided:
        said.append(Remark(
            "one_sided_links", f"{one_sided:,} of {len(network.links):,} links are named by one of the two rows only. "
            "They are taken as they stand: a row is affected by those that it lists.", (name,),
            {"one_sided": one_sided, "links": len(network.links)},
        ))
    return said


def with_neighbours(
    table: Table, edges: Any, unit: str, *, ends: tuple[str, str] | None = None, directed: bool = False,
    column: str = "neighbours",
) -> Table:
    """The table with one more column (text) that lists each row's neighbours by their ``unit``.

    edges: a ``Table``, or anything that ``whence.read`` takes, with one link a row. ends: its two columns; None takes
    its first two. directed: whether only the first end lists the second, else both list each other.

    Raises ``WhenceError``: ``unknown_column``, ``bad_edges`` (fewer than two columns, or an end that is missing),
    ``unknown_unit`` (an end that the table lacks), ``column_exists``, ``unwritable_names`` (names that hold every
    separator).
    """
    if not isinstance(edges, Table):
        from whence.data.load import read

        edges = read(edges)
    if column in table:
        raise WhenceError(f"The table already has a column {column!r}.", code="column_exists", value=column,
                          hint="Give the new one another name: column=....")
    if len(edges.names) < 2 and ends is None:
        raise WhenceError("The links need two columns, one for each end.", code="bad_edges", value=list(edges.names))
    names = _written(table.column(unit))
    place = {name: i for i, name in enumerate(names) if name}
    found = []
    for end in ends or edges.names[:2]:
        tokens = _written(edges.column(end))
        lost = next((token for token in tokens if token not in place), None)
        if lost == "":
            raise WhenceError(f"The column {end!r} of the links has gaps.", code="bad_edges", value=end,
                              hint="Leave out links with only one end.")
        if lost is not None:
            raise unknown_name(f"unit in {unit!r} called", lost, tuple(place)[:1000], code="unknown_unit")
        found.append(np.array([place[token] for token in tokens], dtype=np.int64))
    network = Network.of(len(names), *found)
    network = network if directed else network.mutual
    usable = _separators([name for name in names if name])
    joined = next((mark for mark in JOINED_BY if (mark.strip() or mark) in usable), None)
    if joined is None:
        raise WhenceError(f"The names in {unit!r} hold every mark that could stand between them in a list.",
                          code="unwritable_names", value=unit, hint="Number the units.")
    lists = np.split(network.links, network.starts[1:-1])
    values = np.array([joined.join(names[j] for j in rows) or None for rows in lists], dtype=object)
    return table.replace(Column(column, "text", values))


def _separators(names: list[str]) -> str:
    """The marks that may stand between names: those that no name holds."""
    used = frozenset().union(*map(frozenset, names)) if names else frozenset()
    return "".join(mark for mark in SEPARATORS + WRAPPING if mark not in used)


def _written(column: Column) -> list[str]:
    """Every value as text, numbers without needless decimals, ``""`` for a missing one."""
    if column.levels is not None:
        words = [*(_number(str(level)) for level in column.levels), ""]
        return [words[code] for code in column.values]
    gone = column.missing
    return ["" if lost else _number(str(value).strip()) for value, lost in zip(column.values.tolist(), gone,
                                                                             strict=True)]


def _number(text: str) -> str:
    """``"3"`` for ``"3.0"``; other texts as they are."""
    whole, dot, rest = text.partition(".")
    return whole if dot and whole.lstrip("-").isdigit() and not rest.strip("0") else text

