"""Picks the native sums over graphs, or their NumPy references; see ``whence.kernels``."""

from __future__ import annotations

from typing import Any

from whence.kernels import BACKEND, subset_dp_ref

_chosen: Any = subset_dp_ref
if BACKEND == "native":
    from whence.kernels import _native as _chosen  # pyright: ignore[reportAttributeAccessIssue]

best_graph = _chosen.best_graph
dag_blankets = _chosen.dag_blankets
dag_features = _chosen.dag_features
dag_sums = _chosen.dag_sums
family_scores = _chosen.family_scores
family_sums = _chosen.family_sums

__all__ = ["best_graph", "dag_blankets", "dag_features", "dag_sums", "family_scores", "family_sums"]
