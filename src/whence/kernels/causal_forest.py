"""Picks the native causal forest, or its NumPy reference; see ``whence.kernels``."""

from __future__ import annotations

from typing import Any

from whence.kernels import BACKEND, causal_forest_ref

_chosen: Any = causal_forest_ref
if BACKEND == "native":
    from whence.kernels import _native as _chosen  # pyright: ignore[reportAttributeAccessIssue]

causal_forest = _chosen.causal_forest

__all__ = ["causal_forest"]
