"""What can be asked of effects of people: each fold judged by what earlier ones taught, end to end."""

from __future__ import annotations

import json

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import to_plain
from whence.estimation.conditional import conditional
from whence.estimation.heterogeneity.people import Conditional
from whence.report.who_benefits import draw

LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "effect_learner": "linear"}
SPEC = {"strategy": "rct", "treatments": ["t"], "outcomes": ["y"], "controls": ["age", "site", "noise"]}


def trial(slope: float, seed: int = 0, n: int = 1500) -> dict[str, np.ndarray]:
    """Effect slope (age - 50) / 10, and half as much again at the site north."""
    rng = np.random.default_rng([seed, 3])
    age, site, t = rng.normal(50, 10, n), rng.choice(["north", "south"], n), rng.integers(2, size=n)
    effect = slope * ((age - 50) / 10 + 0.5 * (site == "north"))
    return {"t": t, "age": age, "site": site, "noise": rng.normal(size=n),
            "y": 0.05 * age + t * effect + rng.normal(size=n)}


@pytest.fixture(scope="module")
def found() -> Conditional:
    made = conditional(trial(1.0), SPEC, "dr_learner", **LINEAR)
    assert isinstance(made, Conditional)
    return made


def test_all_that_can_be_asked_finds_what_is_there(found: Conditional) -> None:
    assert found.rate().autoc.p_value < 1e-6
    assert found.groups(3).top_against_bottom.p_value < 1e-6
    assert found.uplift(cost=0.2).area.p_value < 1e-6
    line = {c.label: c for c in found.projection().slopes}
    assert line["age"].estimate == pytest.approx(0.1, abs=4 * line["age"].standard_error)
    assert abs(line["noise"].estimate) < 4 * line["noise"].standard_error
    by_site = found.within("site")
    assert [c.label for c in by_site.levels] == ["north", "south"]
    assert by_site.equal.p_value < 0.01
    rule = found.policy(depth=1)
    assert rule.rule.startswith("Treat where age is above ")
    assert rule.tree.at == pytest.approx(48, abs=4)
    for shown in (found.rate(), found.groups(3), found.uplift(cost=0.2), by_site, rule):
        assert draw(shown).startswith("<svg")
        json.dumps(to_plain(shown), allow_nan=False)


def test_who_is_most_affected(found: Conditional) -> None:
    traits = {t.name: t for t in found.traits(3)}
    assert traits["age"].most - traits["age"].least > 15
    assert traits["age"].difference.adjusted_p_value < 1e-6
    assert traits["noise"].difference.adjusted_p_value > 0.01
    assert [t.name for t in found.traits(3, columns=["age"])] == ["age"]
    with pytest.raises(WhenceError) as caught:
        found.traits(columns=["agee"])
    assert caught.value.code == "unknown_column"


def test_later_folds_teach_nothing(found: Conditional) -> None:
    """Other outcomes in the last fold change its scores but nobody's priority."""
    held = found.held_out()
    data = trial(1.0)
    last = held.rows[held.folds == held.folds.max()]
    data["y"][last] += np.random.default_rng(1).normal(0, 5, len(last))
    other = conditional(data, SPEC, "dr_learner", **LINEAR)
    again = other.held_out()
    assert (again.rows == held.rows).all()
    assert again.priorities == pytest.approx(held.priorities, abs=1e-9)
    assert not np.allclose(other.scores, found.scores)
    assert set(held.rows) | set(np.flatnonzero(~np.isin(np.arange(found.n), held.rows))) == set(range(found.n))
    assert found.held_out() is held


@pytest.mark.slow
def test_nothing_is_found_where_there_is_nothing() -> None:
    """200 trials with one effect for all: 2 to 9 % of orders beyond 1.96 (1.5 % Monte Carlo error)."""
    p = [conditional(trial(0.0, seed, 500), SPEC, "dr_learner", seed=seed, **LINEAR).rate().autoc.p_value
         for seed in range(200)]
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.09


def test_every_answer_reads_as_text(found: Conditional) -> None:
    assert str(found.rate()).startswith("AUTOC: ")
    assert "treating 100% gains" in str(found.uplift())
    assert "group 4 of 4, most affected: " in str(found.groups())
    assert "all levels alike: p" in str(found.within("site"))
    assert "all slopes zero: p" in str(found.projection())
    assert str(found.policy()).splitlines()[1].startswith("the rule against nobody: ")
    assert "among the least" in str(found.traits()[0])
