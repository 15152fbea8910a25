"""Fits of scikit-learn on one thread, so that their answers do not depend on how many there are."""

from __future__ import annotations

import functools
from typing import Any


def one_thread() -> Any:
    """A context in which OpenMP has one thread."""
    return _controller().limit(limits=1, user_api="openmp")


@functools.cache
def _controller() -> Any:
    import sklearn.ensemble  # noqa: F401  its OpenMP library must be loaded before the controller looks
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
