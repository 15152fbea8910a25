"""Placebo treatment: shuffle the treatment, estimate again from scratch, and see what comes out of nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.checks.check import Check, does_not_apply
from whence.checks.linear import NOTHING_LEFT, basis, centred, leverage, regress_each
from whence.checks.setting import Setting, setting
from whence.checks.words import number, p_text, percent
from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import to_plain
from whence.core.rng import generator
from whence.data.table import Table
from whence.estimation.effect import Effect
from whence.graphs.graph import Graph
from whence.stats.regress import FULL_LEVERAGE

BATCH = 160_000  # numbers in each array of one batch of shuffles: they stay in the processor's cache
BATCH_BY_CLUSTER = 4_000_000
TURNED = 2_000  # rows from which one shuffle serves several times, turned round
TURNS = 16
MANY_ROWS = 50_000
BINS = 30
FEWEST = 19  # shuffles that a share of 5 % needs

CARD = Card(
    name="placebo",
    task="check",
    title="Does a made-up treatment do nothing?",
    summary="The treatment is shuffled many times; each shuffled one should have no effect.",
    data_kinds=("binary", "categorical", "continuous"),
    assumptions=("Rows (or clusters) could have been shuffled without changing anything but the treatment.",),
    parameters=(
        Parameter("replicates", "int", None, "How many times the treatment is shuffled. None: 499, or 99 beyond "
                  "50,000 rows.", low=FEWEST, high=100_000, optional=True),
        Parameter("false_alarms", "float", 0.1, "Largest share of shuffled treatments whose 95 % interval "
                  "misses zero (5 % are expected).", low=0.0, high=1.0),
    ),
    output="whence.checks.check.Check",
    cost="replicates x rows x columns; no learner is refitted.",
    citations=(
        "Fisher, R. A. (1935). The Design of Experiments.",
        "Freedman, D. and Lane, D. (1983). A nonstochastic interpretation of reported significance levels. "
        "Journal of Business & Economic Statistics 1(4).",
    ),
    function="whence.checks.placebo:placebo",
)


@dataclass(frozen=True)
class Placebos:
    """estimates, errors: of the shuffled treatments (replicates,). actual: estimate of the real one by the
    same regression.
    """

    estimates: np.ndarray
    errors: np.ndarray
    actual: float


def shuffles(
    treatment: np.ndarray, clusters: np.ndarray | None, rng: np.random.Generator
) -> tuple[Callable[[int], np.ndarray], str]:
    """A source of shuffled treatments, (m, n) at a call, and what is shuffled.

    ``"rows"`` without clusters; ``"clusters"``, whole ones, when the treatment is constant in each;
    otherwise ``"within"`` clusters.
    """
    n = len(treatment)
    if clusters is None:
        return (lambda m: turned(treatment, m, rng)) if n >= TURNED else (
            lambda m: rng.permuted(np.broadcast_to(treatment, (m, n)), axis=1)), "rows"
    first = np.unique(clusters, return_index=True)[1]
    code = np.searchsorted(clusters[first], clusters)
    of_cluster = treatment[first]
    if (of_cluster[code] == treatment).all():
        size = (len(first),)
        return lambda m: rng.permuted(np.broadcast_to(of_cluster, (m, *size)), axis=1)[:, code], "clusters"
    home = np.argsort(code, kind="stable")

    def within(m: int) -> np.ndarray:
        out = np.empty((m, n))
        # Random keys sort rows inside their cluster only: the cluster's code is the whole part.
        out[:, home] = treatment[np.argsort(code + rng.random((m, n)), axis=1)]
        return out

    return within, "within"


def turned(values: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
    """Shuffles (m, n) of ``values`` (n,), each uniformly random: of one permutation, up to sixteen turned round.

    A turned uniform permutation is uniform again. Sums of such shuffles against any numbers are uncorrelated up to
    1 / (n - 1), as those of two permutations drawn apart; so are their squares where the numbers stand in no order.
    """
    n = len(values)
    out = np.empty((m, n), dtype=values.dtype)
    for start in range(0, m, TURNS):
        twice = np.tile(rng.permutation(values), 2)
        for row, by in enumerate(rng.integers(0, n, min(TURNS, m - start)).tolist(), start):
            out[row] = twice[by : by + n]
    return out


def placebos(
    outcome: np.ndarray, treatment: np.ndarray, controls: np.ndarray, replicates: int, rng: np.random.Generator,
    weights: np.ndarray | None = None, clusters: np.ndarray | None = None, progress: Progress = SILENT,
) -> tuple[Placebos, str]:
    """Regress the outcome on each of ``replicates`` shuffled treatments and the controls.

    Everything that depends on the treatment is computed anew for every shuffle. When rows are shuffled
    within clusters, the share treated in the cluster joins the controls, so that what differs between
    clusters cannot pass for an effect. Shapes as in ``linear.without_groups``.
    """
    if clusters is None and len(outcome) >= TURNED:  # in no order, for ``turned``
        order = rng.permutation(len(outcome))
        outcome, treatment, controls = outcome[order], treatment[order], controls[order]
        weights = None if weights is None else weights[order]
    given, unit = treatment, 1.0
    if clusters is None:  # in the scale and precision of ``_ByRows``
        unit = float(treatment.std()) or 1.0
        given = ((treatment - treatment.mean()) / unit).astype(np.float32 if len(treatment) >= TURNED else np.float64)
    draw, kind = shuffles(given, clusters, rng)
    if kind == "within" and clusters is not None:
        codes = np.unique(clusters, return_inverse=True)[1]
        shares = np.bincount(codes, weights=treatment) / np.bincount(codes)
        controls = np.column_stack([controls, shares[codes]])
    weights = None if weights is None else weights / weights.mean()
    q, _ = basis(centred(controls, weights))
    y = centred(outcome[:, None], weights)
    y -= q @ (q.T @ y)
    base = leverage(q, weights)

    def fit(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        d = centred(columns, weights)
        total = float(np.einsum("ij,ij->j", d, d).max())
        d -= q @ (q.T @ d)
        left = np.einsum("ij,ij->j", d, d) > NOTHING_LEFT * total
        if columns.shape[1] > 1:  # in a tiny table a shuffle can equal a control; it then says nothing
            d = d[:, left]
        freedom = np.full(d.shape[1], len(outcome) - q.shape[1] - 2)
        found = regress_each(d, y, total, freedom, base, clusters)
        return found.estimate, found.standard_error

    actual, _ = fit(treatment[:, None])
    by_rows = _ByRows.of(y[:, 0], q, base, weights, unit) if clusters is None else None
    most = BATCH if by_rows else BATCH_BY_CLUSTER
    batch = int(max(1, min(replicates, max(TURNS, most // max(len(outcome), 1)))))
    progress.begin("shuffling the treatment", replicates)
    parts = []
    try:
        for start in range(0, replicates, batch):
            size = min(batch, replicates - start)
            parts.append(by_rows.fit(draw(size)) if by_rows else fit(draw(size).T))
            progress.step(size)
    finally:
        progress.end()
    estimates, errors = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Placebos(estimates, errors, float(actual[0])), kind


@dataclass(frozen=True)
class _ByRows:
    """Regressions of one outcome on many shuffled treatments and the controls, rows independent.

    All in single precision for large tables, which moves estimates and errors by about a millionth of the error.
    basis: (r + 1, n), of the controls, rows times the root of the weights, and below it the outcome (n,) that they
    leave, over its standard deviation. room: (n,), one less the leverage of the controls. weights: (n,), mean 1, or
    None.
    scale: of the estimates, the unit of the outcome over that of the treatments.
    """

    basis: np.ndarray
    room: np.ndarray
    weights: np.ndarray | None
    scale: float

    @staticmethod
    def of(
        outcome: np.ndarray, q: np.ndarray, base: np.ndarray, weights: np.ndarray | None, unit: float
    ) -> _ByRows:
        """unit: what the treatments are divided by."""
        kind = np.float32 if len(outcome) >= TURNED else np.float64
        size = float(outcome.std()) or 1.0
        made = np.vstack([q.T, outcome / size]).astype(kind), (1 - base).astype(kind)
        return _ByRows(*made, None if weights is None else weights.astype(kind), size / unit)

    def fit(self, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Estimates and HC3 errors for centred treatments (m, n), as ``linear.regress_each`` has them."""
        d, kind = drawn, self.room.dtype.type
        if self.weights is not None:
            means = d @ self.weights / kind(len(self.weights))
            d = (d - means[:, None]) * np.sqrt(self.weights)
        total, seen = np.einsum("ij,ij->i", d, d), d @ self.basis.T
        inside, along = seen[:, :-1], seen[:, -1]
        left = total - np.einsum("ij,ij->i", inside, inside)
        told = left > max(NOTHING_LEFT, 10 * np.finfo(kind).eps) * total.max()
        if not told.all():  # in a tiny table a shuffle can equal a control; it then says nothing
            d, inside, along, left = d[told], inside[told], along[told], left[told]
        estimate = along / left
        rest = np.subtract(d, inside @ self.basis[:-1])
        score = rest * self.basis[-1]
        rest *= rest
        score -= rest * estimate[:, None]
        rest *= (-1 / left)[:, None]
        rest += self.room
        least = kind(1 - FULL_LEVERAGE)
        if rest.min(initial=kind(1)) <= least:  # rows that the controls or the treatment alone explain
            score[rest <= least] = 0.0
            np.maximum(rest, least, out=rest)
        score /= rest
        errors = np.sqrt(np.einsum("ij,ij->i", score, score)) / left
        return self.scale * estimate.astype(float), self.scale * errors.astype(float)


def placebo(
    table: Table, effect: Effect, *, graph: Graph | None = None, seed: int = 0,
    progress: Progress = SILENT, **params: Any,
) -> Check:
    """Shuffle the treatment and estimate again, by linear regression on the effect's controls.

    Worry: the shuffled estimates do not centre at zero (by four Monte Carlo errors and a quarter of their
    spread; with few clusters the centre is not exactly zero); more than ``false_alarms`` of their intervals
    miss zero, beyond chance, so intervals of this kind are too narrow on these data; or the effect's
    interval excludes zero although shuffled treatments do as well more than one time in ten.
    Raises ``WhenceError`` for unknown parameters and for tables that are not the effect's.
    """
    p = CARD.checked(params)
    s = setting(table, effect, several=True)
    replicates = p["replicates"] or (499 if s.n <= MANY_ROWS else 99)
    if s.clusters is not None and len(np.unique(s.clusters)) < 3:
        return does_not_apply(CARD, "With fewer than three clusters there is too little to shuffle.")
    rng = generator(seed, "placebo")
    found, kind = placebos(s.outcome, s.treatment, s.controls, replicates, rng, s.weights, s.clusters, progress)
    if len(found.estimates) < FEWEST:
        return does_not_apply(CARD, "There are too few rows to shuffle: most shuffles equal one of the controls.")
    numbers = _numbers(found, effect, p)
    problems = _problems(numbers)
    return Check(
        CARD.name, CARD.title, "worry" if problems else "pass",
        worry=("Shuffled treatments whose estimates do not centre at zero, more than "
               f"{percent(p['false_alarms'])} of them called an effect, or shuffled treatments that do as well as "
               "the real one although our interval excludes zero."),
        saw=_saw(s, numbers, kind, problems),
        cannot_show=("It tests the machinery: that nothing comes out when nothing goes in. It says nothing about "
                     "confounding, because shuffling breaks the tie with the confounders too."),
        numbers=to_plain(numbers), figure=_figure(found),
    )


def _numbers(found: Placebos, effect: Effect, p: dict[str, Any]) -> dict[str, Any]:
    from scipy.special import ndtri, stdtrit

    estimates, size = found.estimates, len(found.estimates)
    tail = 0.5 + effect.level / 2
    quantile = float(ndtri(tail) if effect.df is None else stdtrit(effect.df, tail))
    missed = np.abs(estimates) > quantile * found.errors
    as_large = np.abs(estimates) >= abs(found.actual)
    return {
        "replicates": size, "centre": float(estimates.mean()), "spread": float(estimates.std(ddof=1)),
        "centre_error": float(estimates.std(ddof=1) / np.sqrt(size)), "actual": found.actual,
        "share_as_large": float((1 + as_large.sum()) / (1 + size)), "as_large": int(as_large.sum()),
        "false_alarms": float(missed.mean()), "allowed_false_alarms": p["false_alarms"],
        "expected_false_alarms": 1 - effect.level, "effect": effect.estimate, "level": effect.level,
        "excludes_zero": not effect.interval[0] <= 0 <= effect.interval[1],
    }


def _problems(numbers: dict[str, Any]) -> list[str]:
    expected = numbers["expected_false_alarms"]
    chance = math.sqrt(expected * (1 - expected) / numbers["replicates"])
    tests = {
        "the shuffled estimates do not centre at zero":
            abs(numbers["centre"]) > max(4 * numbers["centre_error"], numbers["spread"] / 4),
        "intervals of this kind are too narrow on these data":
            numbers["false_alarms"] > max(numbers["allowed_false_alarms"], expected + 3 * chance),
        "our interval claims more than shuffling supports":
            numbers["excludes_zero"] and numbers["share_as_large"] > 0.1,
    }
    return [words for words, failed in tests.items() if failed]


def _saw(s: Setting, numbers: dict[str, Any], kind: str, problems: list[str]) -> str:
    what = {"rows": "across rows", "clusters": f"across whole clusters of {s.data.spec.cluster!r}",
            "within": f"within clusters of {s.data.spec.cluster!r}"}[kind]
    text = (
        f"Shuffled {what} {numbers['replicates']:,} times, the treatment has an average effect of "
        f"{number(numbers['centre'])} (spread {number(numbers['spread'])}) in a linear regression on the same "
        f"controls, and {percent(numbers['false_alarms'])} of the intervals miss zero, where "
        f"{percent(numbers['expected_false_alarms'])} should. The real treatment gives {number(numbers['actual'])}; "
        f"{numbers['as_large']:,} of the shuffled ones are as far from zero ({p_text(numbers['share_as_large'])})."
    )
    if problems:
        return text + " So " + ", and ".join(problems) + "."
    if not numbers["excludes_zero"]:
        return text + " That agrees with our interval, which includes zero."
    return text


def _figure(found: Placebos) -> dict[str, Any]:
    reach = max(float(np.abs(found.estimates).max()), abs(found.actual)) or 1.0
    counts, edges = np.histogram(found.estimates, np.linspace(-reach, reach, BINS + 1))
    return {"kind": "placebo", "edges": edges.tolist(), "counts": counts.tolist(), "actual": found.actual}
