"""BIF, the interchange format for discrete Bayesian networks, with levels and tables, both ways.

``variable rain { type discrete [ 2 ] { yes, no }; }`` and ``probability ( wet | rain ) { (yes) 0.9, 0.1; ... }``.
Names with spaces or punctuation stand in double quotes. Source: Cozman (1998), "The Interchange Format for
Bayesian Networks", version 0.15.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from whence.core.errors import WhenceError
from whence.graphs.classes import DAG
from whence.graphs.formats.draft import Draft
from whence.graphs.formats.scan import Scanner, quote
from whence.graphs.graph import marks_from_edges

_WORD = re.compile(r"[^\s{}()\[\]|,;\"]+")
_SPACE = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_PROPERTY = re.compile(r"(?:[^;\"]|\"[^\"]*\")*;")
_ROUNDING = 0.01  # probabilities are printed with few digits; a row further from one is an error
_CELLS = 50_000_000


@dataclass(frozen=True, eq=False)
class Network:
    """A DAG with the levels and the conditional probabilities of its nodes.

    levels: per node, its values. parents: per node, in the order of the axes of its table. tables: per node a
    float64 array with one axis per parent and a last axis for the node itself, which sums to one.
    ``simulate.networks.DiscreteNetwork`` has the same four parts.
    """

    graph: DAG
    levels: Mapping[str, tuple[str, ...]]
    parents: Mapping[str, tuple[str, ...]]
    tables: Mapping[str, np.ndarray]


class _Scanner(Scanner):
    """A scanner to which # is no comment."""

    def skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        if found:
            self.at = found.end()

    def word(self, expected: str) -> str:
        """A name or a level, quoted or not."""
        found = self.quoted()
        if found is None:
            found = self.match(_WORD)
        if not found:
            raise self.fail(expected)
        return found

    def number(self) -> float:
        self.skip()
        at = self.at
        try:
            value = float(self.match(_WORD))
        except ValueError:
            value = math.nan
        if not 0 <= value <= 1:
            raise self.fail("a probability between 0 and 1", at)
        return value

    def numbers(self) -> list[float]:
        """Probabilities up to the semicolon, with or without commas."""
        found = [self.number()]
        while not self.take(";"):
            self.take(",")
            found.append(self.number())
        return found

    def listed(self, closing: str, expected: str) -> list[str]:
        """Words up to ``closing``, with or without commas."""
        found: list[str] = []
        while not self.take(closing):
            if found:
                self.take(",")
            found.append(self.word(expected))
        return found

    def property(self) -> bool:
        """Past ``property ...;``, which says nothing about the network."""
        if not re.compile(r"property\b").match(self.text, self.at):
            return False
        if not self.match(_PROPERTY):
            raise self.fail("a semicolon after the property")
        return True


def read_network(text: str) -> Network:
    """The whole network. Rows that miss one by less than 0.01, printed digits lost, are divided by their sum.

    Raises ``WhenceError`` (``bad_graph_text``) with line and column, or ``cycle``.
    """
    scan = _Scanner(text, "BIF text")
    levels: dict[str, tuple[str, ...]] = {}
    parents: dict[str, tuple[str, ...]] = {}
    tables: dict[str, np.ndarray] = {}
    while not scan.done():
        at = scan.at
        keyword = scan.match(_WORD)
        if keyword == "network":
            _skip_network(scan)
        elif keyword == "variable":
            name, values = _variable(scan)
            if name in levels:
                raise scan.fail(f"a variable other than {name!r}, which is there already,", at)
            levels[name] = values
        elif keyword == "probability":
            name, given, table = _probability(scan, levels)
            if name in tables:
                raise scan.fail(f"no second table for {name!r}", at)
            parents[name], tables[name] = given, table
        else:
            raise scan.fail("network, variable or probability", at)
    missing = [name for name in levels if name not in tables]
    if missing or not levels:
        raise scan.fail(f"a probability table for {missing[0]!r}" if missing else "a variable")
    edges = [(parent, "-->", name) for name in levels for parent in parents[name]]
    names = tuple(levels)
    return Network(DAG(names, marks_from_edges(names, edges)), levels, parents, tables)


def read(text: str) -> Draft:
    """The graph alone; see ``read_network``."""
    found = read_network(text)
    return Draft(found.graph.names, tuple(found.graph.edges()), kind="dag")


def _skip_network(scan: _Scanner) -> None:
    if not scan.take("{"):
        scan.word("the name of the network")
        scan.need("{", "{ after the name of the network")
    while not scan.take("}"):
        if not scan.property():
            raise scan.fail("a property or }")


def _variable(scan: _Scanner) -> tuple[str, tuple[str, ...]]:
    name = scan.word("the name of a variable")
    scan.need("{", "{ after the name of the variable")
    values: tuple[str, ...] = ()
    while not scan.take("}"):
        if scan.property():
            continue
        scan.need("type", "type or }")
        scan.need("discrete", "discrete, the only type with tables,")
        scan.need("[", "the number of levels in [ ]")
        at = scan.at
        count = scan.word("the number of levels")
        scan.need("]", "]")
        scan.need("{", "the levels in { }")
        values = tuple(scan.listed("}", "a level"))
        scan.need(";", "; after the levels")
        if count != str(len(values)):
            raise scan.fail(f"{len(values)}, the number of levels listed,", at + 1)
        if len(set(values)) < len(values):
            raise scan.fail(f"distinct levels of {name!r}")
    if not values:
        raise scan.fail(f"the levels of {name!r} before this")
    return name, values


def _probability(scan: _Scanner, levels: Mapping[str, tuple[str, ...]]) -> tuple[str, tuple[str, ...], np.ndarray]:
    scan.need("(", "( after probability")
    at = scan.at
    name = scan.word("the name of a variable")
    # Before version 0.15 there was no | between a variable and its parents.
    scan.take("|")
    given = tuple(scan.listed(")", "a parent or )"))
    for word in (name, *given):
        if word not in levels:
            raise scan.fail(f"a variable declared above, not {word!r},", at)
    if len({name, *given}) <= len(given):
        raise scan.fail("each variable once", at)
    shape = [len(levels[parent]) for parent in given]
    size = len(levels[name])
    if math.prod(shape) * size > _CELLS:
        raise WhenceError(f"The table of {name!r} has {math.prod(shape) * size:,} cells.", code="too_large",
                          value=math.prod(shape) * size, allowed=f"at most {_CELLS:,}")
    table = np.full((*shape, size), np.nan)
    default: list[float] | None = None
    scan.need("{", "{ before the table")
    while not scan.take("}"):
        scan.skip()
        start = scan.at
        if scan.property():
            continue
        if scan.take("("):
            cell = _cell(scan, given, levels)
            table[cell] = _sized(scan, size, start)
        elif scan.take("table"):
            # The variable itself turns slowest: the standard's p(x1|y1), p(x1|y2), ..., p(x2|y1), ...
            values = np.array(_sized(scan, math.prod(shape) * size, start))
            table = np.moveaxis(values.reshape(size, *shape), 0, -1).copy()
        elif scan.take("default"):
            default = _sized(scan, size, start)
        else:
            raise scan.fail("table, default, or the levels of the parents in ( )")
    if default is not None:
        table[np.isnan(table[..., 0])] = default
    return name, given, _normalised(scan, name, given, table, levels)


def _cell(scan: _Scanner, given: tuple[str, ...], levels: Mapping[str, tuple[str, ...]]) -> tuple[int, ...]:
    at = scan.at
    words = scan.listed(")", "a level or )")
    if len(words) != len(given):
        raise scan.fail(f"{len(given)} levels, one for each parent,", at)
    for parent, word in zip(given, words, strict=True):
        if word not in levels[parent]:
            raise scan.fail(f"a level of {parent!r} ({', '.join(levels[parent][:8])}), not {word!r},", at)
    return tuple(levels[parent].index(word) for parent, word in zip(given, words, strict=True))


def _sized(scan: _Scanner, size: int, start: int) -> list[float]:
    values = scan.numbers()
    if len(values) != size:
        raise scan.fail(f"{size} probabilities, not {len(values)},", start)
    return values


def _normalised(
    scan: _Scanner, name: str, given: tuple[str, ...], table: np.ndarray, levels: Mapping[str, tuple[str, ...]]
) -> np.ndarray:
    total = table.sum(axis=-1, keepdims=True)
    wrong = np.argwhere(~(np.abs(total[..., 0] - 1) <= _ROUNDING))
    if len(wrong):
        where = ", ".join(f"{p} = {levels[p][k]}" for p, k in zip(given, wrong[0], strict=True))
        value = float(total[(*wrong[0], 0)])
        what = "nothing" if math.isnan(value) else f"{value:g}"
        raise scan.fail(f"the probabilities of {name!r}{' at ' + where if where else ''} to sum to 1, not {what},",
                        scan.at - 1)
    return np.where(np.abs(total - 1) > 1e-12, table / total, table)


def write(network: Network) -> str:
    """BIF text; numbers are written in full, so that reading it gives the same tables."""
    lines = ["network unknown {\n}\n"]
    for name in network.graph.names:
        values = network.levels[name]
        listed = ", ".join(map(_word, values))
        lines.append(f"variable {_word(name)} {{\n  type discrete [ {len(values)} ] {{ {listed} }};\n}}\n")
    for name in network.graph.names:
        given, table = network.parents[name], network.tables[name]
        head = _word(name) + (" | " + ", ".join(map(_word, given)) if given else "")
        lines.append(f"probability ( {head} ) {{\n")
        for cell in itertools.product(*(range(len(network.levels[p])) for p in given)):
            words = ", ".join(_word(network.levels[p][k]) for p, k in zip(given, cell, strict=True))
            start = f"({words})" if given else "table"
            lines.append(f"  {start} {', '.join(repr(float(v)) for v in table[cell])};\n")
        lines.append("}\n")
    return "".join(lines)


def _word(name: object) -> str:
    text = str(name)
    return text if re.fullmatch(r"[\w.<>=+-]+", text) else quote(text)
