"""Missing values in discovery: what they depend on, and the correction for it."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.data.load import read
from whence.discovery.discovery import Discovery, discover
from whence.discovery.gaps import GapTests
from whence.discovery.independence import Lists
from whence.discovery.missingness import causes_of_missing

TRUE = {("v", "z"), ("x", "z"), ("w", "x"), ("w", "y")}


def collider_driven(seed: int, n: int = 1000, chain: bool = False) -> dict[str, np.ndarray]:
    """v -> z <- x -> w <- y; y is missing where w is large, and with ``chain`` w is missing where z is large."""
    rng = np.random.default_rng(seed)
    x, y, v = rng.standard_normal((3, n))
    w = x + y + 0.7 * rng.standard_normal(n)
    z = 0.8 * v + 0.6 * x + rng.standard_normal(n)
    data = {"v": v, "w": w.copy(), "x": x, "y": y.copy(), "z": z}
    data["y"][w + 0.5 * rng.standard_normal(n) > 0] = np.nan
    if chain:
        data["w"][z + 0.5 * rng.standard_normal(n) > 0.5] = np.nan
    return data


def edges(found: object) -> set[tuple[str, ...]]:
    assert isinstance(found, Discovery)
    return {tuple(sorted((a, b))) for a, _, b in found.graph.edges()}


def test_over_100_sets_the_correction_removes_the_edges_that_selection_makes() -> None:
    """Test-wise deletion joins x and y, causes of what decides that y is missing, in every set; MVPC in none."""
    extra, lost = {"testwise": 0, "mvpc": 0}, {"testwise": 0, "mvpc": 0}
    for seed in range(100):
        data = collider_driven(seed)
        for how in extra:
            found = edges(discover(data, missing=how))
            extra[how] += len(found - TRUE)
            lost[how] += len(TRUE - found)
    assert extra["testwise"] == 100 and lost["testwise"] == 0
    assert extra["mvpc"] <= 3 and lost["mvpc"] <= 3  # measured: 0 and 0


@pytest.mark.parametrize("chain", [False, True])
def test_the_corrected_test_keeps_its_level(chain: bool) -> None:
    """500 sets: rejections at 5 % within three Monte Carlo standard errors (1 %) of it; uncorrected all reject."""
    pair = np.array([[2, 3]], dtype=np.int32)
    causes = {"y": ["w"], "w": ["z"]} if chain else {"y": ["w"]}
    plain, corrected = 0, 0
    for seed in range(500):
        tests = GapTests.of(np.column_stack(list(collider_driven(seed, chain=chain).values())))
        plain += tests.level(Lists.none(5), pair, 0, 0.05).p_value[0] < 0.05
        corrected += tests.corrected("vwxyz", causes).level(Lists.none(5), pair, 0, 0.05).p_value[0] < 0.05
    assert plain > 490
    assert abs(corrected - 25) <= 15


def test_without_dependence_the_corrected_test_says_what_the_plain_one_says() -> None:
    """Values missing completely at random: correcting for a column that plays no part changes little."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2000, 4))
    x[:, 1] += x[:, 0]
    x[rng.random(2000) < 0.1, 0] = np.nan
    tests = GapTests.of(x)
    pairs = np.array([[0, 1], [0, 2]], dtype=np.int32)
    plain = tests.level(Lists.none(4), pairs, 0, 0.05)
    fixed = tests.corrected("abcd", {"a": ["d"]}).level(Lists.none(4), pairs, 0, 0.05)
    np.testing.assert_allclose(fixed.statistic, plain.statistic, rtol=0.02, atol=0.02)


def test_what_missingness_depends_on_is_found_named_and_advised() -> None:
    found = discover(collider_driven(1))
    told = next(r for r in found.warnings if r.code == "missing_not_at_random")
    assert told.evidence["causes"] == {"y": ["w"]} and "missing='mvpc'" in told.text
    assert {r.code for r in discover(collider_driven(1), missing="mvpc").warnings} >= {"missing_corrected"}
    found = causes_of_missing(read(collider_driven(1, chain=True)), tuple("vwxyz"), 0.01)
    assert found is not None and found.causes == {"w": ("z",), "y": ("w",)}


def test_chance_names_causes_in_few_columns_without_any() -> None:
    """At alpha .05 a column missing at random is given causes with probability at most .05; 400 columns."""
    named = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((300, 8)) @ np.triu(rng.standard_normal((8, 8)))
        x[rng.random(x.shape) < 0.2] = np.nan
        found = causes_of_missing(read({f"v{k}": x[:, k] for k in range(8)}), tuple(f"v{k}" for k in range(8)), 0.05)
        assert found is not None
        named += len(found.causes)
    assert named <= 20 + 3 * 4.4


def test_categories_are_told_about_but_not_corrected() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 2000)
    b = np.where(rng.random(2000) < 0.3, a, rng.integers(0, 3, 2000)).astype(object)
    c = rng.integers(0, 2, 2000)
    b[(c == 1) & (rng.random(2000) < 0.6)] = None
    data = {"a": np.array([f"a{k}" for k in a]), "b": [None if k is None else f"b{k}" for k in b],
            "c": np.array([f"c{k}" for k in c])}
    found = discover(data)
    assert isinstance(found, Discovery)
    told = next(r for r in found.warnings if r.code == "missing_not_at_random")
    assert told.evidence["causes"] == {"b": ["c"]}
    with pytest.raises(WhenceError) as error:
        discover(data, missing="mvpc")
    assert error.value.code == "wrong_kind"


def test_columns_missing_together_and_pairs_never_seen() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((600, 6))
    x[:, 2] += x[:, 1]
    x[:250, 0], x[:250, 1], x[250:, 2] = np.nan, np.nan, np.nan
    data = {f"v{k}": x[:, k] for k in range(6)}
    for how in ("testwise", "mvpc"):
        found = discover(data, missing=how)
        assert isinstance(found, Discovery)
        told = next(r for r in found.warnings if r.code == "impossible_tests")
        assert ["v1", "v2"] in told.evidence["never_tested"]
        assert found.evidence.of("v1", "v2").present and found.evidence.of("v1", "v2").p_value is None


def test_complete_numbers_and_names_do_not_matter() -> None:
    data = collider_driven(3)
    names = list(data)
    one = discover(data, missing="mvpc")
    other = discover({n: data[n] for n in reversed(names)}, missing="mvpc")
    assert isinstance(one, Discovery) and isinstance(other, Discovery) and one.graph == other.graph
    full = {n: np.nan_to_num(v) for n, v in data.items()}
    assert edges(discover(full, missing="mvpc")) == edges(discover(full))


def test_gaps_that_depend_on_each_other_in_a_circle_are_told() -> None:
    """b is missing where a is large and a where b is; each by values of the other that are often seen."""
    rng = np.random.default_rng(1)
    a, b, c = rng.standard_normal((3, 4000))
    lost = [(other > 0.8) & (rng.random(4000) < 0.8) for other in (b, a)]
    data = {"a": np.where(lost[0], np.nan, a), "b": np.where(lost[1] & ~lost[0], np.nan, b), "c": c}
    data["a"][(b < -0.8) & (rng.random(4000) < 0.5)] = np.nan
    told = {r.code: r for r in discover(data, missing="mvpc").warnings}
    assert told["missing_corrected"].evidence["causes"] == {"a": ["b"], "b": ["a"]}
    assert told["missing_circle"].about == ("a", "b")
    assert "missing_circle" not in {r.code for r in discover(collider_driven(1), missing="mvpc").warnings}


def test_what_cannot_be_asked_or_corrected_is_said() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal(500)
    data = {"x": np.where(rng.random(500) < 0.2, np.nan, x), "y": x + rng.standard_normal(500)}
    told = {r.code: r.text for r in discover(data, missing="mvpc").warnings}
    assert "decides itself" in told["missing_nothing_to_correct"]
    mixed = data | {"group": np.where(rng.random(500) < 0.5, "one", "two")}
    assert "missing_not_examined" in {r.code for r in discover(mixed).warnings}
    with pytest.raises(WhenceError) as error:
        discover(mixed, missing="mvpc")
    assert error.value.code == "wrong_kind" and "numbers" in str(error.value)
