"""What the checks look at: the rows, the contrast and the controls behind an effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.data.table import Table
from whence.estimation.choose import OWN
from whence.estimation.effect import Effect
from whence.estimation.measured_outcome import corrected_outcome
from whence.estimation.overlap import balancing_weights
from whence.estimation.prepare import Prepared, prepare
from whence.identification.spec import PARTS
from whence.stats.features import features, independent
from whence.stats.logit import logit

PENALTY = 0.01  # on the squared coefficients of columns with standard deviation about 1
SMALLEST_SCORE = 1e-6  # a propensity nearer to 0 or 1 is kept off it, so that weights stay finite


@dataclass(frozen=True)
class Setting:
    """An effect's data, restricted to the contrast it compares.

    data: the rows, outcome, weights and clusters. treatment: float (n,), 1 treated and 0 control, or the
    dose in units of the step the effect is about. arms: labels (treated, control), or empty for a dose.
    controls: float (n, k), every control's own columns side by side (some may be redundant), powers as in
    the effect's own model. held: of several treatments those besides the first, whose columns are among the controls'
    but which no check leaves out. labels, sources: (k,), of the columns and of the table's columns behind them.
    score: (n,) the effect's own probability of treatment, or None. method: of the effect.
    """

    data: Prepared
    treatment: np.ndarray
    arms: tuple[str, str] | tuple[()]
    controls: np.ndarray
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    score: np.ndarray | None
    method: str
    held: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        return self.data.n

    @property
    def outcome(self) -> np.ndarray:
        """Float (n,)."""
        return self.data.outcome

    @property
    def weights(self) -> np.ndarray | None:
        """Float (n,), mean 1, or None."""
        return self.data.weights

    @property
    def clusters(self) -> np.ndarray | None:
        """Int (n,) codes of the clusters, or None."""
        return self.data.clusters

    @property
    def randomised(self) -> bool:
        """Whether the treatment was assigned by chance."""
        return self.data.spec.strategy == "rct"

    @property
    def target(self) -> np.ndarray:
        """Boolean (n,): the rows the effect is about."""
        if self.data.spec.quantity in ("ATT", "ATC"):
            return self.treated if self.data.spec.quantity == "ATT" else ~self.treated
        return np.ones(self.n, dtype=bool)

    @property
    def treated(self) -> np.ndarray:
        """Boolean (n,); only for two arms."""
        return self.treatment == 1

    @property
    def names(self) -> tuple[str, ...]:
        """The controls that have columns, in name order."""
        return tuple(name for name in dict.fromkeys(self.sources) if name not in self.held)

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


def setting(table: Table, effect: Effect, several: bool = False, parts: bool = False) -> Setting:
    """The data behind ``effect`` in ``table``. several: whether the check can do with several treatments at once.
    parts: whether it looks at the groups alone, so it can do with a part of an effect or a time that may be cut off.

    Raises ``WhenceError``: ``other_table`` when the effect was estimated on other data, ``combined_effect``
    for a sum or difference of effects, ``not_a_comparison`` for a front door or a formula, or for several treatments,
    or the reason why the data no longer support the effect.
    """
    if effect.provenance.data != table.hash:
        raise WhenceError("The effect was estimated on another table.", code="other_table",
                          value=effect.provenance.data, hint="Check it on the table it came from.")
    if ") minus (" in effect.contrast or ") plus (" in effect.contrast:
        raise WhenceError("A combination of effects cannot be checked as one.", code="combined_effect",
                          value=effect.contrast, hint="Check each of the effects it is made of.")
    if effect.spec.strategy in OWN:
        raise WhenceError("This check looks at groups compared given controls; the effect was found in another way.",
                          code="not_a_comparison", value=effect.spec.strategy, allowed=("rct", "adjustment"),
                          hint="The check of implied independences asks whether the data agree with the graph.")
    if not parts and (effect.spec.quantity in PARTS or effect.spec.event is not None):
        raise WhenceError("This check compares mean outcomes of groups; the effect is "
                          + ("a part of one." if effect.spec.quantity in PARTS else "on a time that may be cut off."),
                          code="not_a_comparison", value=effect.spec.quantity, allowed=("ATE", "ATT", "ATC"))
    first, *others = effect.spec.treatments
    if others and not several:
        raise WhenceError("This check looks at the groups of one treatment, and here are several.",
                          code="not_a_comparison", value=list(effect.spec.treatments), allowed="one treatment",
                          hint="Estimate one of them with the others among the controls, and check that.")
    spec = effect.spec.replace(treatments=(first,), controls=(*effect.spec.controls, *others))
    data = prepare(table, spec)
    if isinstance(data, Refused):
        raise WhenceError(data.reason, code=data.code, hint=data.remedy)
    if effect.rows is not None:  # an estimator may have set rows aside
        data = data.take(np.isin(data.rows, effect.rows))
    if spec.truth is not None:  # what the effect compares is not the predictions as they are
        data = replace(data, outcome=corrected_outcome(data, effect.provenance.parameters))
    score, treatment, arms = effect.propensity, data.treatment, ()
    if treatment.discrete:
        arms = (treatment.arms[1], treatment.arms[0])
        if len(treatment.arms) > 2:
            data, score = data.take(treatment.codes < 2), None
        values = (data.treatment.codes == 1).astype(float)
    else:
        values = treatment.values / treatment.step
    degree = int(effect.diagnostics.get("degree") or 1)
    controls, labels, sources = _controls(table, spec.controls, data.rows, dict.fromkeys(others, 1), degree)
    return Setting(data, values, arms, controls, labels, sources, score, effect.method,
                   tuple(others))


def _controls(
    table: Table, names: Sequence[str], rows: np.ndarray, degrees: Mapping[str, int], degree: int
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Each control's own columns, with powers up to ``degrees``, or ``degree`` where that says nothing. Redundant ones
    stay: leaving out one control must not lose what it shares."""
    blocks = []
    for name in sorted(names):
        block = features(table, [name], rows, degrees.get(name, degree))
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

    The regression has a slight penalty, too small to matter where both arms occur, so that arms which
    the controls separate get probabilities near 0 and 1 instead of no fit.
    """
    score = s.score
    if score is None:
        design = np.column_stack([np.ones(s.n), s.controls[:, independent(s.controls)]])
        score = logit(design, s.treatment, s.weights, penalty=PENALTY).probabilities[:, 1]
    return np.clip(score, SMALLEST_SCORE, 1 - SMALLEST_SCORE)


def inverse_weights(s: Setting, score: np.ndarray) -> np.ndarray:
    """Weights (n,) by the inverse of ``score`` that make both arms look like the rows the effect is about."""
    chances = np.column_stack([1 - score, score])
    return s.data.w * sum(balancing_weights(s.data, chances, 1, arm) for arm in (0, 1))
