"""Selection along a known order on tables whose recipes skip machines."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.discovery.discovery import Discovery, discover
from whence.graphs.graph import ARROW
from whence.graphs.knowledge import Knowledge
from whence.simulate.recipes import Line, production_line
from whence.stats.family_moments import MOST_NUMBERS, FamilyMoments


def f1(found: object, line: Line, between: bool) -> float:
    """F1 of arrows; ``between``: only those from one machine to another."""
    assert isinstance(found, Discovery)
    machine = {n: k for k, group in enumerate(line.machines) for n in group}
    def arrows(graph):
        found = np.argwhere((graph.marks == ARROW) & (graph.marks.T != ARROW))
        pairs = {(graph.names[i], graph.names[j]) for i, j in found}
        return {(x, y) for x, y in pairs if not between or machine[x] != machine[y]}
    a, b = arrows(found.graph), arrows(line.graph)
    return 2 * len(a & b) / (len(a) + len(b))


@pytest.mark.parametrize(("missing", "total", "machines"), [(0.5, 0.90, 0.85), (0.7, 0.85, 0.80)])
def test_recipes(missing: float, total: float, machines: float) -> None:
    """Mean F1 over 3 lines of 50 sensors on 20 machines; every arrow with the whole order, arrows between machines
    with the order of the machines only."""
    by_order, by_machine = [], []
    for seed in range(3):
        line = production_line(seed=seed, missing=missing)
        order = Knowledge(tiers=tuple((n,) for n in line.graph.names))
        by_order.append(f1(discover(line.table, "ordered_selection", order), line, False))
        by_machine.append(f1(discover(line.table, "ordered_selection", Knowledge(tiers=line.machines)), line, True))
    assert np.mean(by_order) >= total
    assert np.mean(by_machine) >= machines


@pytest.mark.parametrize("kept", [True, False])
def test_moments_of_a_family_are_those_of_its_complete_rows(kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whence.stats.family_moments.MOST_NUMBERS", MOST_NUMBERS if kept else 0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 5)) @ rng.standard_normal((5, 5)) + 7
    x[rng.random(x.shape) < 0.2] = np.nan
    moments = FamilyMoments.of(x)
    assert (moments.products is not None) == kept
    for columns in ((0,), (1, 2), (4, 0, 3), (0, 1, 2, 3, 4)):
        own = x[:, columns][~np.isnan(x[:, columns]).any(axis=1)]
        cov, n = moments.covariance(columns)
        assert n == len(own) == moments.rows(columns)
        scale = np.nanstd(x[:, columns], axis=0)
        np.testing.assert_allclose(cov, np.atleast_2d(np.cov(own.T, bias=True)) / np.outer(scale, scale), rtol=1e-9)
    covs, rows = moments.covariances((1, 3), (0, 2, 4))
    for k, z in enumerate((0, 2, 4)):
        one, n = moments.covariance((1, 3, z))
        np.testing.assert_allclose(covs[k], one, rtol=1e-9)
        assert rows[k] == n


def test_the_order_within_a_tier_is_found_up_to_what_the_data_can_say() -> None:
    """a -> c <- b in one tier: the collider is the only DAG of its class."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 2000))
    c = a + b + rng.standard_normal(2000)
    c[:900] = np.nan
    found = discover({"a": a, "b": b, "c": c}, "ordered_selection")
    assert isinstance(found, Discovery)
    assert tuple(found.graph.edges()) == (("a", "-->", "c"), ("b", "-->", "c"))
    assert found.evidence.of("a", "c").loss > 100
    assert next(r for r in found.warnings if r.code == "rows_per_family").evidence["most"] == 1100


def test_knowledge_is_kept_and_column_order_does_not_matter() -> None:
    line = production_line(2000, 1, sensors=12, machines=6, recipes=8, edges=14)
    first, last = line.graph.names[0], line.graph.names[-1]
    arrow = next((a, b) for a, e, b in line.graph.edges() if e == "-->")
    known = Knowledge(tiers=line.machines, required=((first, last),), forbidden=(arrow,))
    one = discover(line.table, "ordered_selection", known)
    other = discover(line.table.select(tuple(reversed(line.table.names))), "ordered_selection", known)
    assert isinstance(one, Discovery) and isinstance(other, Discovery)
    assert not known.check(one.graph) and one.graph == other.graph
    assert (first, "-->", last) in one.graph.edges() or (last, "<--", first) in one.graph.edges()


def test_what_cannot_be_asked_is_refused_or_said() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 10))
    data = {f"v{k}": x[:, k] for k in range(10)}
    for known in (None, Knowledge(tiers=(("v0", "v1"), ("v2",)))):
        with pytest.raises(WhenceError) as error:
            discover(data, "ordered_selection", known)
        assert error.value.code == "order_needed"
    with pytest.raises(WhenceError) as error:
        discover({"a": x[:, 0], "b": ["x", "y"] * 200}, "ordered_selection")
    assert error.value.code == "wrong_kind"
    x[:200, 0], x[200:, 1] = np.nan, np.nan
    x[:, 3] = x[:, 2] * 2 + x[:, 4]  # exact
    order = Knowledge(tiers=tuple((n,) for n in data))
    found = discover(data, "ordered_selection", order)
    assert isinstance(found, Discovery)
    assert ["v0", "v1"] in next(r for r in found.warnings if r.code == "never_together").evidence["pairs"]
    with pytest.raises(WhenceError) as error:
        production_line(10, machines=3, sensors=2)
    assert error.value.code == "bad_parameter"


def test_causes_hidden_by_exact_relations_are_said() -> None:
    rng = np.random.default_rng(6)
    a, b, noise = rng.standard_normal((3, 500))
    data = {"a": a, "b": b, "both": a + b, "sum": 2 * a - b, "y": a + 2 * b + noise}
    known = Knowledge(tiers=(("a",), ("b",), ("both",), ("sum",), ("y",)))
    told = {r.code: r for r in discover(data, "ordered_selection", known).warnings}
    cases = told["determined_cause"].evidence["cases"]
    assert {z for z, y, *_ in cases if y == "y"} >= {"a", "b", "both", "sum"} - set(cases[-1][2:])
    assert {row[1] for row in told["exact_relation"].evidence["cases"]} >= {"both"}
    plain = discover({"a": a, "b": b, "y": a + noise}, "ordered_selection", Knowledge(tiers=(("a",), ("b",), ("y",))))
    assert not {r.code for r in plain.warnings} & {"determined_cause", "exact_relation"}
