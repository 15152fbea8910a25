"""Which column is meant: the offer or the take-up, the later or the earlier, the group or the opinion."""

from __future__ import annotations

import pytest

from whence.studies.context import aims, glosses, said_of
from whence.studies.question import Reading, read_question
from whence.studies.words import descriptions

TRIAL = """Villages were drawn by lot for an offer of free bed nets.
net_offer: household was offered a free net
net_use: a member of the household actually slept under a net
fever_before: days with fever in the month before the study
fever_after: days with fever in the month after the study
likes_nets: opinion of nets, from 1 to 5
km: distance to the nearest clinic
hid: identifier of the household
"""
COLUMNS = ["net_offer", "net_use", "fever_before", "fever_after", "likes_nets", "km", "hid"]


def read(question: str, about: str = TRIAL, columns: list[str] = COLUMNS, **more: object) -> Reading:
    return read_question(question, columns, descriptions(about, columns), about, ["net_offer", "net_use"],
                         **more)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("question", "treatment"), [
    ("Do bed nets reduce days with fever?", "net_use"),
    ("What is the effect of sleeping under a net on fever?", "net_use"),
    ("What is the effect of being offered a net on fever?", "net_offer"),
    ("What is the effect of the offer of a net on fever?", "net_offer"),
])
def test_the_take_up_is_meant_unless_the_offer_is_named(question: str, treatment: str) -> None:
    reading = read(question)
    assert reading.treatment is not None
    assert reading.treatment.column == treatment
    assert reading.outcome is not None
    assert reading.outcome.column == "fever_after"


def test_the_earlier_measure_is_meant_when_the_words_say_so() -> None:
    reading = read("Does fever in the month before the study affect the use of nets?")
    assert reading.treatment is not None
    assert reading.treatment.column == "fever_before"


def test_rankings_hold_the_choice_first_and_the_offer_too() -> None:
    reading = read("Do bed nets reduce days with fever?")
    assert reading.treatment is not None and reading.outcome is not None
    assert [m.column for m in reading.ranked_treatments][:2] == ["net_use", "net_offer"]
    assert reading.ranked_pairs[0][:2] == (reading.treatment.column, reading.outcome.column)
    scores = [score for _, _, score in reading.ranked_pairs]
    assert scores == sorted(scores, reverse=True)
    assert {(m.column, m.role) for m in reading.mentions} >= {("net_offer", "assignment"), ("net_use", "take_up")}


def test_a_value_named_in_the_question_points_to_its_column() -> None:
    about = "region: where the shop is\nprice: price of a loaf\nweek: week"
    reading = read_question("Did the subsidy in Northland lower the price of bread?", ["price", "week"],
                            descriptions(about, ["region", "price", "week"]), about,
                            levels={"region": ["Northland", "Southland"]})
    assert reading.treatment is not None
    assert reading.treatment.column == "region"
    assert reading.contrast == ("Northland", "Southland")


def test_customary_names_help_where_no_word_fits() -> None:
    reading = read_question("What is the effect of home visits on test scores?", ["treatment", "y", "x1", "x2"], {})
    assert reading.treatment is not None and reading.outcome is not None
    assert (reading.treatment.column, reading.outcome.column) == ("treatment", "y")


def test_an_outcome_that_is_absent_is_not_made_up() -> None:
    assert read("Do bed nets raise school attendance?").outcome is None


def test_glosses_and_what_is_said_of_a_name() -> None:
    about = "A universal basic income (UBI) was tried. Act 7, passed in Ohio in 1990, taxed sugar.\nubi: gets it"
    assert glosses(about, "universal basic income", ()) == "UBI"
    assert glosses(about, "the UBI", ()) == "universal basic income"
    assert glosses(about, "income", ()) == ""
    assert "Ohio" in said_of(about, "Act 7", ())
    assert said_of(about, "Act 8 of parliament", ()) == ""


def test_aims_of_a_description() -> None:
    assert aims("The trial studies the effect of tea on sleep. Tea is a drink.") == [("tea", "sleep")]


def test_the_order_of_the_columns_does_not_matter() -> None:
    for question in ("Do bed nets reduce days with fever?", "Does distance affect the use of nets?"):
        assert read(question) == read(question, columns=COLUMNS[::-1])
