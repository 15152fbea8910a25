"""Controls that are the treatment or the outcome under another name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from whence.core.result import Refused
from whence.stats.blocks import gram
from whence.stats.features import Features


def copied(made: Features, targets: Mapping[str, tuple[str, np.ndarray]]) -> Refused | None:
    """Why a column of ``made`` (n, k) cannot be a control: it is an exact linear function of a target; None if none is.

    targets: what a target is, in words, with the refusal's code and its values (n,).
    """
    products = gram(made.matrix, *(np.asarray(values, dtype=float) - np.mean(values) for _, values in targets.values()))
    for j, (what, (code, values)) in enumerate(targets.items()):
        near = _nearly_correlated(products, made.matrix.shape[1], 1 + made.matrix.shape[1] + j)
        if not len(near):
            continue
        same = near[_perfectly_correlated(made.matrix[:, near], np.asarray(values, dtype=float))]
        if len(same):
            name = made.sources[same[0]]
            return Refused(
                code, f"The control {made.labels[same[0]]!r} is the {what} under another name.",
                {"control": name, "column": made.labels[same[0]]}, f"Remove {name!r} from the controls.",
            )
    return None


def _nearly_correlated(products: np.ndarray, k: int, target: int) -> np.ndarray:
    """Of columns 1 .. k, those whose correlation with ``target`` is not clearly below 1, by the sums of products of a
    constant, the columns and the targets (int, from 0)."""
    mean = products[0] / products[0, 0]
    spread = np.maximum(np.diagonal(products) - products[0, 0] * mean**2, 0.0)
    together = products[1 : 1 + k, target] - products[0, 0] * mean[1 : 1 + k] * mean[target]
    return np.flatnonzero(together**2 >= (1 - 1e-6) * spread[1 : 1 + k] * spread[target])


def _perfectly_correlated(matrix: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Boolean (k,): columns that are an exact linear function of ``values``."""
    centred = values - values.mean()
    length = float(np.sqrt(centred @ centred))
    columns = matrix - matrix.mean(axis=0)
    lengths = np.sqrt((columns**2).sum(axis=0))
    if length == 0 or not matrix.size:
        return np.zeros(matrix.shape[1], dtype=bool)
    return np.abs(columns.T @ (centred / length)) > (1 - 1e-12) * np.maximum(lengths, 1e-300)

