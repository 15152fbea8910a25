"""A drifting level learned before the start and carried on beyond it: the structural model of a time series."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.inference import Answer, Errors
from whence.estimation.interrupted_series import FEWEST_FREE, HARMONICS, SEASON
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.series import Series, read_series, seasonal, shape, without_copies
from whence.stats.local_level import Forecast, local_level

CARD = Card(
    name="structural_series",
    task="estimation",
    title="Bayesian structural time series",
    summary="A level that drifts, a slope, a season and controls are learned before the start alone; what they expect "
    "afterwards is set against what was seen.",
    data_kinds=("continuous", "count", "binary", "ordinal"),
    assumptions=(
        "Without treatment the series would have gone on drifting as it did, beside its controls.",
        "Nothing else changed at that time, nobody reacted before, and treatment does not move the controls.",
    ),
    parameters=(
        SEASON, HARMONICS,
        Parameter("slope", "bool", True, "Whether the level drifts around a straight line, rather than around where it "
                  "stands."),
        LEVEL,
    ),
    output="Effect",
    cost="One pass of a Kalman filter, for all rates of drift at once.",
    citations=(
        "Brodersen, Gallusser, Koehler, Remy and Scott (2015), Inferring causal impact using Bayesian structural "
        "time-series models, Annals of Applied Statistics 9",
        "de Jong (1991), The diffuse Kalman filter, Annals of Statistics 19",
        "Gelman (2006), Prior distributions for variance parameters in hierarchical models, Bayesian Analysis 1",
    ),
    function="whence.estimation.structural_series:structural_series",
    strategies=("interrupted_series",),
    quantities=("ATE", "ATT"),
)


def structural_series(
    data: Prepared, *, season: int | None = None, harmonics: int = 2, slope: bool = True, level: float = 0.95,
    seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """The mean over the periods after the start of the outcome less what was expected then.

    The interval is that of the posterior (see ``stats.local_level``): exact given the drift, which is integrated; no
    random numbers are drawn. Refused: those of ``read_series``, ``too_few_periods`` (for the number of columns),
    ``errors_not_available`` (a covariance was asked for).
    """
    if data.dependence is not None:
        return Refused("errors_not_available", "The interval of this method is that of its model of the series.",
                       {"covariance": data.dependence.name}, "Leave the covariance out, or use 'interrupted_series'.")
    read = read_series(data)
    if isinstance(read, Refused):
        return read
    series, remarks = read
    columns, names, length, dropped = _columns(series, season, harmonics, slope)
    start = series.start
    if start - 1 - columns.shape[1] < FEWEST_FREE:
        return Refused("too_few_periods", f"{start} periods before the start are too few for the {columns.shape[1]} "
                       "numbers that describe the series beside its level.",
                       {"before": start, "columns": columns.shape[1]},
                       "Use fewer controls or waves of the season, or include more periods.")
    if dropped:
        remarks = (*remarks, Remark("controls_dropped", f"{', '.join(dropped)}: before the start, the rest already "
                                    "gives this.", dropped))
    after = len(series.position) - start
    combinations = np.vstack([np.full((1, after), 1 / after), np.eye(after)])
    found = local_level(columns[:start], series.outcome[:start], series.position[:start], columns[start:],
                        series.position[start:], combinations)
    half, mean = found.future.half_width(level), found.future.mean
    estimate = float(series.outcome[start:].mean() - mean[0])
    error = float(found.future.errors(half, level)[0])
    return Answer(
        series.data, np.array([estimate]), _influence(series, error),
        np.array([found.future.df]), labels=("mean effect after the start",), remarks=remarks,
        errors=Errors("posterior", "of the posterior of a drifting level, t with "
                      f"{found.future.df:.0f} degrees of freedom", np.array([found.future.df])),
        diagnostics={
            "periods_before": start, "periods_after": after, "season": length, "columns": ["level", *names],
            "coefficients": dict(zip(names, found.coefficients.tolist(), strict=True)),
            "drift": float(found.future.weights @ found.drift), "cumulative": estimate * after,
            "expected": float(mean[0]), "picture": _picture(series, found, mean[1:], half[1:]),
        },
    )


def _columns(
    series: Series, season: int | None, harmonics: int, slope: bool
) -> tuple[np.ndarray, tuple[str, ...], int | None, tuple[str, ...]]:
    """Slope, season and controls (T, k), told apart by the periods before the start; their names, the length of the
    season and the controls dropped."""
    since = (series.position - series.position[series.start]).astype(float)[:, None][:, : int(slope)]
    waves, length = seasonal(series, season, harmonics)
    given = np.column_stack([waves, series.controls])
    labels = (*(f"season {j + 1}" for j in range(waves.shape[1])), *series.labels)
    base = np.column_stack([np.ones(series.start), since[: series.start]])
    _, dropped = without_copies(base, given[: series.start], labels)
    kept = [j for j, label in enumerate(labels) if label not in dropped]
    names = (*("slope",) * int(slope), *(labels[j] for j in kept))
    left_out = tuple(label for label in dropped if label in series.labels)
    return np.column_stack([since, given[:, kept]]), names, length, left_out


def _influence(series: Series, error: float) -> np.ndarray:
    """Values (n, 1) whose squares sum to the squared error: equal shares of the periods after the start."""
    after = np.arange(len(series.position)) >= series.start
    return series.spread((after / np.sqrt(after.sum()) * error)[:, None]) * series.data.n


def _picture(series: Series, found: Forecast, expected: np.ndarray, half: np.ndarray) -> dict[str, Any]:
    """The series, one step ahead before the start, and what was expected after it with the band of that."""
    fitted = [None if np.isnan(v) else float(v) for v in found.fitted]
    return shape(series) | {
        "kind": "interrupted", "outcome_name": series.data.spec.outcome, "fitted": fitted,
        "expected": expected.tolist(), "band": np.column_stack([expected - half, expected + half]).tolist(),
    }
