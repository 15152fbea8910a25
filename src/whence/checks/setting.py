"""What the checks look at: the rows, the contrast and the controls behind an effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.estimation.prepare import prepare
from whence.stats.features import features, independent
from whence.stats.logit import logit

SMALLEST_SCORE = 1e-6  # a propensity nearer to 0 or 1 is kept off it, so that weights stay finite


@dataclass(frozen=True)
class Setting:
    """An effect's data, restricted to the contrast it compares.

    rows: int (n,), rows of the table. outcome: float (n,). treatment: float (n,), 1 treated and 0 control, or
    the dose in units of the step the effect is about. arms: labels (treated, control), or empty for a
    dose. controls: float (n, k), every control's own columns side by side (some may be redundant), with
    labels (k,) and sources (k,), the table's column behind each; powers as in the effect's own model. weights: float (n,) or None.
    clusters: int (n,) or None, by the column ``cluster``. score: (n,) the effect's own probability of
    treatment, or None.
    """

    rows: np.ndarray
    outcome: np.ndarray
    treatment: np.ndarray
    arms: tuple[str, str] | tuple[()]
    controls: np.ndarray
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    weights: np.ndarray | None
    clusters: np.ndarray | None
    cluster: str | None
    score: np.ndarray | None
    quantity: str
    method: str
    randomised: bool

    @property
    def n(self) -> int:
        return len(self.rows)

    @property
    def treated(self) -> np.ndarray:
        """Boolean (n,); only for two arms."""
        return self.treatment == 1

    @property
    def names(self) -> tuple[str, ...]:
        """The controls that have columns, in name order."""
        return tuple(dict.fromkeys(self.sources))

    @property
    def plain_columns(self) -> np.ndarray:
        """Positions of the columns that are not powers of another."""
        pairs = enumerate(zip(self.labels, self.sources, strict=True))
        return np.array([j for j, (label, source) in pairs if not label[len(source):].startswith("^")], dtype=int)

    def columns(self, chosen: np.ndarray) -> Setting:
        """The setting with only these columns of the controls."""
        return replace(
            self, controls=self.controls[:, chosen], labels=tuple(self.labels[j] for j in chosen),
            sources=tuple(self.sources[j] for j in chosen),
        )

    def groups(self, names: Sequence[str]) -> list[np.ndarray]:
        """Column positions of each named control."""
        return [np.array([j for j, source in enumerate(self.sources) if source == name]) for name in names]


def setting(table: Table, effect: Effect) -> Setting:
    """The data behind ``effect`` in ``table``.

    Raises ``WhenceError``: ``other_table`` when the effect was estimated on other data, ``combined_effect``
    for a sum or difference of effects, or the reason why the data no longer support the effect.
    """
    if effect.provenance.data != table.hash:
        raise WhenceError("The effect was estimated on another table.", code="other_table",
                          value=effect.provenance.data, hint="Check it on the table it came from.")
    if ") minus (" in effect.contrast or ") plus (" in effect.contrast:
        raise WhenceError("A combination of effects cannot be checked as one.", code="combined_effect",
                          value=effect.contrast, hint="Check each of the effects it is made of.")
    data = prepare(table, effect.spec)
    if isinstance(data, Refused):
        raise WhenceError(data.reason, code=data.code, hint=data.remedy)
    if effect.rows is not None:  # an estimator may have set rows aside
        data = data.take(np.isin(data.rows, effect.rows))
    score = effect.propensity
    if data.treatment.discrete:
        if len(data.treatment.arms) > 2:
            data, score = data.take(data.treatment.codes < 2), None
        treatment, arms = (data.treatment.codes == 1).astype(float), (data.treatment.arms[1], data.treatment.arms[0])
    else:
        treatment, arms = data.treatment.values / data.treatment.step, ()
    degree = int(effect.diagnostics.get("degree") or 1)
    controls, labels, sources = _controls(table, effect.spec.controls, data.rows, degree)
    return Setting(
        data.rows, data.outcome, treatment, arms, controls, labels, sources, data.weights, data.clusters,
        data.spec.cluster, score, effect.quantity, effect.method, effect.spec.strategy == "rct",
    )


def _controls(
    table: Table, names: Sequence[str], rows: np.ndarray, degree: int
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Each control's own columns. Redundant ones stay: leaving out one control must not lose what it shares."""
    blocks = []
    for name in sorted(names):
        block = features(table, [name], rows, degree)
        if isinstance(block, Refused):
            raise WhenceError(block.reason, code=block.code, hint=block.remedy)
        blocks.append(block)
    if not blocks:
        return np.empty((len(rows), 0)), (), ()
    return (
        np.column_stack([b.matrix for b in blocks]), tuple(label for b in blocks for label in b.labels),
        tuple(source for b in blocks for source in b.sources),
    )


def propensity(s: Setting) -> np.ndarray:
    """Probability of treatment (n,): the effect's own, else from a logistic regression on the controls.

    When the controls separate the arms completely, a slightly penalised regression stands in, so that
    the separation shows as probabilities near 0 and 1.
    """
    score = s.score
    if score is None:
        design = np.column_stack([np.ones(s.n), s.controls[:, independent(s.controls)]])
        fit = logit(design, s.treatment, s.weights)
        if fit.problem is not None:
            fit = logit(design, s.treatment, s.weights, penalty=1.0)
        score = fit.probabilities[:, 1]
    return np.clip(score, SMALLEST_SCORE, 1 - SMALLEST_SCORE)


def inverse_weights(
    score: np.ndarray, treated: np.ndarray, quantity: str, weights: np.ndarray | None
) -> np.ndarray:
    """Weights (n,) that make both arms look like the rows the effect is about, times ``weights``."""
    one, zero = {
        "ATT": (np.ones_like(score), score / (1 - score)), "ATC": ((1 - score) / score, np.ones_like(score)),
    }.get(quantity, (1 / score, 1 / (1 - score)))
    chosen = np.where(treated, one, zero)
    return chosen if weights is None else chosen * weights
