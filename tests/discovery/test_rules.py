"""The choices of PC: how common effects are told apart, and which test is asked."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.data.table import Column, Table
from whence.discovery.columns import prepare
from whence.discovery.discovery import Discovery, discover
from whence.discovery.discrete import DiscreteTests
from whence.discovery.independence import EachTest, GaussianTests
from whence.discovery.pc import CARD, pc
from whence.graphs.transform import to_cpdag
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian
from whence.simulate.networks import random_network

RULES = ("max_p", "majority", "conservative")


def learn(table, **params) -> Discovery:
    found = discover(table, **params)
    assert isinstance(found, Discovery)
    return found


def verdict(rule: str, inside: int, outside: int) -> bool | None:
    """By the rule's definition; None for no verdict."""
    if inside + outside == 0:
        return None
    if rule == "majority":
        share = inside / (inside + outside)
        return None if share == 0.5 else share < 0.5
    return None if inside and outside else inside == 0


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(15))
def test_every_rule_finds_the_true_class_in_the_population(seed: int, rule: str) -> None:
    dag = random_dag(7, 2.5, seed)
    names = tuple(sorted(dag.names))
    model = linear_gaussian(dag, seed)
    order = np.argsort(dag.names)
    cov = model.covariance[np.ix_(order, order)]
    scale = np.sqrt(np.diag(cov))
    tests = GaussianTests(np.ascontiguousarray(cov / np.outer(scale, scale)), 10**12)
    learned = pc(tests, names, None, CARD.checked({"colliders": rule}))
    assert learned.graph == to_cpdag(dag)


@pytest.mark.parametrize("rule", ["majority", "conservative"])
@pytest.mark.parametrize("seed", range(8))
def test_verdicts_follow_the_definition_and_doubt_is_told(seed: int, rule: str) -> None:
    found = learn(linear_gaussian(random_dag(12, 4, seed), seed).sample(120, seed), alpha=0.1, colliders=rule)
    seen = set()
    for t in found.triples:
        by_definition = verdict(rule, t.separating_with, t.separating_without)
        seen.add(t.status)
        if t.status == "clear":
            assert t.collider == by_definition
        elif t.status == "ambiguous":
            assert by_definition is None
        else:
            assert t.status == "overruled" and by_definition is not None and t.collider != by_definition
    count = sum(t.status == "ambiguous" for t in found.triples)
    told = [r.evidence["count"] for r in found.warnings if r.code == "ambiguous_orientation"]
    assert told == ([count] if count else [])


def test_the_evidence_of_triples_is_a_sequence() -> None:
    found = learn(linear_gaussian(random_dag(12, 3, 2), 2).sample(300, 2))
    triples = list(found.triples)
    assert found.triples[0] == triples[0]
    assert found.triples[-1] == triples[-1]
    assert found.triples[:2] == tuple(triples[:2])
    with pytest.raises(IndexError):
        found.triples[len(triples)]


def test_a_test_by_name() -> None:
    numbers = linear_gaussian(random_dag(6, 2, 1), 1).sample(400, 1)
    usual, named, other = learn(numbers), learn(numbers, test="fisher_z"), learn(numbers, test="gcm")
    assert usual.graph == named.graph
    assert {e.test for e in usual.evidence} == {"fisher_z"}
    assert {e.test for e in other.evidence} == {"gcm"}
    assert other.provenance.parameters["test"] == "gcm"
    words = random_network(random_dag(5, 2, 1), 1).sample(400, 1)
    assert learn(words).graph == learn(words, test="chi2").graph
    for table, name, code in ((numbers, "chi2", "wrong_kind"), (words, "fisher_z", "wrong_kind"),
                              (numbers, "magic", "unknown_method")):
        with pytest.raises(WhenceError) as error:
            discover(table, test=name)
        assert error.value.code == code


def with_gaps(table: Table, seed: int, share: float) -> Table:
    rng = np.random.default_rng(seed)
    columns = {}
    for name in table.names:
        c = table.column(name)
        values = c.values.copy()
        values[rng.random(len(values)) < share] = -1
        columns[name] = Column(name, c.kind, values, c.levels)
    return Table(MappingProxyType(columns), len(table))


@pytest.mark.parametrize("seed", range(4))
def test_counting_in_the_kernel_agrees_with_one_test_at_a_time(seed: int) -> None:
    """Also with missing values, and where rows repeat so often that they are merged."""
    table = random_network(random_dag(6, 2.5, seed), seed, levels=(2, 2 + seed % 3)).sample(600, seed)
    table = with_gaps(table, seed, 0.05 if seed % 2 else 0.0)
    prepared = prepare(table, 0.05)
    assert isinstance(prepared.tests, DiscreteTests)
    if seed % 3 == 0:
        assert prepared.tests.codes.shape[1] < 600
        assert prepared.tests.weight.sum() == 600
    each = EachTest(table, prepared.names)
    fast, slow = (pc(t, prepared.names, None, CARD.checked({"alpha": 0.05})) for t in (prepared.tests, each))
    assert fast.graph == slow.graph
    for one, two in zip(fast.evidence, slow.evidence, strict=True):
        assert (one.given, one.present, one.n, one.df) == (two.given, two.present, two.n, two.df)
        assert one.test == two.test == "chi2"
        assert one.p_value == pytest.approx(two.p_value, rel=1e-8, abs=1e-12)
    assert [(t.collider, t.status) for t in fast.triples] == [(t.collider, t.status) for t in slow.triples]


def categories(**codes: np.ndarray) -> Table:
    columns = {
        n: Column(n, "categorical", v.astype(np.int32), tuple(range(int(v.max()) + 1))) for n, v in codes.items()
    }
    return Table(MappingProxyType(columns), len(next(iter(codes.values()))))


def test_categories_never_seen_together_are_not_called_independent() -> None:
    rng = np.random.default_rng(0)
    a, b, c = (rng.integers(0, 3, 400) for _ in range(3))
    a[:200], b[200:] = -1, -1
    found = learn(categories(a=a, b=b, c=c))
    assert found.evidence.of("a", "b").present
    assert found.evidence.of("a", "b").p_value is None
    assert ["a", "b"] in next(r for r in found.warnings if r.code == "impossible_tests").evidence["never_tested"]


def test_an_empty_level_and_a_level_seen_once() -> None:
    rng = np.random.default_rng(1)
    a = rng.integers(0, 3, 500)
    b = np.where(rng.random(500) < 0.5, a, rng.integers(0, 3, 500))
    rare = np.where(np.arange(500) == 7, 5, rng.integers(0, 2, 500))  # levels 2, 3, 4 never, level 5 once
    found = learn(categories(a=a, b=b, rare=rare))
    assert {frozenset((x, y)) for x, _, y in found.graph.edges()} == {frozenset("ab")}
    assert found.evidence.of("a", "rare").df == 4  # three levels by the three that occur


@pytest.mark.parametrize("where", [0, 3, 9])
def test_constants_and_copies_among_many_numbers(where: int) -> None:
    rng = np.random.default_rng(where)
    values = {f"x{i}": rng.standard_normal(200) for i in range(10)}
    values[f"x{where}"] = np.full(200, 2.5)
    values["y"] = -3 * values["x5"] + 7
    values["z"] = values["x5"] * 1e-12
    found = learn(values)
    assert {r.about[0]: r.code for r in found.warnings} == {
        f"x{where}": "constant_column", "y": "repeated_column", "z": "repeated_column",
    }
    assert len(found.graph.names) == 9


def test_fewer_rows_than_the_largest_set() -> None:
    """Twelve rows: sets of nine or more leave no degree of freedom and are never tried."""
    table = linear_gaussian(random_dag(25, 8, 0), 0).sample(12, 0)
    found = learn(table, alpha=0.9)
    assert max(len(e.given) for e in found.evidence) <= 8
    assert {"low_power", "fewer_rows_than_columns"} <= {r.code for r in found.warnings}
