"""Picks the native kernels, or their NumPy references when they were not built.

``WHENCE_KERNELS=numpy`` forces the references. ``BACKEND`` says which is in use.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

from whence.kernels import numpy_ref

_chosen: Any = numpy_ref
BACKEND = "numpy"
if os.environ.get("WHENCE_KERNELS", "") != "numpy":
    try:
        from whence.kernels import _native  # pyright: ignore[reportAttributeAccessIssue]
    except ImportError:
        pass  # not built: `whence doctor` says so
    else:
        _chosen, BACKEND = _native, "native"

counts = _chosen.counts
discrete_level = _chosen.discrete_level
discrete_triples = _chosen.discrete_triples
gaussian_level = _chosen.gaussian_level
gaussian_triples = _chosen.gaussian_triples

__all__ = [
    "BACKEND", "counts", "discrete_level", "discrete_triples", "gaussian_level", "gaussian_triples", "reference",
]


def reference() -> ModuleType:
    """The NumPy reference kernels, whatever is in use."""
    return numpy_ref
