"""Adjustment through an embedding: folds by key, what is said of it, refusals, coverage, and noisy images."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from whence.core.result import Refused
from whence.data.table import Column, Table
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec
from whence.studies.study import study

BENCH = Path(__file__).resolve().parents[2] / "bench" / "frontier.py"


def draw(rng, n, p=30, groups=None, strength=1.0, weak=False):
    """Two hidden causes seen through p noisy columns; effect 1. groups: so many share an embedding and some noise."""
    loadings = np.random.default_rng(p).normal(size=(2, p))
    m = n if groups is None else groups
    at = np.arange(n) % m
    hidden = rng.normal(size=(m, 2))
    seen = (hidden @ loadings + (2.0 if weak else 0.5) * rng.normal(size=(m, p)))[at]
    hidden = hidden[at]
    t = (rng.random(n) < 1 / (1 + np.exp(-strength * hidden[:, 0]))).astype(np.int32)
    shared = 0.0 if groups is None else rng.normal(size=m)[at]
    y = t * (1 + 0.3 * hidden[:, 1]) + hidden.sum(axis=1) + shared + rng.normal(size=n)
    made = {f"e{j:03d}": Column(f"e{j:03d}", "continuous", np.ascontiguousarray(seen[:, j])) for j in range(p)}
    made |= {"t": Column("t", "binary", t, (0, 1)), "y": Column("y", "continuous", y),
             "key": Column("key", "count", at.astype(float))}
    return Table(MappingProxyType(made), n)


def spec_of(table, **changes):
    names = tuple(name for name in table.names if name.startswith("e"))
    return Spec("adjustment", ("t",), ("y",), controls=names).replace(**changes)


def bench():
    """The module of the bench, which makes the images."""
    found = importlib.util.spec_from_file_location("frontier", BENCH)
    assert found is not None and found.loader is not None
    module = sys.modules["frontier"] = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def codes(effect):
    return {w.code for w in effect.warnings}


@pytest.mark.parametrize(("n", "p", "quantity"), [(1000, 10, "ATE"), (1000, 10, "ATT"), (1000, 10, "ATC"),
                                                  (150, 200, "ATE")])
def test_near_the_truth_also_with_more_columns_than_rows(n, p, quantity):
    table = draw(np.random.default_rng(0), n, p)
    effect = estimate(table, spec_of(table, quantity=quantity), "embedding")
    assert abs(effect.estimate - 1) < 3 * effect.standard_error < 1.2
    assert effect.estimate < estimate(table, spec_of(table, controls=()), "difference").estimate
    assert {"predicted", "dimension_curve"} <= codes(effect) and "no_overlap" not in codes(effect)
    curve = effect.diagnostics["dimension_curve"]
    assert curve[-1]["estimate"] == effect.estimate and [c["components"] for c in curve][:3] == [1, 2, 4]
    assert effect.diagnostics["held_out_loss"] < effect.diagnostics["constant_loss"]


def test_rows_of_one_image_stay_together():
    table = draw(np.random.default_rng(1), 900, 16, groups=300)
    loose, named = estimate(table, spec_of(table), "embedding"), estimate(table, spec_of(table, cluster="key"),
                                                                         "embedding")
    assert "shared_embeddings" in codes(loose) and "shared_embeddings" not in codes(named)
    assert named.diagnostics["clusters"] == 300 and named.standard_error != loose.standard_error
    # An embedding that is noise but names its rows must not seem to predict them.
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(60, 40))[np.arange(600) % 60]
    t = (rng.random(60) < 0.5)[np.arange(600) % 60].astype(np.int32)
    made = {f"e{j:03d}": Column(f"e{j:03d}", "continuous", np.ascontiguousarray(noise[:, j])) for j in range(40)}
    made |= {"t": Column("t", "binary", t, (0, 1)), "y": Column("y", "continuous", t + rng.normal(size=600))}
    blind = Table(MappingProxyType(made), 600)
    effect = estimate(blind, spec_of(blind), "embedding")
    assert "nothing_predicted" in codes(effect)
    assert effect.diagnostics["held_out_loss"] > 0.99 * effect.diagnostics["constant_loss"]


def test_what_weakens_the_adjustment_is_said():
    table = draw(np.random.default_rng(3), 1500, 16, strength=2.5)
    effect = estimate(table, spec_of(table), "embedding")
    assert "extreme_chances" in codes(effect)
    rng = np.random.default_rng(4)  # the cause is spread over columns of little variance: every component moves on
    hidden = rng.normal(size=2000)
    x = rng.normal(size=(2000, 64)) * np.linspace(1.0, 0.99, 64) + 0.0
    push = x.sum(axis=1) / 8
    t = (rng.random(2000) < 1 / (1 + np.exp(-push))).astype(np.int32)
    made = {f"e{j:03d}": Column(f"e{j:03d}", "continuous", np.ascontiguousarray(x[:, j])) for j in range(64)}
    made |= {"t": Column("t", "binary", t, (0, 1)), "y": Column("y", "continuous", t + 2 * push + 0.3 * hidden)}
    spread = Table(MappingProxyType(made), 2000)
    assert "still_moving" in codes(estimate(spread, spec_of(spread), "embedding"))


@pytest.mark.parametrize(("code", "change"), [
    ("continuous_treatment", {"t": "dose"}), ("no_controls", {"controls": ()}), ("small_arm", {"t": "rare"}),
    ("too_few_clusters", {"cluster": "key"}), ("no_overlap", {"t": "decided"}),
])
def test_refusals(code, change):
    rng = np.random.default_rng(5)
    table = draw(rng, 400)
    first = table.numeric("e000")
    made = {"dose": Column("t", "continuous", rng.normal(size=400)),
            "rare": Column("t", "binary", (np.arange(400) < 5).astype(np.int32), (0, 1)),
            "decided": Column("t", "binary", (first > 0).astype(np.int32), (0, 1))}.get(change.get("t", ""))
    if made is not None:
        table = table.replace(made)
    if "cluster" in change:
        t = table.column("t").values
        key = np.where(t == 1, np.arange(400) % 2, np.arange(400)).astype(float)
        table = table.replace(Column("key", "count", key))
    answer = estimate(table, spec_of(table, **{k: v for k, v in change.items() if k != "t"}), "embedding")
    assert isinstance(answer, Refused) and answer.code == code and answer.remedy


def test_a_study_through_an_embedding():
    table = draw(np.random.default_rng(6), 300, 6)
    found = study(table, spec=spec_of(table), method="embedding").run()
    assert found.effect is not None and not [c for c in found.checks if "error" in c.numbers]


def test_finer_images_leave_less_confounding():
    """One set of the bench's images: the difference in means is off by more than .8, coarser images by more each."""
    frontier = bench()
    plain, estimates, flagged = frontier.images_by_resolution(0, 1500, 24, (1, 4, 8))
    assert plain - 1 > 0.8 and flagged
    assert abs(estimates[0] - 1) < 0.3 and (np.diff(np.abs(np.array(estimates) - 1)) > 0).all()


def coverage(n, p, sets, **changes):
    found = []
    for seed in range(sets):
        table = draw(np.random.default_rng([seed, n]), n, p, changes.get("groups"))
        effect = estimate(table, spec_of(table, cluster="key" if "groups" in changes else None), "embedding", seed)
        found.append((effect.interval[0] <= 1 <= effect.interval[1], effect.estimate, effect.standard_error))
    hits, estimates, errors = np.array(found).T
    print(f"{n} x {p}: {hits.mean():.3f}, mean {estimates.mean():.3f}, "  # noqa: T201
          f"error {errors.mean():.3f} for a spread of {estimates.std():.3f}")
    return hits.mean()


def test_coverage_quick():
    """20 sets, of which more than three missed have a chance below 2 %."""
    assert coverage(200, 4, 20) >= 0.85


@pytest.mark.slow
@pytest.mark.parametrize(("n", "p", "changes"), [(600, 20, {}), (200, 300, {}), (800, 20, {"groups": 200})])
def test_coverage(n, p, changes):
    """300 sets (1.26 % Monte Carlo error)."""
    assert 0.925 <= coverage(n, p, 300, **changes) <= 0.975
