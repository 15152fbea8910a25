"""``discover`` on awkward data: a named warning or refusal, never a crash, a NaN or silent independence."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.data.table import Column, Table
from whence.discovery.discovery import Discovery, discover
from whence.discovery.independence import GaussianTests
from whence.discovery.pc import CARD, pc
from whence.graphs.knowledge import Knowledge
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian


def chain(n: int = 400, seed: int = 0) -> dict[str, np.ndarray]:
    """a --> b --> c, and d apart."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal(n)
    b = a + rng.standard_normal(n)
    return {"a": a, "b": b, "c": b + rng.standard_normal(n), "d": rng.standard_normal(n)}


def as_table(values: dict[str, np.ndarray], **others: Column) -> Table:
    columns = {n: Column(n, "continuous", np.array(v)) for n, v in values.items()} | others
    return Table(MappingProxyType(columns), len(next(iter(values.values()))))


def learn(table, **params) -> Discovery:
    found = discover(table, **params)
    assert isinstance(found, Discovery)
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert "NaN" not in text
    return found


def joined(found: Discovery) -> set[str]:
    return {"".join(sorted((a, b))) for a, _, b in found.graph.edges()}


def codes(found: Discovery) -> list[str]:
    return [remark.code for remark in found.warnings]


def test_a_chain() -> None:
    found = learn(as_table(chain()))
    assert joined(found) == {"ab", "bc"}
    assert codes(found) == []
    separated = found.evidence.of("c", "a")
    assert (separated.given, separated.test, separated.n, separated.present) == (("b",), "fisher_z", 400, False)
    assert separated.p_value > 0.01
    kept = found.evidence.of("a", "b")
    assert kept.present
    assert kept.p_value < 0.01
    assert len(found.evidence) == 6
    assert found.evidence[-1] == found.evidence[5] == found.evidence.of("c", "d")
    assert found.provenance.parameters["alpha"] == 0.01
    assert "a --- b" in repr(found)
    assert "<svg" in found._repr_html_()


def test_columns_that_cannot_be_nodes_are_named() -> None:
    n = 400
    table = as_table(
        chain(n),
        same=Column("same", "continuous", np.full(n, 3.0)),
        blank=Column("blank", "continuous", np.full(n, np.nan)),
        note=Column("note", "text", np.array(["hello"] * n, dtype=object)),
        day=Column("day", "datetime", np.arange(n).astype("datetime64[us]")),
        one=Column("one", "categorical", np.zeros(n, dtype=np.int32), ("x",)),
    )
    columns = {**table.columns, "id": Column("id", "count", np.arange(n) * 1.0)}
    table = Table(MappingProxyType(columns), n, {"unit": "id"})
    found = learn(table)
    assert joined(found) == {"ab", "bc"}
    assert {r.about[0]: r.code for r in found.warnings} == {
        "same": "constant_column", "blank": "empty_column", "note": "kind_left_out", "day": "kind_left_out",
        "one": "constant_column", "id": "role_left_out",
    }
    assert found.table["left_out"] == ["blank", "day", "id", "note", "one", "same"]


def test_repeated_columns() -> None:
    values = chain()
    found = learn(as_table({**values, "z": 5 - 2 * values["a"]}))
    assert joined(found) == {"ab", "bc"}
    assert [(r.code, r.about) for r in found.warnings] == [("repeated_column", ("z", "a"))]


def test_repeated_categories_under_other_labels() -> None:
    rng = np.random.default_rng(0)
    g = rng.integers(0, 3, 300).astype(np.int32)
    table = Table(MappingProxyType({
        "g": Column("g", "categorical", g, ("x", "y", "z")),
        "h": Column("h", "ordinal", ((g + 1) % 3).astype(np.int32), (1, 2, 3)),
        "k": Column("k", "binary", ((g > 0) ^ (rng.random(300) < 0.1)).astype(np.int32), (0, 1)),
    }), 300)
    found = learn(table)
    assert [(r.code, r.about) for r in found.warnings] == [("repeated_column", ("h", "g"))]
    assert joined(found) == {"gk"}


def test_exact_collinearity_is_told_and_removes_no_edge() -> None:
    values = chain()
    found = learn(as_table({**values, "e": values["a"] + values["d"]}))
    assert [(r.code, r.about) for r in found.warnings] == [("collinear_columns", ("e", "a", "d"))]
    assert {"ae", "de"} <= joined(found)
    # Three columns of which any two determine the third, all of them related: nothing separates them.
    found = learn(as_table({**values, "e": values["a"] + values["b"]}))
    assert {"ab", "ae", "be"} <= joined(found)
    remark = next(r for r in found.warnings if r.code == "impossible_tests")
    assert remark.evidence["pairs"] == [["b", "c"]]  # given a and e, which determine b


def test_nearly_the_same_column() -> None:
    values = chain()
    found = learn(as_table({**values, "z": values["a"] + 1e-7 * values["d"]}))
    assert "az" in joined(found)
    assert {"collinear_columns", "impossible_tests"} <= set(codes(found))


@pytest.mark.parametrize("n", [0, 1, 3, 9])
def test_too_few_rows_are_refused(n: int) -> None:
    found = discover(as_table({k: v[:n] for k, v in chain().items()}))
    assert isinstance(found, Refused)
    assert not found
    assert found.code in ("too_few_rows", "too_few_columns")
    assert found.remedy


def test_few_rows_and_many_columns() -> None:
    table = linear_gaussian(random_dag(30, 3, 0), 0).sample(20, 0)
    found = learn(table)
    assert {"low_power", "fewer_rows_than_columns"} <= set(codes(found))


def test_one_column_is_refused() -> None:
    found = discover(as_table({"a": chain()["a"], "b": np.ones(400)}))
    assert isinstance(found, Refused)
    assert found.code == "too_few_columns"
    assert "same value" in found.evidence["left_out"]["b"]


def test_missing_values_are_left_out_test_by_test() -> None:
    values = chain(1000)
    rng = np.random.default_rng(3)
    for name in values:
        values[name][rng.random(1000) < 0.2] = np.nan
    found = learn(as_table(values))
    assert joined(found) == {"ab", "bc"}
    remark = found.warnings[0]
    assert remark.code == "missing_values"
    assert remark.evidence["complete_rows"] < 500
    for edge in found.evidence:  # each variable of a test is there in four rows out of five
        assert edge.n == pytest.approx(1000 * 0.8 ** (2 + len(edge.given)), rel=0.1)


def test_columns_never_seen_together_are_not_called_independent() -> None:
    values = chain(600)
    values["a"][:300] = np.nan
    values["d"][300:] = np.nan
    found = learn(as_table(values))
    assert "ad" in joined(found)
    edge = found.evidence.of("a", "d")
    assert edge.p_value is None
    assert edge.test is None
    remark = next(r for r in found.warnings if r.code == "impossible_tests")
    assert ["a", "d"] in remark.evidence["never_tested"]


def test_sparse_categories_are_not_called_independent() -> None:
    """Sixty levels seen once each leave no degree of freedom once anything is held fixed."""
    rng = np.random.default_rng(0)
    g = rng.integers(0, 2, 60).astype(np.int32)
    table = Table(MappingProxyType({
        "g": Column("g", "binary", g, (0, 1)),
        "h": Column("h", "binary", (g ^ (rng.random(60) < 0.1)).astype(np.int32), (0, 1)),
        "id": Column("id", "categorical", np.arange(60, dtype=np.int32), tuple(range(60))),
    }), 60)
    found = learn(table)
    assert "gh" in joined(found)
    assert any("id" in pair for r in found.warnings if r.code == "impossible_tests" for pair in r.evidence["pairs"])


def test_extreme_numbers() -> None:
    values = chain()
    scaled = {"a": values["a"] * 1e180, "b": values["b"] * 1e-180, "c": values["c"] + 1e9, "d": values["d"]}
    assert joined(learn(as_table(scaled))) == {"ab", "bc"}


def test_stability_is_seeded_and_the_same_at_any_order_and_executor() -> None:
    table = as_table(chain())
    one = learn(table, stability=20, seed=4)
    with ThreadPoolExecutor(4) as pool:
        two = learn(table.select(["d", "c", "b", "a"]), stability=20, seed=4, executor=pool)
    assert one.stability is not None
    assert one.stability.to_dict() == two.stability.to_dict()
    assert one.stability[("a", "b")] == 1.0
    assert one.stability.of("b", "a").undirected > 0.5
    assert one.stability.to_dict() != learn(table, stability=20, seed=5).stability.to_dict()
    with pytest.raises(KeyError):
        one.stability[("a", "d")]
    assert "opacity" in one._repr_html_()


def test_bootstrap_samples_in_which_a_column_is_constant() -> None:
    values = chain(40)
    rare = np.zeros(40, dtype=np.int32)
    rare[0] = 1
    table = as_table({k: values[k] for k in "ab"}, r=Column("r", "binary", rare, (0, 1)))
    found = learn(table, stability=20, alpha=0.05, knowledge=Knowledge(tiers=(("a",), ("b", "r"))))
    assert found.stability is not None


def test_progress_is_told() -> None:
    class Told:
        def __init__(self) -> None:
            self.labels, self.open, self.steps = [], 0, 0

        def begin(self, label: str, total: int | None = None) -> None:
            self.labels.append((label, total))
            self.open += 1

        def step(self, count: int = 1) -> None:
            self.steps += count

        def end(self) -> None:
            self.open -= 1

    told = Told()
    learn(as_table(chain()), stability=3, progress=told)
    assert told.open == 0
    assert told.labels[0] == ("testing pairs given 0 others", 6)
    assert told.labels[-1] == ("bootstrap samples", 3)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"method": "magic"}, "unknown_method"),
        ({"alhpa": 0.1}, "unknown_parameter"),
        ({"alpha": 0}, "bad_parameter"),
        ({"alpha": "small"}, "bad_parameter"),
        ({"max_conditioning": -1}, "bad_parameter"),
        ({"stability": 2, "seed": -1}, "bad_seed"),
        ({"knowledge": {"tiers": []}}, "bad_parameter"),
        ({"knowledge": Knowledge(required=(("a", "zz"),))}, "unknown_node"),
        ({"knowledge": Knowledge(required=(("a", "same"),))}, "left_out"),
    ],
)
def test_bad_arguments(arguments, code: str) -> None:
    table = as_table({**chain(), "same": np.ones(400)})
    with pytest.raises(WhenceError) as error:
        discover(table, **arguments)
    assert error.value.code == code


def test_statements_about_columns_left_out_do_no_harm() -> None:
    table = as_table({**chain(), "same": np.ones(400)})
    known = Knowledge(tiers=(("same", "a"), ("b", "c", "d")), forbidden=(("d", "same"),))
    found = learn(table, knowledge=known)
    assert found.graph.edges()[0] == ("a", "-->", "b")


def test_max_conditioning() -> None:
    found = learn(as_table(chain()), max_conditioning=0)
    assert joined(found) == {"ab", "ac", "bc"}
    assert codes(found) == []


def test_hopeless_searches_are_cut_and_say_so() -> None:
    rng = np.random.default_rng(0)
    hub = rng.standard_normal((2000, 1))
    corr = np.corrcoef(hub + rng.standard_normal((2000, 12)), rowvar=False)
    names = tuple(f"x{i:02d}" for i in range(12))
    learned = pc(GaussianTests(corr, 2000, budget=500), names, None, CARD.checked({}))
    assert [r.code for r in learned.remarks] == ["search_cut"]
    assert learned.remarks[0].evidence == {"size": 1, "tests": 66 * 20.0}
    assert len(learned.graph.edges()) == 66
    # Asked for, the work is done.
    learned = pc(GaussianTests(corr, 2000, budget=500), names, None, CARD.checked({"max_conditioning": 2}))
    assert {len(e.given) for e in learned.evidence} == {2}
    assert not any(r.code == "search_cut" for r in learned.remarks)


def test_a_large_file_gives_the_same_graph_without_loading_it_whole(tmp_path, monkeypatch) -> None:
    from whence.data import largefile, load

    path = tmp_path / "big.csv"
    values = chain(1000)
    np.savetxt(path, np.column_stack(list(values.values())), delimiter=",", header="a,b,c,d", comments="")
    usual = learn(load.read(path))
    monkeypatch.setattr(load, "SMALL_FILE", 0)
    monkeypatch.setattr(largefile, "EAGER_CELLS", 0)
    table = load.read(path)
    assert table.backing is not None
    monkeypatch.setattr(Table, "matrix", None)
    found = learn(table)
    assert found.graph == usual.graph
    assert found.evidence.of("a", "c").p_value == pytest.approx(usual.evidence.of("a", "c").p_value)
