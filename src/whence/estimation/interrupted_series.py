"""Interrupted time series: step and change in slope of one series at a start, with errors that remember the last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.inference import Answer, Errors
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.estimation.series import Series, read_series, seasonal, shape, without_copies
from whence.stats.autoregressive import Autoregression, autocorrelations, autoregression, leftover

FEWEST_FREE = 4  # degrees of freedom that must be left
FEWEST_FOR_SLOPE = 4  # periods after the start; with fewer a change in slope is not looked for
LAGS = 12  # autocorrelations shown
LONG = 200  # periods from which Newey and West's errors are left without comment

SEASON = Parameter(
    "season", "int", None, "Length of the season in periods. None: 12 for months, 4 for quarters and 7 for days where "
    "three whole ones lie before the start, else none; 1: none.", 1, optional=True)
HARMONICS = Parameter("harmonics", "int", 2, "How many waves make up the season; half its length allows any shape.", 1)

CARD = Card(
    name="interrupted_series",
    task="estimation",
    title="Interrupted time series (segmented regression)",
    summary="The straight line that the series followed before the start, carried on, shows what would have been; the "
    "step and the change in slope are the effect.",
    data_kinds=("continuous", "count", "binary", "ordinal"),
    assumptions=(
        "Without treatment the series would have gone on along its line, its season and its controls.",
        "Nothing else changed at that time, and nobody reacted before.",
        "What is left of the series forgets its past at a steady rate (autocorrelation of the first order).",
    ),
    parameters=(
        SEASON, HARMONICS,
        Parameter("slope", "bool", True, "Whether the slope may change too (with four periods after the start or "
                  "more); otherwise the effect is a step that stays."),
        LEVEL,
    ),
    output="Effect",
    cost="A hundred small regressions.",
    citations=(
        "Wagner, Soumerai, Zhang and Ross-Degnan (2002), Segmented regression analysis of interrupted time series "
        "studies, Journal of Clinical Pharmacy and Therapeutics 27",
        "Prais and Winsten (1954), Trend estimators and serial correlation, Cowles Commission",
        "Turner, Karahalios, Forbes, Taljaard, Grimshaw and McKenzie (2021), Evaluation of statistical methods used in "
        "the analysis of interrupted time series studies, BMC Medical Research Methodology 21",
        "Berger and Yang (1994), Noninformative priors and Bayesian testing for the AR(1) model, Econometric Theory 10",
    ),
    function="whence.estimation.interrupted_series:interrupted_series",
    strategies=("interrupted_series",),
    quantities=("ATE", "ATT"),
)


@dataclass(frozen=True)
class Segments:
    """columns: (T, k): constant, line, step, change in slope (if any), season, controls. contrasts: (m, k), with
    labels. length: of the season. dropped: controls that the rest already gives."""

    columns: np.ndarray
    names: tuple[str, ...]
    contrasts: np.ndarray
    labels: tuple[str, ...]
    length: int | None
    dropped: tuple[str, ...]

    @property
    def untreated(self) -> np.ndarray:
        """The columns as they would be without treatment."""
        off = self.columns.copy()
        off[:, [j for j, name in enumerate(self.names) if name in ("step", "change in slope")]] = 0.0
        return off


def interrupted_series(
    data: Prepared, *, season: int | None = None, harmonics: int = 2, slope: bool = True, level: float = 0.95,
    seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """The mean effect over the periods after the start; the step and the change in slope beside it.

    Errors follow a first-order autoregression whose correlation is integrated over its posterior (see
    ``stats.autoregressive``), which keeps intervals wide enough in short series, where plugging in an estimate does
    not. With ``covariance="hac"`` least squares and Newey and West's errors instead.

    Refused: those of ``read_series``, ``too_few_periods`` (for the number of columns), ``errors_not_available``.
    """
    read = read_series(data)
    if isinstance(read, Refused):
        return read
    series, remarks = read
    remarks = (*remarks, *_slope_left_out(series, slope))
    segments = _segments(series, season, harmonics, slope)
    free = len(series.position) - segments.columns.shape[1]
    if free < FEWEST_FREE:
        return Refused("too_few_periods", f"{len(series.position)} periods are too few for the "
                       f"{segments.columns.shape[1]} numbers that describe the series.",
                       {"periods": len(series.position), "columns": segments.columns.shape[1]},
                       "Use fewer controls or waves of the season, or include more periods.")
    if segments.dropped:
        remarks = (*remarks, Remark("controls_dropped", f"{', '.join(segments.dropped)}: the line, the step, the "
                                    "season and other controls already give this.", segments.dropped))
    if series.data.dependence is not None:
        return _by_newey_west(series, segments, level, remarks)
    after = segments.untreated[series.start:]
    fit = autoregression(segments.columns, series.outcome, series.position, np.vstack([segments.contrasts, after]))
    m = len(segments.labels)
    half, mean = fit.posterior.half_width(level), fit.posterior.mean
    influence = _influence(series, fit.rows[:, :m], fit.posterior.errors(half, level)[:m])
    band = np.column_stack([mean[m:] - half[m:], mean[m:] + half[m:]])
    return Answer(
        series.data, mean[:m], influence, np.full(m, fit.posterior.df),
        labels=segments.labels, remarks=remarks,
        errors=Errors("ar1", f"errors that remember the last period (correlation {fit.mean_correlation:.2f}, "
                      f"integrated), t with {fit.posterior.df:.0f} degrees of freedom", np.full(m, fit.posterior.df)),
        diagnostics=_diagnostics(series, segments, fit, level)
        | {"picture": _picture(series, segments.columns @ fit.coefficients, mean[m:], band)},
    )


def _slope_left_out(series: Series, slope: bool) -> list[Remark]:
    after = len(series.position) - series.start
    if not slope or after >= FEWEST_FOR_SLOPE:
        return []
    return [Remark("slope_not_looked_for", f"With {after} periods after the start the effect is taken as one step.",
                   (str(series.data.spec.time),), {"after": after})]


def _segments(series: Series, season: int | None, harmonics: int, slope: bool) -> Segments:
    since = (series.position - series.position[series.start]).astype(float)
    post = (np.arange(len(since)) >= series.start).astype(float)
    base, names = [np.ones(len(since)), since, post], ["level", "slope before", "step"]
    if slope and len(since) - series.start >= FEWEST_FOR_SLOPE:
        base.append(post * since)
        names.append("change in slope")
    waves, length = seasonal(series, season, harmonics)
    waves, _ = without_copies(np.column_stack(base), waves, tuple(map(str, range(waves.shape[1]))))
    columns = np.column_stack([*base, waves])
    controls, dropped = without_copies(columns, series.controls, series.labels)
    kept = tuple(label for label in series.labels if label not in dropped)
    columns = np.column_stack([columns, controls])
    names = (*names, *(f"season {j + 1}" for j in range(waves.shape[1])), *kept)
    contrasts = np.zeros((3 if "change in slope" in names else 1, columns.shape[1]))
    contrasts[0, 2] = 1.0
    labels: tuple[str, ...] = ("mean effect after the start",)
    if len(contrasts) > 1:
        contrasts[0, 3] = float(since[series.start:].mean())
        contrasts[1, 2], contrasts[2, 3] = 1.0, 1.0
        labels = (*labels, "step at the start", "change in slope, a period")
    return Segments(columns, names, contrasts, labels, length, dropped)


def _influence(series: Series, rows: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Values (n, m) whose sums of products are the squared errors and, at the likeliest autocorrelation, the
    correlations of the numbers."""
    length = np.sqrt((rows**2).sum(axis=0))
    return series.spread(rows / np.where(length > 0, length, 1.0) * errors) * series.data.n


def _by_newey_west(series: Series, segments: Segments, level: float, remarks: tuple[Remark, ...]) -> Answer | Refused:
    data = series.data
    if data.n > len(series.position) or data.dependence is None or data.dependence.name != "hac":
        return Refused("errors_not_available", "Errors of rows can be had where each period has one row, and by "
                       "covariance='hac'.", {"rows": data.n, "periods": len(series.position)},
                       "Leave the covariance out: the errors then allow for the autocorrelation of the periods.")
    inverse = np.linalg.pinv(segments.columns)
    coefficients = inverse @ series.outcome
    residuals = series.outcome - segments.columns @ coefficients
    values = (segments.contrasts @ inverse).T * residuals[:, None]
    expected = segments.untreated[series.start:] @ coefficients
    free = len(residuals) - segments.columns.shape[1]
    if len(residuals) < LONG:
        remarks = (*remarks, Remark("short_series", f"With {len(residuals)} periods, Newey and West's errors come out "
                                    "too small where the series remembers; without it the memory is allowed for.",
                                    (str(data.spec.time),), {"periods": len(residuals)}))
    return Answer(
        data, segments.contrasts @ coefficients,
        series.spread(values) * data.n * np.sqrt(len(residuals) / free), labels=segments.labels,
        remarks=remarks, diagnostics=_shown(series, segments, residuals)
        | {"picture": _picture(series, segments.columns @ coefficients, expected, None)},
    )


def _shown(series: Series, segments: Segments, residuals: np.ndarray) -> dict[str, Any]:
    lags = min(LAGS, len(residuals) // 3)
    steps = np.diff(residuals)
    total = float((residuals**2).sum())
    return {
        "periods_before": series.start, "periods_after": len(series.position) - series.start,
        "season": segments.length, "columns": list(segments.names),
        "autocorrelations": autocorrelations(residuals, series.position, lags).tolist(),
        "durbin_watson": float((steps**2).sum()) / total if total > 0 else None,
    }


def _diagnostics(series: Series, segments: Segments, fit: Autoregression, level: float) -> dict[str, Any]:
    residuals = series.outcome - segments.columns @ (np.linalg.pinv(segments.columns) @ series.outcome)
    return _shown(series, segments, residuals) | {
        "autocorrelation": fit.mean_correlation,
        "autocorrelation_interval": list(fit.correlation_interval(level)),
        "leftover_p_value": leftover(segments.columns, series.outcome, series.position, fit.mean_correlation),
        "coefficients": dict(zip(segments.names, fit.coefficients.tolist(), strict=True)),
    }


def _picture(series: Series, fitted: np.ndarray, expected: np.ndarray, band: np.ndarray | None) -> dict[str, Any]:
    """The series, its fitted line, and what it would have been with the band of that."""
    return shape(series) | {
        "kind": "interrupted", "outcome_name": series.data.spec.outcome, "fitted": fitted.tolist(),
        "expected": expected.tolist(), "band": None if band is None else band.tolist(),
    }
