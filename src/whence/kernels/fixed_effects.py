"""Picks the native kernels of fixed effects, or their NumPy references; see ``whence.kernels``."""

from __future__ import annotations

from typing import Any

from whence.kernels import BACKEND, fixed_effects_ref

_chosen: Any = fixed_effects_ref
if BACKEND == "native":
    from whence.kernels import _native as _chosen  # pyright: ignore[reportAttributeAccessIssue]

absorb = _chosen.absorb
joined_parts = _chosen.joined_parts

__all__ = ["absorb", "joined_parts"]
