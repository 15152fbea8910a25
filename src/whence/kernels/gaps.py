"""Picks the native tests on data with gaps, or their NumPy references; see ``whence.kernels``."""

from __future__ import annotations

from typing import Any

from whence.kernels import BACKEND, gaps_ref

_chosen: Any = gaps_ref
if BACKEND == "native":
    from whence.kernels import _native as _chosen  # pyright: ignore[reportAttributeAccessIssue]

gaps_level = _chosen.gaps_level
gaps_triples = _chosen.gaps_triples

__all__ = ["gaps_level", "gaps_triples"]
