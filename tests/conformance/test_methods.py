"""What every registered method owes: a full card, checked parameters, and answers that repeat, travel and survive
bad data. A new method is covered the day its file appears."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.registry import PACKAGES, find_card, load_function, methods
from whence.core.result import Refused, to_plain
from whence.data.load import read
from whence.data.table import KINDS, Table
from whence.discovery.discovery import discover
from whence.estimation.bounds import bounds
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

CARDS = methods()
Runner = Callable[..., Any]


def label(card: Card) -> str:
    return f"{card.task}/{card.name}"


every_card = pytest.mark.parametrize("card", CARDS, ids=label)
every_parameter = pytest.mark.parametrize(
    "card, parameter", [(c, p) for c in CARDS for p in c.parameters],
    ids=[f"{label(c)}-{p.name}" for c in CARDS for p in c.parameters],
)


def close(a: Any, b: Any) -> bool:
    """Equal JSON-ready values, numbers up to the rounding that another order of summation brings."""
    if isinstance(a, bool) or isinstance(b, bool) or not isinstance(a, (int, float)):
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
        if isinstance(a, list) and isinstance(b, list):
            return len(a) == len(b) and all(map(close, a, b))
        return type(a) is type(b) and a == b
    return isinstance(b, (int, float)) and bool(np.isclose(a, b, rtol=1e-6, atol=1e-9))


def test_every_task_has_a_method() -> None:
    assert {card.task for card in CARDS} == set(PACKAGES)


@every_card
def test_card_is_full(card: Card) -> None:
    assert card.name.isidentifier() and card.name == card.name.lower()
    assert set(card.data_kinds) <= set(KINDS) and card.data_kinds
    for text in (card.title, card.summary, card.output, card.cost):
        assert text.strip()
    assert card.assumptions and card.citations
    assert all(sentence.strip().endswith(".") for sentence in card.assumptions)
    assert len({p.name for p in card.parameters}) == len(card.parameters)
    for parameter in card.parameters:
        assert parameter.meaning.strip() and parameter.allowed()
        assert parameter.checked(parameter.default, card.name) == parameter.default
    assert callable(load_function(card)) and (load_function(card).__doc__ or "").strip()
    assert find_card(card.task, card.name) is card


@every_card
def test_unknown_parameter_is_refused(card: Card, table: Table, run: Runner) -> None:
    if card.task == "independence_test":
        with pytest.raises(WhenceError):
            card.checked({"nonsense": 1})
        return
    with pytest.raises(WhenceError, match="nonsense") as caught:
        run(card, table, nonsense=1)
    assert caught.value.code == "unknown_parameter"


def wrong_values(parameter: Parameter) -> list[Any]:
    wrong: list[Any] = [object(), [1], {"a": 1}]
    if parameter.kind in ("float", "int"):
        wrong += ["many", True, float("nan")]
        step = 0 if parameter.open_ends else 1
        wrong += [] if parameter.low is None else [parameter.low - step]
        wrong += [] if parameter.high is None else [parameter.high + step]
        wrong += [2.5] if parameter.kind == "int" else []
    else:
        wrong += [3, 2.5] + ([] if parameter.kind == "str" else ["no such choice"])
    return wrong if parameter.optional else [*wrong, None]


@every_parameter
def test_wrong_parameter_is_refused_with_what_is_allowed(
    card: Card, parameter: Parameter, table: Table, run: Runner
) -> None:
    for value in wrong_values(parameter):
        with pytest.raises(WhenceError, match=parameter.name) as caught:
            run(card, table, **{parameter.name: value})
        assert caught.value.code == "bad_parameter" and caught.value.allowed, value


@every_card
def test_answer_travels_as_json(card: Card, answer: Runner) -> None:
    plain = answer(card)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


@every_card
def test_same_seed_same_answer_whatever_the_global_random_state(
    card: Card, table: Table, run: Runner, answer: Runner
) -> None:
    first = answer(card)
    np.random.seed(1)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert to_plain(run(card, table)) == first
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


@every_card
def test_order_of_the_columns_does_not_matter(
    card: Card, reversed_table: Table, run: Runner, answer: Runner
) -> None:
    assert close(answer(card), to_plain(run(card, reversed_table)))


def answers_with_threads(threads: int) -> dict[str, Any]:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    program = Path(__file__).with_name("conftest.py")
    ran = subprocess.run(
        [sys.executable, str(program), str(threads)], capture_output=True, text=True, timeout=300,
        env=os.environ | dict.fromkeys(names, str(threads)),
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_the_number_of_threads_does_not_matter() -> None:
    one, two = answers_with_threads(1), answers_with_threads(2)
    assert set(one) == {label(card) for card in CARDS}
    assert not [name for name in one if not close(one[name], two[name])]


# Tables that no method can do much with. Each must give a refusal, a clear error, or a finite answer.
N = 60
RNG = np.random.default_rng(2)
NOISE = {name: RNG.normal(size=N) for name in ("age", "income", "score")}
HALF = np.arange(N) % 2
BAD: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "constant treatment": ({**NOISE, "dose": np.ones(N)}, {"dose": "binary"}),
    "constant outcome": ({**NOISE, "dose": HALF, "score": np.ones(N)}, {}),
    "constant control": ({**NOISE, "dose": HALF, "age": np.ones(N)}, {}),
    "treatment all missing": ({**NOISE, "dose": np.full(N, np.nan)}, {}),
    "outcome all missing": ({**NOISE, "dose": HALF, "score": np.full(N, np.nan)}, {}),
    "no complete row": ({**NOISE, "dose": HALF, "age": np.where(HALF, np.nan, 1.0),
                         "income": np.where(HALF, 1.0, np.nan)}, {}),
    "three rows": ({k: v[:3] for k, v in {**NOISE, "dose": HALF}.items()}, {}),
    "one row": ({k: v[:1] for k, v in {**NOISE, "dose": HALF}.items()}, {}),
    "control determines treatment": ({**NOISE, "dose": HALF, "age": HALF * 10.0}, {}),
    "control is the outcome": ({**NOISE, "dose": HALF, "age": NOISE["score"]}, {}),
    "huge and tiny": ({**NOISE, "dose": HALF, "age": NOISE["age"] * 1e150, "score": NOISE["score"] * 1e-150}, {}),
    "text outcome": ({**NOISE, "dose": HALF, "score": [f"words of row {i}" for i in range(N)]}, {"score": "text"}),
    "text treatment": ({**NOISE, "dose": [f"words of row {i}" for i in range(N)]}, {"dose": "text"}),
    "dates for treatment": ({**NOISE, "dose": np.datetime64("2020-01-01") + np.arange(N)}, {}),
    "dates for a control": ({**NOISE, "dose": HALF, "age": np.datetime64("2020-01-01") + np.arange(N)}, {}),
    "a level for every row": ({**NOISE, "dose": HALF, "age": [f"id{i}" for i in range(N)]}, {"age": "categorical"}),
    "a treatment level for every row": ({**NOISE, "dose": [f"id{i}" for i in range(N)]}, {"dose": "categorical"}),
    "one treated row": ({**NOISE, "dose": (np.arange(N) == 0).astype(int)}, {}),
}
BAD_SPEC = Spec("adjustment", ("dose",), ("score",), controls=("age", "income"))
BAD_SPECS = {
    "iv": Spec("iv", ("dose",), ("score",), controls=("income",), instruments=("age",)),
    "partially_linear_iv": Spec("iv", ("dose",), ("score",), controls=("income",), instruments=("age",)),
    "mediation": Spec("adjustment", ("dose",), ("score",), quantity="NIE", mediators=("age",), controls=("income",)),
    "restricted_mean": Spec("adjustment", ("dose",), ("income",), quantity="RMST", event="age", controls=("score",)),
    "longitudinal": Spec("longitudinal", ("dose", "age"), ("score",), histories=((), ("income",))),
    "late": Spec("iv", ("dose",), ("score",), controls=("income",), instruments=("age",)),
    "invalid_instrument": Spec("iv", ("score",), ("age",), controls=("income",), instruments=("dose",)),
    "frontdoor": Spec("frontdoor", ("dose",), ("score",), mediators=("age",), controls=("income",)),
    "plugin": Spec("id", ("dose",), ("score",), graph="dose --> age; income --> dose; income --> age; age --> score; "
                   "income --> score; dose <-> score"),
}
bad_tables = pytest.mark.parametrize("case", BAD)


def bad_table(case: str) -> Table | None:
    """None when reading refuses the table already, which is as good."""
    data, kinds = BAD[case]
    try:
        return read(data, kinds=kinds)
    except WhenceError as error:
        assert error.message and error.code
        return None


def kind_of_answer(call: Callable[[], Any]) -> Any:
    """The answer; an error must be ours and in words."""
    try:
        return call()
    except WhenceError as error:
        assert error.message.endswith((".", "?")) and error.code
        return None


@bad_tables
@pytest.mark.parametrize("card", methods("estimation"), ids=label)
def test_estimation_survives(card: Card, case: str) -> None:
    table = bad_table(case)
    if table is None:
        return
    answer = kind_of_answer(lambda: estimate(table, BAD_SPECS.get(card.name, BAD_SPEC), card.name))
    if isinstance(answer, Refused):
        assert answer.code and answer.reason.endswith(".")
    elif answer is not None:
        assert isinstance(answer, Effect)
        assert np.isfinite([answer.estimate, answer.standard_error, *answer.interval, answer.p_value]).all()
        json.dumps(to_plain(answer), allow_nan=False)


@bad_tables
@pytest.mark.parametrize("card", methods("bounds"), ids=label)
def test_bounds_survive(card: Card, case: str) -> None:
    table = bad_table(case)
    if table is None:
        return
    for controls in ((), ("age",)):
        spec = Spec("adjustment", ("dose",), ("score",), controls=controls)
        answer = kind_of_answer(lambda spec=spec: bounds(table, spec, card.name))
        if isinstance(answer, Refused):
            assert answer.code and answer.reason.endswith(".")
        elif answer is not None:
            assert np.isfinite([answer.lower, answer.upper, *answer.interval, *answer.standard_errors]).all()
            assert answer.lower <= answer.upper + 1e-12
            json.dumps(to_plain(answer), allow_nan=False)


@bad_tables
@pytest.mark.parametrize("card", methods("discovery"), ids=label)
def test_discovery_survives(card: Card, case: str) -> None:
    table = bad_table(case)
    answer = None if table is None else kind_of_answer(lambda: discover(table, card.name))
    if answer is not None:
        json.dumps(to_plain(answer), allow_nan=False)


@bad_tables
@pytest.mark.parametrize("card", methods("independence_test"), ids=label)
def test_independence_test_survives(card: Card, case: str) -> None:
    table = bad_table(case)
    if table is None:
        return
    for x, y, given in (("dose", "score", ()), ("age", "score", ("dose",)), ("age", "dose", ("score", "income"))):
        answer = kind_of_answer(lambda x=x, y=y, given=given: load_function(card)(table, x, y, given))
        if answer is not None:
            assert answer.p_value is None or 0 <= answer.p_value <= 1
            assert answer.possible or answer.remarks
            json.dumps(to_plain(answer), allow_nan=False)


@bad_tables
@pytest.mark.parametrize("card", methods("score"), ids=label)
def test_score_survives(card: Card, case: str) -> None:
    table = bad_table(case)
    answer = None if table is None else kind_of_answer(
        lambda: discover(table, "boss", score=card.name, starts=1, shakes=0))
    if answer is not None:
        json.dumps(to_plain(answer), allow_nan=False)


@bad_tables
@pytest.mark.parametrize("card", methods("check"), ids=label)
def test_check_survives(card: Card, case: str) -> None:
    table = bad_table(case)
    spec = Spec("adjustment", ("dose",), ("score",), controls=("age", "income"))
    effect = None if table is None else kind_of_answer(lambda: estimate(table, spec, "regression"))
    if effect:
        found = kind_of_answer(lambda: load_function(card)(table, effect))
        assert found is None or (found.verdict in ("pass", "worry", "informational") and found.saw)
        json.dumps(to_plain(found), allow_nan=False)


@pytest.mark.parametrize("strategy", ["rct", "adjustment"])
@pytest.mark.parametrize("card", methods("estimation"), ids=label)
def test_nothing_to_adjust_for_is_no_surprise(card: Card, strategy: Any, table: Table) -> None:
    answer = estimate(table, Spec(strategy, ("dose",), ("score",)), card.name)
    assert isinstance(answer, Effect) or answer.reason


@pytest.mark.parametrize("card", methods("estimation"), ids=label)
def test_an_unknown_column_is_named(card: Card, table: Table) -> None:
    with pytest.raises(WhenceError, match="incme") as caught:
        estimate(table, Spec("adjustment", ("dose",), ("score",), controls=("incme",)), card.name)
    assert "'income'" in str(caught.value.hint)
