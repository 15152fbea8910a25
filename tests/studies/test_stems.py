"""Stems: forms of one word meet, different words stay apart."""

from __future__ import annotations

import pytest

from whence.studies.lexicon import abbreviations, synonyms
from whence.studies.stems import stem, tokens


@pytest.mark.parametrize(("a", "b"), [
    ("receive", "receiving"), ("participation", "participated"), ("electrification", "electrified"),
    ("assignment", "assigned"), ("programme", "program"), ("labour", "labor"), ("children", "kids"), ("men", "man"),
    ("died", "deaths"), ("spent", "spend"), ("sold", "sales"), ("two", "2"), ("third", "3"), ("counties", "county"),
    ("reoffending", "reoffended"), ("implemented", "implementation"), ("women's", "woman"), ("happier", "happiness"),
])
def test_forms_meet(a: str, b: str) -> None:
    assert tokens(a) == tokens(b)


@pytest.mark.parametrize(("a", "b"), [
    ("police", "policy"), ("organ", "organization"), ("state", "status"), ("parent", "partial"), ("income", "outcome"),
    ("university", "universal"), ("county", "country"), ("mother", "month"), ("employed", "unemployed"),
])
def test_words_stay_apart(a: str, b: str) -> None:
    assert stem(a) != stem(b)


def test_compounds_are_split() -> None:
    assert tokens("2weeks") == tokens("two_weeks")
    assert tokens("e-voting") == tokens("electronic voting")
    assert tokens("yrsConnected") == tokens("yrs connected")


@pytest.mark.parametrize(("a", "b"), [("wage", "earnings"), ("mortality", "died"), ("crime", "arrests"), ("kids",
                                                                                                          "child"),
                                      ("phone", "call"), ("rural", "village"), ("law", "policy")])
def test_synonyms(a: str, b: str) -> None:
    assert stem(a) == stem(b) or synonyms(stem(a), stem(b))


def test_words_of_different_meaning_are_no_synonyms() -> None:
    assert not synonyms(stem("age"), stem("wage"))
    assert not synonyms(stem("school"), stem("prison"))


def test_abbreviations() -> None:
    assert stem("manufacturing") in abbreviations()["mfg"]
    assert stem("education") in abbreviations()["educ"]
