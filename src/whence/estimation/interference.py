"""Effects when a row's outcome depends on its neighbours' treatments: everybody treated against nobody, and its parts.

The outcome is taken to depend on all treatments through the row's own and an exposure, made of its neighbours'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.exposure import GROUPS, Exposed, exposed, with_network_errors
from whence.estimation.inference import Answer, cluster_factor
from whence.estimation.network_doubts import diagnosed
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared, require_arms
from whence.stats.learners import LEARNERS
from whence.stats.regress import LinearFit, influence, ols

FEWEST = 10  # rows with each combination of own treatment and exposure that is compared
ROWS_PER_COLUMN = 10  # below this many per column of controls the effects are taken not to differ with them
NEAR = 0.1  # how close to all, or no, neighbours treated counts as close
LOW = 0.01  # chance of a combination below which a row hardly ever has it
WARNED, REFUSED = 0.02, 0.25  # shares of such rows
CELLS = ((1, 1), (0, 0), (1, 0), (0, 1))
DETERMINED = 1e-6  # of an exposure's variance left by own treatment and controls

Cell = tuple[int, int]

CARD = Card(
    name="interference",
    task="estimation",
    title="Effects on a network with interference",
    summary="What happens if everybody is treated rather than nobody, and how much of it comes from the neighbours.",
    data_kinds=("continuous", "count", "binary", "ordinal", "text"),
    assumptions=(
        "Given the controls, nothing hidden affects both the outcome and the treatment of a row or of its neighbours.",
        "A row's outcome depends on other rows' treatments only through the exposure (by default the share of the "
        "neighbours it lists who are treated); neighbours of neighbours do not reach it otherwise.",
        "The lists of neighbours are complete, and the treatment does not change who is linked to whom.",
        "The outcome's mean is linear in own treatment, exposure, their product and the controls (own, the neighbours' "
        "average, the number of neighbours); where exposures are yes or no, either this or the chances of treatment "
        "and exposure are right.",
    ),
    parameters=(
        Parameter("exposure", "choice", "share", "What the neighbours' treatments come to: the share of them treated, "
                  "their number ('count'), whether 'any' is, or whether at least `threshold` are. For a dose: the mean "
                  "('share') or the sum ('count').", choices=("share", "count", "any", "threshold")),
        Parameter("threshold", "int", 2, "For exposure='threshold': how many treated neighbours.", 1),
        Parameter("estimator", "choice", "auto", "'regression': the outcome's regression, averaged over the rows. "
                  "'doubly_robust' (exposures 'any' and 'threshold'): that, corrected by the chances of own treatment "
                  "and exposure. 'auto': the latter where it can be had.",
                  choices=("auto", "regression", "doubly_robust")),
        Parameter("errors", "choice", "auto", "'network': rows up to `steps` apart depend on each other; 'components': "
                  "all rows of a connected part do. 'auto': the latter where there are at least 40 parts, none of "
                  "which holds more than a twentieth of the rows.", choices=("auto", "network", "components")),
        Parameter("steps", "int", 2, "For errors along the network: rows further apart are independent. Two rows that "
                  "share a neighbour are 2 steps apart.", 1, 6),
        Parameter("clip", "float", 0.01, "Smallest chance of a combination used in a weight.", 0.0, 0.25),
        LEVEL,
    ),
    output="Effect",
    cost="n k^2 for n rows and k columns of controls (twice those named, and the degree), and the pairs of rows within "
         "`steps`.",
    citations=(
        "Aronow and Samii (2017), Estimating average causal effects under general interference, with application to a "
        "social network experiment, Annals of Applied Statistics 11",
        "Forastiere, Airoldi and Mealli (2021), Identification and estimation of treatment and interference effects in "
        "observational studies on networks, Journal of the American Statistical Association 116",
        "Kojevnikov, Marmer and Song (2021), Limit theorems for network dependent random variables, Journal of "
        "Econometrics 222",
        "Leung (2022), Causal inference under approximate neighborhood interference, Econometrica 90",
    ),
    function="whence.estimation.interference:interference",
    strategies=("interference",),
    quantities=("ATE",),
    roles=("neighbours",),
)


@dataclass(frozen=True)
class _Support:
    """cells: combinations of own treatment and neighbours' that can be compared. seen: what was counted."""

    cells: tuple[Cell, ...]
    seen: dict[str, Any]


@dataclass(frozen=True)
class _Model:
    """found: the rows. interact: whether effects may differ with the controls. fit: of the outcome."""

    found: Exposed
    interact: bool
    fit: LinearFit


def interference(
    data: Prepared, *, exposure: str = "share", threshold: int = 2, estimator: str = "auto", errors: str = "auto",
    steps: int = 2, clip: float = 0.01, level: float = 0.95, seed: int = 0, progress: Progress = SILENT,
) -> Answer | Refused:
    """Overall effect, own effect, and what the neighbours add, with and without own treatment.

    With mu(d, e) the mean outcome of rows whose own treatment is d and whose neighbours' make the exposure e, averaged
    over the rows, and e1 what a row's exposure is when everybody is treated: mu(1, e1) - mu(0, 0) (overall), which is
    mu(1, 0) - mu(0, 0) (own) plus mu(1, e1) - mu(1, 0) (neighbours, own treatment given); last mu(0, e1) - mu(0, 0).
    For a dose: one more unit (or the contrast's step) for everybody, for oneself, for all neighbours.

    The regression is standardised as in ``regression``; the doubly robust form adds 1{own = d, exposure = e} / P(own =
    d, exposure = e | controls) times the residual (Aronow and Samii 2017; Forastiere et al. 2021), with logistic
    chances P(own | controls) P(exposure | own, controls).

    Refused: those of ``exposed``, ``small_arm``, ``no_interference_seen`` (an exposure that does not vary),
    ``exposure_is_treatment``, ``treatment_determined``, ``no_overlap_of_exposures``, ``positivity``,
    ``more_features_than_rows``, ``not_doubly_robust``, ``network_too_dense``, ``too_few_parts``.
    """
    found = exposed(data, exposure, threshold)
    if isinstance(found, Refused):
        return found
    enough = require_arms(found.data, FEWEST)
    if isinstance(enough, Refused):
        return enough
    if estimator == "doubly_robust" and exposure not in GROUPS:
        return Refused("not_doubly_robust", f"exposure={exposure!r} takes many values, whose chances would all have to "
                       "be learned.", {"exposure": exposure}, "Use exposure='any' or 'threshold', or "
                       "estimator='regression'.")
    with_errors = with_network_errors(found, errors, steps)
    if isinstance(with_errors, Refused):
        return with_errors
    found, which = with_errors
    support = _support(found, exposure)
    if isinstance(support, Refused):
        return support
    model = _modelled(found)
    if isinstance(model, Refused):
        return model
    weighted = exposure in GROUPS and estimator != "regression"
    chances = _chances(found) if weighted else None
    support = support if chances is None else _likely(found, support, chances)
    if isinstance(support, Refused):
        return support
    made = _standardised(model, support) if chances is None else _doubly_robust(model, support, chances, clip)
    diagnostics, doubts = diagnosed(found, model.fit, model.interact, exposure)
    return Answer(
        found.data, *made, diagnostics={"exposure": exposure, **_shape(found), **support.seen,
                                        "interactions": model.interact, **diagnostics},
        remarks=(*_left_out(found, support), *doubts), errors=which,
        labels=tuple(label for label, *_ in _comparisons(found, support)),
    )


def _comparisons(found: Exposed, support: _Support) -> list[tuple[str, Cell, Cell]]:
    """Label, and (own, neighbours) after and before, of the comparisons whose ends the data show."""
    t = found.data.treatment
    if not t.discrete:
        step = t.labels[0]
        return [(f"{step} for everybody", (1, 1), (0, 0)), (f"{step} for oneself", (1, 0), (0, 0)),
                (f"{step} for all neighbours", (0, 1), (0, 0))]
    one, none = t.arms[1], t.arms[0]
    every = [(f"{one} vs {none} for everybody", (1, 1), (0, 0)),
             (f"own {one} vs {none}, neighbours {none}", (1, 0), (0, 0)),
             (f"neighbours {one} vs {none}, own {one}", (1, 1), (1, 0)),
             (f"neighbours {one} vs {none}, own {none}", (0, 1), (0, 0))]
    return [(label, after, before) for label, after, before in every if {after, before} <= set(support.cells)]


def _shape(found: Exposed) -> dict[str, Any]:
    """The network in numbers."""
    sizes = np.bincount(found.network.components)
    return {"links": len(found.network.links), "mean_degree": float(found.degree.mean()),
            "largest_degree": int(found.degree.max()), "parts": len(sizes), "largest_part": int(sizes.max()),
            "mean_exposure": float(np.average(found.exposure, weights=found.data.w))}


def _support(found: Exposed, kind: str) -> _Support | Refused:
    """Which combinations of own treatment and exposure the data show, or come close enough to."""
    t = found.data.treatment
    if np.ptp(found.exposure) == 0:
        return Refused("no_interference_seen", f"The exposure is {found.exposure[0]:.3g} for every row, so what "
                       "neighbours do cannot be seen.", {"exposure": float(found.exposure[0])},
                       "Use another exposure, or strategy='adjustment' if neighbours do not matter.")
    if not t.discrete:
        return _Support(CELLS, {})
    counts, far = {}, {}
    can = found.most > 0
    part = found.exposure[can] / found.most[can]
    for d, e in CELLS:
        seen = part[t.codes[can] == d]
        counts[_named(found, (d, e))] = int((np.abs(seen - e) <= NEAR).sum())
        far[d, e] = not len(seen) or float(np.abs(seen - e).min()) > float(np.ptp(seen))
        if kind in GROUPS:
            far[d, e] = counts[_named(found, (d, e))] < FEWEST
    support = _Support(tuple(cell for cell in CELLS if not far[cell]), {"rows_near": counts})
    return _needed(found, support, "no_overlap_of_exposures", "too few rows come close to")


def _likely(found: Exposed, support: _Support, chances: np.ndarray) -> _Support | Refused:
    """Of the combinations, those that more than a few rows have a chance of."""
    can = found.most == 1
    w = found.data.w[can] / found.data.w[can].sum()
    lacking = {cell: float(w @ (chances[(can, *cell)] < LOW)) for cell in support.cells}
    seen = {**support.seen, "share_without_counterpart": {_named(found, c): share for c, share in lacking.items()}}
    kept = _Support(tuple(cell for cell in support.cells if lacking[cell] <= REFUSED), seen)
    return _needed(found, kept, "positivity", f"more than {REFUSED:.0%} of the rows have hardly any chance of")


def _needed(found: Exposed, support: _Support, code: str, why: str) -> _Support | Refused:
    """The support, if it holds the ends of the overall effect."""
    for cell in ((1, 1), (0, 0)):
        if cell not in support.cells:
            return Refused(code, f"Everybody treated cannot be compared with nobody: {why} "
                           f"{_named(found, cell)!r}.", support.seen, "The data do not say what happens there. More "
                           "variation between neighbourhoods, or another exposure, is needed.")
    return support


def _named(found: Exposed, cell: Cell) -> str:
    t = found.data.treatment
    return f"own {t.arms[cell[0]]}, neighbours {t.arms[cell[1]]}"


def _left_out(found: Exposed, support: _Support) -> list[Remark]:
    """What the data do not show, or hardly."""
    name = found.data.treatment.name
    said: list[Remark] = []
    if not found.data.treatment.discrete:
        return said
    missing = [_named(found, cell) for cell in CELLS if cell not in support.cells]
    if missing:
        said.append(Remark("comparisons_left_out", "Too few rows come close to, or have a chance of: "
                           + "; ".join(missing) + ". Comparisons with these are left out.", (name,),
                           {"cells": missing}))
    near = support.seen.get("rows_near", {})
    few = [_named(found, cell) for cell in support.cells if near.get(_named(found, cell), FEWEST) < FEWEST]
    if few:
        said.append(Remark("extrapolated", f"Fewer than {FEWEST} rows come close to: " + "; ".join(few) + ". There the "
                           "answer extends a straight line beyond what was seen.", (name,), {"rows_near": near}))
    shares = support.seen.get("share_without_counterpart", {})
    inside = {_named(found, cell) for cell in support.cells}
    weak = {cell: share for cell, share in shares.items() if cell in inside and share > WARNED}
    if weak:
        said.append(Remark("weak_overlap", "Some rows have hardly any chance of: " + "; ".join(
            f"{cell} ({share:.0%})" for cell, share in weak.items()) + ". Few rows weigh much there.", (name,), weak))
    return said


def _design(found: Exposed, own: np.ndarray, exposure: np.ndarray, interact: bool) -> np.ndarray:
    """Columns (n, k) for these values of own treatment and exposure."""
    pair = [own, exposure] + ([own * exposure] if found.data.treatment.discrete else [])
    columns = [np.ones(found.data.n), *pair, found.controls]
    if interact:
        # A count times the degree grows with its square, and so would what it says about everybody treated.
        varies = found.controls if found.most.max() <= 1 else found.controls[:, : found.ends[1]]
        columns += [found.controls * own[:, None], varies * exposure[:, None]]
    return np.column_stack(columns)


def _modelled(found: Exposed) -> _Model | Refused:
    """The outcome's regression; refused where own treatment and controls leave the exposure nothing of its own."""
    data = found.data
    interact = data.treatment.discrete and data.n >= ROWS_PER_COLUMN * 3 * (found.controls.shape[1] + 1)
    design = _design(found, found.own, found.exposure, interact)
    if data.n <= design.shape[1] + 1:
        return Refused("more_features_than_rows", f"The model has {design.shape[1]} columns for {data.n} rows.",
                       {"columns": design.shape[1], "rows": data.n}, "Use fewer controls.")
    beside = np.column_stack([np.ones(data.n), found.own, found.controls])
    left = 1 - ols(beside, found.exposure, data.weights).r_squared
    if left < DETERMINED:
        return Refused("exposure_is_treatment", "Own treatment and controls determine the exposure (neighbours are "
                       "treated together, say), so own and neighbours' treatment cannot be told apart.",
                       {"left_of_exposure": left}, "Compare groups that were treated together as wholes: "
                       "strategy='adjustment' with cluster=....")
    if 1 - ols(np.delete(beside, 1, axis=1), found.own, data.weights).r_squared < DETERMINED:
        return Refused("treatment_determined", f"The controls determine {data.treatment.name!r}.",
                       {"treatment": data.treatment.name}, "Leave out the controls that determine it.")
    fit = ols(design, data.outcome, data.weights)
    if not fit.kept[1 : 3 + data.treatment.discrete].all():
        return Refused("no_overlap_of_exposures", "Exposure varies in one of the arms only, so own and neighbours' "
                       "treatment cannot be told apart.", {"rows": data.n},
                       "More rows, or another exposure, are needed.")
    return _Model(found, interact, fit)


def _at(found: Exposed, cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """Own treatment and exposure of every row in a combination; for a dose, what is more by one step or not."""
    own, neighbours = cell
    if found.data.treatment.discrete:
        return np.full(found.data.n, float(own)), found.most * neighbours
    step = found.data.treatment.step
    return found.own + step * own, found.exposure + step * found.most * neighbours


def _standardised(model: _Model, support: _Support) -> tuple[np.ndarray, np.ndarray]:
    """Estimates (m,) and influence values (n, m) of the regression, averaged over the rows."""
    found, data = model.found, model.found.data
    there = {cell: _design(found, *_at(found, cell), model.interact) for cell in support.cells}
    changes = [there[after] - there[before] for _, after, before in _comparisons(found, support)]
    means = np.array([data.w @ change / data.n for change in changes])
    estimates = means @ model.fit.coefficients
    spread = np.column_stack([change @ model.fit.coefficients for change in changes]) - estimates
    return estimates, influence(model.fit, means, "HC2", data.clusters) + data.w[:, None] * spread


def _chances(found: Exposed) -> np.ndarray:
    """(n, 2, 2): the chance of each own treatment and exposure given the controls; 0 where it cannot be."""
    data, logit = found.data, LEARNERS["linear"].classes
    assert logit is not None
    codes, exposure = data.treatment.codes, found.exposure.astype(np.int64)
    own = logit(found.controls, codes, 2, data.w, found.controls, 0)
    can = found.most == 1
    out = np.zeros((data.n, 2, 2))
    seen = np.column_stack([found.own, found.controls])[can]
    for d in (0, 1):
        asked = np.column_stack([np.full(data.n, float(d)), found.controls])
        exposed = logit(seen, exposure[can], 2, data.w[can], asked, 0)
        out[:, d] = np.where(can[:, None], exposed, [1.0, 0.0]) * own[:, [d]]
    return out


def _doubly_robust(
    model: _Model, support: _Support, chances: np.ndarray, clip: float
) -> tuple[np.ndarray, np.ndarray]:
    """Estimates (m,) and influence values (n, m): the regression's, corrected by weighted residuals."""
    found, data, rows = model.found, model.found.data, np.arange(model.found.data.n)
    floor = np.maximum(chances, max(clip, 1e-12))
    scores = {}
    for cell in support.cells:
        own, exposure = _at(found, cell)
        mean = _design(found, own, exposure, model.interact) @ model.fit.coefficients
        there = (found.own == own) & (found.exposure == exposure)
        scores[cell] = mean + there / floor[rows, cell[0], exposure.astype(np.int64)] * (data.outcome - mean)
    gaps = np.column_stack([scores[after] - scores[before] for _, after, before in _comparisons(found, support)])
    estimates = data.w @ gaps / data.n
    factor = np.sqrt(data.n / (data.n - model.fit.rank)) * cluster_factor(data.clusters)
    return estimates, factor * data.w[:, None] * (gaps - estimates)
