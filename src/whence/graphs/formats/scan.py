"""A cursor over text that knows its line and column, and the grammar that DOT and dagitty text share."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from whence.core.errors import WhenceError

_SPACE = re.compile(r"(?:\s+|//[^\n]*|\#[^\n]*|/\*.*?\*/)+", re.DOTALL)
_BARE = re.compile(r"[\w.]+")
_VALUE = re.compile(r"[^\s,;\]\[\"<>={}]+")
_DEPTH = 50  # groups nested deeper than this are refused


class Scanner:
    """Reads ``text`` from left to right; every failure names the line, the column and what was expected."""

    def __init__(self, text: str, what: str) -> None:
        self.text, self.what, self.at = text, what, 0

    def fail(self, expected: str, at: int | None = None) -> WhenceError:
        """The error for something else than ``expected`` at the cursor."""
        at = self.at if at is None else at
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + 1
        found = re.match(r"[\w.]+|\S{1,3}|", self.text[at:])
        shown = repr(found[0]) if found and found[0] else ("the end" if at >= len(self.text) else "a space")
        return WhenceError(
            f"Line {line}, column {column} of the {self.what}: expected {expected}, found {shown}.",
            code="bad_graph_text", value={"line": line, "column": column, "found": shown}, allowed=expected,
        )

    def skip(self) -> None:
        """Past white space and comments."""
        found = _SPACE.match(self.text, self.at)
        if found:
            self.at = found.end()

    def take(self, *tokens: str) -> str:
        """The first of ``tokens`` that comes next, or an empty string."""
        self.skip()
        for token in tokens:
            if self.text.startswith(token, self.at):
                self.at += len(token)
                return token
        return ""

    def need(self, token: str, expected: str) -> None:
        if not self.take(token):
            raise self.fail(expected)

    def match(self, pattern: re.Pattern[str]) -> str:
        self.skip()
        found = pattern.match(self.text, self.at)
        if not found:
            return ""
        self.at = found.end()
        return found[0]

    def quoted(self) -> str | None:
        r"""A text in double quotes, with \" for a quote and \\ for a backslash; None when there is none here."""
        self.skip()
        if not self.text.startswith('"', self.at):
            return None
        start, out, i = self.at, [], self.at + 1
        while i < len(self.text) and self.text[i] != '"':
            if self.text[i] == "\\" and self.text[i + 1 : i + 2] in ('"', "\\"):
                i += 1
            out.append(self.text[i])
            i += 1
        if i >= len(self.text):
            raise self.fail("a closing quote for this one", start)
        self.at = i + 1
        return "".join(out)

    def done(self) -> bool:
        self.skip()
        return self.at >= len(self.text)


def quote(name: str) -> str:
    """The name in double quotes, as ``Scanner.quoted`` reads it."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


Attributes = dict[str, str]


@dataclass
class Document:
    """A parsed DOT or dagitty text: its keyword, its nodes and its edges with their attributes.

    settings: what ``key = value`` may set as a statement, such as bb; None for anything. None is kept.
    """

    keyword: str
    settings: tuple[str, ...] | None
    nodes: dict[str, Attributes] = field(default_factory=dict)
    edges: list[tuple[str, str, str, Attributes]] = field(default_factory=list)


@dataclass
class _Scope:
    node: Attributes
    edge: Attributes
    depth: int = 0


def parse(
    text: str, keywords: tuple[str, ...], operators: tuple[str, ...], what: str,
    settings: tuple[str, ...] | None = None,
) -> Document:
    """The statements of ``keyword name? { ... }``.

    operators: what joins nodes, longest first. Groups ``{a b} -> c``, chains ``a -> b -> c``, defaults
    (``node [...]``, ``edge [...]``) and attributes follow the DOT language.
    """
    scan = Scanner(text, what)
    strict = re.compile(r"strict\b", re.IGNORECASE)
    scan.match(strict)
    keyword = scan.match(re.compile(r"\w+")).lower()
    if keyword not in keywords:
        raise scan.fail(f"{' or '.join(keywords)}", scan.at - len(keyword))
    _identifier(scan)
    scan.need("{", "'{'")
    document = Document(keyword, settings)
    _statements(scan, document, operators, _Scope({}, {}))
    scan.take(";")
    if not scan.done():
        raise scan.fail("the end after the closing '}'")
    return document


def _identifier(scan: Scanner) -> str | None:
    name = scan.quoted()
    if name is not None:
        while scan.take("+"):
            more = scan.quoted()
            if more is None:
                raise scan.fail("a quoted text after '+'")
            name += more
        return name
    return scan.match(_BARE) or None


def _statements(scan: Scanner, document: Document, operators: tuple[str, ...], scope: _Scope) -> list[str]:
    """Statements up to the closing brace; the nodes they mention, in order."""
    if scope.depth > _DEPTH:
        raise scan.fail(f"at most {_DEPTH} nested groups")
    mentioned: dict[str, None] = {}
    while not scan.take("}"):
        if scan.take(";", ","):
            continue
        if scan.done():
            raise scan.fail("'}'")
        mentioned.update(dict.fromkeys(_statement(scan, document, operators, scope)))
    return list(mentioned)


_DEFAULTS = re.compile(r"(graph|node|edge)(?=\s*\[)", re.IGNORECASE)
_SUBGRAPH = re.compile(r"subgraph\b", re.IGNORECASE)


def _statement(scan: Scanner, document: Document, operators: tuple[str, ...], scope: _Scope) -> list[str]:
    default = scan.match(_DEFAULTS).lower()
    if default:
        getattr(scope, default, {}).update(_attributes(scan))
        return []
    start = scan.at
    name = _identifier(scan)
    if name is not None and (document.settings is None or name in document.settings) and scan.take("="):
        _value(scan)
        return []
    scan.at = start
    groups, joins = [_operand(scan, document, operators, scope)], []
    while operator := scan.take(*operators):
        joins.append(operator)
        groups.append(_operand(scan, document, operators, scope))
    attributes = _attributes(scan)
    if joins:
        for left, operator, right in zip(groups, joins, groups[1:], strict=False):
            document.edges += [(a, operator, b, {**scope.edge, **attributes}) for a in left for b in right]
    elif attributes:
        for name in groups[0]:
            document.nodes[name].update(attributes)
    return [name for group in groups for name in group]


def _operand(scan: Scanner, document: Document, operators: tuple[str, ...], scope: _Scope) -> list[str]:
    """One node, or the nodes of a group in braces."""
    named = scan.match(_SUBGRAPH)
    if named:
        _identifier(scan)
    if scan.take("{"):
        return _statements(scan, document, operators, _Scope(dict(scope.node), dict(scope.edge), scope.depth + 1))
    name = None if named else _identifier(scan)
    if name is None:
        raise scan.fail("'{'" if named else "a node name or a group in braces")
    document.nodes.setdefault(name, dict(scope.node))
    while scan.take(":"):  # a DOT port says where the line touches the box, nothing else
        _identifier(scan)
    return [name]


def _attributes(scan: Scanner) -> Attributes:
    """``[key=value, key ...]`` blocks, as many as there are; a key alone has the value ``"yes"``."""
    found: Attributes = {}
    while scan.take("["):
        while not scan.take("]"):
            if scan.take(",", ";"):
                continue
            key = _identifier(scan) or scan.match(_VALUE).rstrip("=")
            if not key:
                raise scan.fail("an attribute or ']'")
            found[key.lower()] = _value(scan) if scan.take("=") else "yes"
    return found


def _value(scan: Scanner) -> str:
    scan.skip()
    if scan.text.startswith("<", scan.at):  # an HTML-like label
        depth, start = 0, scan.at
        for i in range(start, len(scan.text)):
            depth += {"<": 1, ">": -1}.get(scan.text[i], 0)
            if depth == 0:
                scan.at = i + 1
                return scan.text[start : i + 1]
        raise scan.fail("a closing '>' for this one", start)
    if scan.text.startswith('"', scan.at):
        return _identifier(scan) or ""
    value = scan.match(_VALUE)
    if not value:
        raise scan.fail("a value after '='")
    return value
