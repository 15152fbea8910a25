"""Imputation difference in differences: what the treated would have seen, from units and times without treatment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.adoption import Adoption, adoption
from whence.estimation.inference import Answer
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared

FEWEST = 5  # rows of one start at one time since that are averaged by themselves when residuals are taken
REACHED = 1e-8  # relative error with which the untreated rows must reproduce what is imputed

CARD = Card(
    name="imputation",
    task="estimation",
    title="Imputation difference in differences (Borusyak, Jaravel and Spiess)",
    summary="Unit, period and control effects are learned from rows not yet treated; what they predict for the treated "
    "rows is what these would have seen. Right when effects differ and change, and precise: all earlier periods count.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Without treatment, the outcomes of all units would have moved in parallel (given the controls, linearly).",
        "Nobody reacts before treatment starts.",
    ),
    parameters=(LEVEL,),
    output="Effect",
    cost="A pass over the rows, and the cube of periods plus controls.",
    citations=(
        "Borusyak, Jaravel and Spiess (2024), Revisiting event-study designs: robust and efficient estimation, Review "
        "of Economic Studies 91",
    ),
    function="whence.estimation.imputation:imputation",
    strategies=("did", "event_study"),
    quantities=("ATE", "ATT"),
)


@dataclass(frozen=True)
class _Untreated:
    """The normal equations of unit effects and of the columns ``z`` (periods, controls) on untreated rows.

    z: (n, k), of all rows. unit: (n,). base: (n,), weights, zero on treated rows. sums: (units,) of base; cross:
    (units, k) of base times z; gram: (k, k), of the columns less their unit means, and its inverse.
    """

    z: np.ndarray
    unit: np.ndarray
    base: np.ndarray
    sums: np.ndarray
    cross: np.ndarray
    gram: np.ndarray
    inverse: np.ndarray

    @staticmethod
    def of(z: np.ndarray, unit: np.ndarray, base: np.ndarray) -> _Untreated:
        units = int(unit.max()) + 1
        sums = np.bincount(unit, weights=base, minlength=units)
        cross = np.column_stack([np.bincount(unit, weights=base * c, minlength=units) for c in z.T])
        safe = np.where(sums > 0, sums, 1.0)[:, None]
        gram = z.T @ (z * base[:, None]) - cross.T @ (cross / safe)
        return _Untreated(z, unit, base, sums, cross, gram, np.linalg.pinv(gram, rcond=1e-10, hermitian=True))

    def carried(self, weights: np.ndarray) -> tuple[np.ndarray, bool]:
        """What each untreated row (n,) adds, so that sums with these weights reproduce ``weights`` (n,) of the model,
        and whether they do."""
        own = np.bincount(self.unit, weights=weights, minlength=len(self.sums))
        safe = np.where(self.sums > 0, self.sums, 1.0)
        wanted = self.z.T @ weights - self.cross.T @ (own / safe)
        b = self.inverse @ wanted
        a = (own - self.cross @ b) / safe
        size = max(1e-300, float(np.abs(self.z.T @ weights).max(initial=0.0)), float(np.abs(weights).sum()))
        missed = float(np.abs(self.gram @ b - wanted).max(initial=0.0))
        return self.base * (a[self.unit] + self.z @ b), missed <= REACHED * size and not own[self.sums == 0].any()


def imputation(
    data: Prepared, *, level: float = 0.95, seed: int = 0, progress: Progress = SILENT
) -> Answer | Refused:
    """Borusyak, Jaravel and Spiess (2024), theorem 2, with the clustered variance of theorem 3.

    The estimate is the mean over treated rows of outcome less imputed outcome; comparisons: that mean, then the mean
    at each time since the start. Everything is linear in the outcomes, and the influence values are these weights times
    residuals: of the fit on untreated rows, and on treated ones of their effects around those of the units that started
    together, at the same time since the start (which is conservative where effects differ among these, section 4.3).

    Treated rows whose unit or period has no untreated row are left out, with a remark. Refused: those of ``adoption``,
    ``treatment_switches``, ``no_comparison``.
    """
    read = adoption(data)
    if isinstance(read, Refused):
        return read
    found, remarks = read
    if found.kind in ("switching", "dose"):
        return Refused("treatment_switches", f"{data.treatment.name!r} does not start and stay, so there are no rows "
                       "that show every unit before it.", {"kind": found.kind}, "Use method='twfe'.")
    controls = data.features(1)
    if isinstance(controls, Refused):
        return controls
    treated = found.status == 1
    periods = int(found.period.max()) + 1
    z = np.column_stack([found.period[:, None] == np.arange(1, periods), controls.matrix]).astype(float)
    model = _Untreated.of(z, found.unit, np.where(treated, 0.0, data.w))
    usable = treated & (model.sums > 0)[found.unit] & np.bincount(found.period[~treated], minlength=periods)[
        found.period].astype(bool)
    if not usable.any():
        return Refused("no_comparison", "No treated row has both an untreated row of its unit and one of its period.",
                       {"treated": int(treated.sum())}, "Include untreated units and earlier periods.")
    if not usable[treated].all():
        lost = int((treated & ~usable).sum())
        remarks = (*remarks, Remark("rows_not_imputed", f"{lost:,} treated rows have no untreated row of their unit or "
                                    "period to be compared with and do not count.", (data.treatment.name,),
                                    {"rows": lost}))
    return _answer(data, found, model, usable, remarks, list(controls.labels))


def _answer(
    data: Prepared, found: Adoption, model: _Untreated, usable: np.ndarray, remarks: tuple[Remark, ...],
    controls: list[str],
) -> Answer | Refused:
    since = found.period - np.searchsorted(np.unique(found.time), np.where(usable, found.first, 0.0))
    steps = np.unique(since[usable])
    fitted = _fitted(model, data.outcome)
    effect = data.outcome - fitted
    residual = np.where(found.status == 1, 0.0, effect)
    residual[usable] = (effect - _typical(effect, since, found.first, usable, data.w))[usable]
    estimates, columns, labels = [], [], []
    for label, rows in [("treated vs not treated", usable), *((_step(e), usable & (since == e)) for e in steps)]:
        weights = data.w * rows / float(data.w @ rows)
        carried, reached = model.carried(weights)
        if not reached:
            if label == "treated vs not treated":
                return Refused("no_comparison", "What the treated would have seen does not follow from the untreated "
                               "rows: some unit, period or control has too few of them.", {"controls": controls},
                               "Use fewer controls, or method='group_time'.")
            continue
        estimates.append(float(weights @ effect))
        columns.append(data.n * (weights - carried) * residual)
        labels.append(label)
    groups = data.n_clusters
    factor = np.sqrt(groups / (groups - 1)) if groups else np.sqrt(data.n / max(1, data.n - model.z.shape[1]))
    return Answer(
        data, estimates=np.array(estimates), influence=factor * np.column_stack(columns), labels=tuple(labels),
        remarks=remarks,
        diagnostics={"adoption": found.kind, "treatment_read_as": found.read, "units": len(model.sums),
                     "periods": int(found.period.max()) + 1, "treated_rows": int(usable.sum()),
                     "untreated_rows": int((found.status == 0).sum()), "controls": controls[:60]},
    )


def _fitted(model: _Untreated, outcome: np.ndarray) -> np.ndarray:
    """The untreated outcome (n,) that unit effects and columns predict for every row."""
    means = np.bincount(model.unit, weights=model.base * outcome, minlength=len(model.sums))
    safe = np.where(model.sums > 0, model.sums, 1.0)
    b = model.inverse @ (model.z.T @ (model.base * outcome) - model.cross.T @ (means / safe))
    return ((means - model.cross @ b) / safe)[model.unit] + model.z @ b


def _typical(
    effect: np.ndarray, since: np.ndarray, first: np.ndarray, usable: np.ndarray, w: np.ndarray
) -> np.ndarray:
    """The mean effect (n,) of those that started together, at the row's time since the start; of all at that time where
    there are few of them, and of all treated rows where there are few of those."""
    out = np.full(len(effect), float(np.average(effect[usable], weights=w[usable])))
    for step in np.unique(since[usable]):
        then = usable & (since == step)
        for rows in (then, *(then & (first == start) for start in np.unique(first[then]))):
            if rows.sum() >= FEWEST:
                out[rows] = np.average(effect[rows], weights=w[rows])
    return out


def _step(step: int) -> str:
    return f"+{step} period" + ("s" if step != 1 else "")
