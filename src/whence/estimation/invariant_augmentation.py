"""Shifts of the treatments that cannot matter, in place of instruments: outcome-invariant augmentation.

Who knows changes to the treatments that leave the outcome as it is can add them at random. Added, they are instruments
that move nothing but the treatments; an instrumental regression with a penalty then gives weight to the directions in
which the outcome does change, whatever hidden causes say in the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.inference import Answer, cluster_factor
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.stats.features import independent
from whence.stats.resample import folds

PENALTIES = np.geomspace(1e-4, 10.0, 36)
STRENGTHS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 16.0)
CHANCE = 1e-6  # p-value below which shifts are not drawn by chance
WARNED = 0.1  # share of what the treatments explain, taken away by the shifts
SPAN = 1e-8  # of the largest singular value, below which a direction is not shifted

CARD = Card(
    name="invariant_augmentation",
    task="estimation",
    title="Outcome-invariant augmentation (IV-like regression)",
    summary="The effects of several treatments without an instrument, from shifts of them that cannot matter.",
    data_kinds=("continuous", "count", "ordinal"),
    assumptions=(
        "The shifts, drawn by chance, lead to treatments under which the outcome would have been the same; the k-th "
        "instrument is the shift of the k-th treatment.",
        "The outcome is linear in the treatments and the controls.",
        "Hidden causes act along the directions that the shifts cover; what they do in the others stays in the answer.",
        "The interval carries chance alone: the penalty counts as given, and what hidden causes leave is not in it.",
    ),
    parameters=(
        Parameter("penalty", "float", None, "Weight of the plain regression beside the instrumental one. None: chosen "
                  "by cross-validation of the instrumental risk.", 0.0, optional=True, open_ends=True),
        Parameter("strength", "float", 1.0, "What the shifts are multiplied by before they are added.", 0.0,
                  open_ends=True),
        Parameter("n_folds", "int", 5, "Folds of the cross-validation.", 2, 50),
        Parameter("most_lost", "float", 0.5, "Largest share of what the treatments explain of the outcome that "
                  "shifts 16 times as strong may take away; beyond it the answer is refused, since shifts that change "
                  "the outcome are a likelier reason than hidden causes.", 0.0, 1.0),
        LEVEL,
    ),
    output="Effect",
    cost="n m^2 for n rows and m treatments.",
    citations=(
        "An analysis of causal effect estimation using outcome invariant data augmentation (arXiv 2510.25128)",
        "Rothenhäusler, Meinshausen, Bühlmann and Peters (2021), Anchor regression: heterogeneous data meet causality, "
        "Journal of the Royal Statistical Society B 83",
    ),
    function="whence.estimation.invariant_augmentation:invariant_augmentation",
    strategies=("iv",),
    quantities=("ATE",),
    several_treatments=True,
    relaxes=True,
)


@dataclass(frozen=True)
class Shifted:
    """Controls taken out, rows scaled by the root of their weights. treatments: (n, m). span: (n, r), an orthonormal
    basis of the shifts, which are span @ loading, loading (r, m). outcome: (n,). columns: of the controls, intercept
    included."""

    treatments: np.ndarray
    span: np.ndarray
    loading: np.ndarray
    outcome: np.ndarray
    columns: int

    def products(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Sums of products of (span, treatments, outcome) over some rows, or all."""
        whole = np.column_stack([self.span, self.treatments, self.outcome])
        whole = whole if rows is None else whole[rows]
        return whole.T @ whole

    def augmented(self, products: np.ndarray, strength: float = 1.0) -> np.ndarray:
        """The same of (span, treatments with ``strength`` times the shifts, outcome)."""
        r, m = self.loading.shape
        mixed = np.eye(r + m + 1)
        mixed[:r, r : r + m] = strength * self.loading
        return mixed.T @ products @ mixed


def invariant_augmentation(
    data: Prepared, *, penalty: float | None = None, strength: float = 1.0, n_folds: int = 5, most_lost: float = 0.5,
    level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """One slope per treatment, the others held fixed.

    With G the treatments plus their shifts and P the projection on the shifts, the slopes h minimise

        (Y - G h)' P (Y - G h) + penalty (Y - G h)' (Y - G h),

    which is anchor regression with the shifts as anchors. Cross-validation takes the penalty with the least
    (Y - G h)' P (Y - G h) on rows left out, P from their own shifts. Influence values are those of the estimating
    equations with the penalty given, the projection estimated:

        psi = n H^-1 (P G e + (G - P G) P e + penalty G e),   H = G'PG + penalty G'G,   e = Y - G h.

    The diagnostics have the curve of the slopes over the strength of the shifts, with the share of the outcome that the
    treatments explain. It bends where hidden causes lie along the shifts, and also where the shifts change the outcome:
    the data alone cannot tell. Refused: ``treatment_not_dose``, ``shifts_not_matched``, ``no_shift``,
    ``no_direction_left`` (shifts in every direction: only a constant does not change under them),
    ``shifts_not_by_chance`` (they foretell the outcome or the treatments), ``not_invariant`` (strong ones take away
    most of what the treatments explain), ``too_few_rows``, and those of the design columns.
    """
    made = _shifted(data, strength)
    if isinstance(made, Refused):
        return made
    chance = _by_chance(data, made)
    if isinstance(chance, Refused):
        return chance
    chosen = penalty if penalty is not None else _chosen(data, made, n_folds, seed)
    products, r = made.products(), made.span.shape[1]
    slopes = _slopes(made.augmented(products), r, chosen)
    curve = list(_curve(made, products, chosen))
    plain, strongest = curve[0]["explained"], curve[-1]["explained"]
    lost = 1 - strongest / plain if plain > 0 else 0.0
    evidence = {"explained_lost": lost, "explained_without_shifts": plain, "limit": most_lost}
    if lost > most_lost:
        return Refused(
            "not_invariant", f"The treatments explain {plain:.0%} of the outcome, and {lost:.0%} of that lies along "
            "the shifts. Shifts that do change the outcome are the likelier reason.",
            evidence | {"curve": curve}, "Look at the shifts one by one; if all of them are truly harmless, hidden "
            "causes are that strong, and most_lost=1 gives the answer.",
        )
    steps = np.array([t.step for t in data.treatments])
    psi = _influence(made, slopes, chosen) * steps * cluster_factor(data.clusters)
    rank = made.columns + r + len(steps)
    return Answer(
        data, slopes * steps, psi * np.sqrt(data.n / (data.n - rank)),
        diagnostics={"penalty": chosen, "penalty_by": "given" if penalty is not None else "cross-validation",
                     "strength": strength, "directions_shifted": r, "curve": curve,
                     "least_squares": (np.array(curve[0]["slopes"]) * steps).tolist(), **evidence, **chance},
        remarks=tuple(_remarks(data, evidence)),
        labels=tuple(t.name for t in data.treatments) if data.others else None,
    )


def _shifted(data: Prepared, strength: float) -> Shifted | Refused:
    names, shifts = [t.name for t in data.treatments], data.spec.instruments
    groups = [t.name for t in data.treatments if t.discrete]
    if groups:
        return Refused("treatment_not_dose", f"A shift is added to a number, and {groups[0]!r} has groups.",
                       {"columns": groups}, "Use numeric treatments.")
    if len(shifts) != len(names):
        return Refused("shifts_not_matched", f"There are {len(shifts)} shifts for {len(names)} treatments.",
                       {"treatments": names, "shifts": list(shifts)}, "Name one instrument per treatment, in their "
                       "order; a column of zeros says that a treatment is not shifted.")
    controls = data.features()
    if isinstance(controls, Refused):
        return controls
    root = np.sqrt(data.w)[:, None]
    base = np.column_stack([np.ones(data.n), controls.matrix]) * root
    base = np.linalg.qr(base[:, independent(base, intercept=False)])[0]
    if data.n <= base.shape[1] + 2 * len(names) + 1:
        return Refused("too_few_rows", f"{data.n:,} rows are too few for {base.shape[1]:,} control columns and "
                       f"{len(names)} treatments.", {"rows": data.n}, "Use fewer controls or treatments.")

    def left(values: np.ndarray) -> np.ndarray:
        once = values - base @ (base.T @ values)
        return once - base @ (base.T @ once)

    x = left(np.column_stack([t.values for t in data.treatments]) * root)
    s = left(strength * np.column_stack([data.table.numeric(name)[data.rows] for name in shifts]) * root)
    units = np.sqrt((x**2).sum(axis=0))
    left_side, sizes, _ = np.linalg.svd(s / units, full_matrices=False)
    rank = int((sizes > SPAN * sizes[0]).sum()) if sizes[0] > SPAN else 0
    if rank == 0:
        return Refused("no_shift", "The shifts are the same for every row.", {"shifts": list(shifts)},
                       "Draw them at random for each row.")
    if rank == len(names):
        return Refused("no_direction_left", "The shifts move the treatments in every direction, and an outcome that is "
                       "linear in them and does not change is a constant.", {"directions": rank},
                       "Shift the treatments only in ways that cannot matter.")
    span = left_side[:, :rank]
    return Shifted(x, span, span.T @ s, left(data.outcome * root[:, 0]), base.shape[1])


def _by_chance(data: Prepared, made: Shifted) -> dict[str, float] | Refused:
    """Whether the shifts foretell the outcome or a treatment, the latter with Bonferroni's correction."""
    p = [_foretold(data, made, values) for values in (made.outcome, *made.treatments.T)]
    found = {"shifts_on_outcome_p": p[0], "shifts_on_treatments_p": min(1.0, min(p[1:]) * len(p[1:]))}
    if min(found.values()) < CHANCE:
        return Refused("shifts_not_by_chance", "The shifts go together with the outcome or with the treatments before "
                       f"they are added (p {min(found.values()):.1g}).", found, "Draw them at random, whatever else is "
                       "known of a row; give the treatments as they were, without the shifts.")
    return found


def _foretold(data: Prepared, made: Shifted, values: np.ndarray) -> float:
    """p-value that the shifts say nothing about values (n,): a Wald test by rows or clusters, scaled to F (Hotelling);
    1 where there are too few of them to test it."""
    from scipy.special import fdtrc

    r, along = made.span.shape[1], made.span.T @ values
    df = (data.n - made.columns if data.n_clusters is None else data.n_clusters - 1) - r + 1
    if df < 2:
        return 1.0
    left = values - made.span @ along
    if left @ left <= SPAN * (values @ values):
        return 0.0
    covariance = Answer(data, along, data.n * made.span * left[:, None]).covariance
    statistic = float(along @ np.linalg.pinv(covariance, hermitian=True) @ along)
    return float(fdtrc(r, df, statistic * df / (r * (df + r - 1))))


def _projected(gram: np.ndarray, r: int) -> np.ndarray:
    """Products of the projections on the shifts of (treatments, outcome), (m + 1, m + 1)."""
    across = gram[:r, r:]
    return across.T @ np.linalg.lstsq(gram[:r, :r], across, rcond=None)[0]


def _slopes(gram: np.ndarray, r: int, penalty: float) -> np.ndarray:
    """The slopes (m,) from the sums of products."""
    whole = _projected(gram, r) + penalty * gram[r:, r:]
    return np.linalg.solve(whole[:-1, :-1], whole[:-1, -1])


def _chosen(data: Prepared, made: Shifted, n_folds: int, seed: int) -> float:
    """The penalty with the least instrumental risk on rows left out."""
    r = made.span.shape[1]
    fold = folds(n_folds, np.zeros(data.n, dtype=np.int64), data.clusters, seed, 0)
    parts = [made.augmented(made.products(fold == k)) for k in range(int(fold.max()) + 1)]
    whole, risk = sum(parts), np.zeros(len(PENALTIES))
    for part in parts:
        outside, inside = whole - part, _projected(part, r)
        for j, penalty in enumerate(PENALTIES):
            off = np.append(-_slopes(outside, r, penalty), 1.0)
            risk[j] += off @ inside @ off
    return float(PENALTIES[int(np.argmin(risk))])


def _influence(made: Shifted, slopes: np.ndarray, penalty: float) -> np.ndarray:
    """Influence values (n, m) of the slopes for a given penalty."""
    q = made.span
    g = made.treatments + q @ made.loading
    e = made.outcome - g @ slopes
    along, rest = q @ (q.T @ g), q @ (q.T @ e)
    bread = np.linalg.inv(along.T @ along + penalty * g.T @ g)
    scores = along * e[:, None] + (g - along) * rest[:, None] + penalty * g * e[:, None]
    return len(e) * scores @ bread


def _curve(made: Shifted, products: np.ndarray, penalty: float) -> Iterator[dict[str, Any]]:
    """The slopes at some multiples of the shifts (without them, least squares), and the share of the outcome's variance
    that the treatments as they were then explain."""
    r, m = made.loading.shape
    own = products[r : r + m, r : r + m]
    towards, total = products[r : r + m, -1], products[-1, -1]
    for strength in STRENGTHS:
        slopes = (np.linalg.solve(own, towards) if strength == 0
                  else _slopes(made.augmented(products, strength), r, penalty))
        explained = float((2 * slopes @ towards - slopes @ own @ slopes) / total)
        yield {"strength": strength, "slopes": slopes.tolist(), "explained": explained}


def _remarks(data: Prepared, found: dict[str, float]) -> Iterator[Remark]:
    lost = found["explained_lost"]
    if lost > WARNED:
        yield Remark(
            "moves_with_shifts", f"The answer moves with the strength of the shifts: {lost:.0%} of what the treatments "
            "explain of the outcome lies along them. Hidden causes do that, and so do shifts that change the outcome; "
            "the data alone cannot tell which.", tuple(t.name for t in data.treatments), found,
        )
