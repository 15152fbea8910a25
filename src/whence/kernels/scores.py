"""Picks the native scores and the searches over them, or their NumPy references; see ``whence.kernels``."""

from __future__ import annotations

from typing import Any

from whence.kernels import BACKEND, ges_ref, scores_ref

_chosen: Any = scores_ref
_search: Any = ges_ref
if BACKEND == "native":
    from whence.kernels import _native as _chosen  # pyright: ignore[reportAttributeAccessIssue]

    _search = _chosen

block_score = _chosen.block_score
boss = _chosen.boss
called_score = _chosen.called_score
cells_score = _chosen.cells_score
discrete_score = _chosen.discrete_score
gaussian_score = _chosen.gaussian_score
ges = _search.ges
score_by_child = _chosen.score_by_child

__all__ = ["block_score", "boss", "called_score", "cells_score", "discrete_score", "gaussian_score", "ges",
           "score_by_child"]
