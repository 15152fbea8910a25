"""What every format is read into, before a graph class is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Edge = tuple[str, str, str]


@dataclass(frozen=True)
class Draft:
    """Nodes and edges as written.

    names: in order of first mention. edges: ``(a, "-->", b)`` triples; a pair may occur twice. kind: the
    class the text claims, or None. roles: ``exposure``, ``outcome``, ``adjusted`` to names, where the format
    has them. positions: where each node was drawn.
    """

    names: tuple[str, ...]
    edges: tuple[Edge, ...]
    latents: frozenset[str] = frozenset()
    kind: str | None = None
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    positions: Mapping[str, tuple[float, float]] = field(default_factory=dict)
