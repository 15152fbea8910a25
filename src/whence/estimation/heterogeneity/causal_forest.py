"""Causal forest: an honest forest on what is left of outcome and treatment, with an interval for everybody."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.core.rng import generator
from whence.estimation.heterogeneity.importance import importance
from whence.estimation.heterogeneity.sample import Designs, Fitted, Sample, sample
from whence.estimation.interactive import CLIP, N_FOLDS, OUTCOME_LEARNER, TREATMENT_LEARNER
from whence.estimation.parameters import LEVEL
from whence.estimation.prepare import Prepared
from whence.kernels.causal_forest import causal_forest as forest_kernel
from whence.stats.codes import compact

BALANCE = 0.05  # smallest part of a node's rows, and of its variation of the treatment, on one side of a split
THREADS = 8
FEWEST_CLUSTERS = 20
FEW_TREES = 200  # enough to see by which columns effects differ

TREES = Parameter("trees", "int", 1000, "Trees of the forest; more make the intervals steadier.", 50, 100_000)
SMALLEST_LEAF = Parameter("smallest_leaf", "int", 5, "Treated and untreated rows on each side of a split, at least.",
                          1, 1000)
GROUP_SIZE = Parameter("group_size", "int", 2, "Trees that share half of the rows; their spread gives the variance.",
                       2, 50)

CARD = Card(
    name="causal_forest",
    task="heterogeneity",
    title="Honest causal forest",
    summary="Takes out of outcome and treatment what the controls predict, and lets a forest find where the effect of "
    "what is left differs; every effect has an interval of its own.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        "Among people alike in the controls, who was treated has nothing else to do with the outcome.",
        "People of every kind in the controls could have been in either arm.",
        "The learners come close enough to the outcome and the treatment given the controls (their errors multiply).",
        "The effect changes gradually with the columns: each interval is about the average effect of people near by, "
        "and with few rows these are not very near.",
    ),
    parameters=(OUTCOME_LEARNER, TREATMENT_LEARNER, TREES, SMALLEST_LEAF, GROUP_SIZE, N_FOLDS, CLIP, LEVEL),
    output="Conditional",
    cost="The nuisances of AIPW; trees x columns x rows x log(rows), natively; about 2.5 s for 1,000 trees on 5,000 "
    "rows and 10 columns.",
    citations=(
        "Athey, Tibshirani and Wager (2019), Generalized random forests, Annals of Statistics 47(2)",
        "Wager and Athey (2018), Estimation and inference of heterogeneous treatment effects using random forests, "
        "JASA 113",
    ),
    function="whence.estimation.heterogeneity.causal_forest:causal_forest",
)


def causal_forest(
    data: Prepared, by: tuple[str, ...], *, outcome_learner: Any = "auto", treatment_learner: Any = "auto",
    trees: int = 1000, smallest_leaf: int = 5, group_size: int = 2, n_folds: int = 5, clip: float = 0.01,
    seed: int = 0, progress: Progress = SILENT,
) -> Fitted | Refused:
    """A forest on residuals (Athey, Tibshirani and Wager 2019, section 6): y - m(x) and a - e(x), with m and e from
    other folds. Rows are judged by trees that did not see them or their cluster; errors are those of little bags.

    Sampling weights enter the scores, not the forest. Refused: those of ``sample``; ``too_few_clusters``,
    ``no_tree_speaks``.
    """
    if data.n_clusters is not None and data.n_clusters < FEWEST_CLUSTERS:
        return Refused("too_few_clusters", f"A forest learns from a quarter of the clusters at a time, and there are "
                       f"{data.n_clusters}.", {"clusters": data.n_clusters, "needed": FEWEST_CLUSTERS},
                       "Use method='dr_learner', or a finer cluster column.")
    s = sample(data, by, outcome_learner, treatment_learner, n_folds, clip, seed, progress)
    designs = s.designs("boosting") if isinstance(s, Sample) else s
    if isinstance(s, Refused) or isinstance(designs, Refused):
        return s if isinstance(s, Refused) else designs  # pyright: ignore[reportReturnType]
    x = np.ascontiguousarray(designs[0].matrix.T)
    settings = (trees // group_size * group_size, group_size, smallest_leaf)
    progress.begin("growing the forest", 1)
    effects, errors = _grown(s, x, np.zeros((len(x), 0)), settings)
    progress.end()
    silent = int(np.isnan(effects).sum())
    if silent:
        return Refused("no_tree_speaks", f"Of {silent:,} rows no tree says anything: hardly anything is left of the "
                       "treatment once the controls are taken out.", {"rows": silent, "trees": trees},
                       "Use more trees, or fewer controls that predict the treatment.")

    def at(new: Designs) -> tuple[np.ndarray, np.ndarray]:
        return _grown(s, x, np.ascontiguousarray(new[0].T), settings)

    few = (min(settings[0], FEW_TREES // group_size * group_size), *settings[1:])
    parts = importance(lambda new: _grown(s, x, np.ascontiguousarray(new[0].T), few)[0], designs, by, seed)
    return Fitted(s, effects, errors, at, designs, parts, _remarks(s, errors), {"trees": settings[0]})


def _grown(
    s: Sample, x: np.ndarray, query: np.ndarray, settings: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Effects and errors of the columns of ``query``, or of the rows, where it has none.

    The same forest each time: it follows from the rows and the seed.
    """
    trees, group_size, least = settings
    p, n = x.shape
    left = s.data.outcome - s.expected
    scale = float(np.sqrt((left**2).mean())) or 1.0
    clusters = np.arange(n) if s.data.clusters is None else compact(s.data.clusters)[0]
    m = query.shape[1] or n
    effect, variance = np.empty(m), np.empty(m)
    seed = int(generator(s.seed, "causal forest").integers(2**63))
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    forest_kernel(x, left / scale, s.treated - s.chance, clusters.astype(np.int32), int(clusters.max()) + 1, query,
                  trees, group_size, min(p, math.ceil(math.sqrt(p) + 20)), least, BALANCE, seed,
                  min(threads, THREADS), effect, variance)
    return scale * effect, scale * np.sqrt(variance)


def _remarks(s: Sample, errors: np.ndarray) -> tuple[Remark, ...]:
    remarks = []
    lacking = int(np.isnan(errors).sum())
    if lacking:
        remarks.append(Remark("no_error", f"{lacking:,} of {s.n:,} rows have an effect but no error: too few groups of "
                              "trees speak of them all.", (), {"rows": lacking}))
    if s.data.weights is not None:
        remarks.append(Remark("weights_not_in_forest", "The sampling weights count in averages over people, not inside "
                              "the forest: an effect given the columns does not depend on who was sampled.",
                              (s.data.spec.weights or "",), {}))
    return tuple(remarks)
