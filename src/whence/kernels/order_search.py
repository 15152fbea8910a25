"""Picks the native exact search over orders, or its Python reference; see ``whence.kernels``."""

from __future__ import annotations

from typing import Any

from whence.kernels import BACKEND, order_search_ref

_chosen: Any = order_search_ref
if BACKEND == "native":
    from whence.kernels import _native as _chosen  # pyright: ignore[reportAttributeAccessIssue]

best_order = _chosen.best_order
useful_sets = _chosen.useful_sets

__all__ = ["best_order", "useful_sets"]
