"""Picks the native search for nearest neighbours, or its NumPy reference; see ``whence.kernels``."""

from __future__ import annotations

from typing import Any

from whence.kernels import BACKEND, nearest_ref

_chosen: Any = nearest_ref
if BACKEND == "native":
    from whence.kernels import _native as _chosen  # pyright: ignore[reportAttributeAccessIssue]

nearest = _chosen.nearest

__all__ = ["nearest"]
