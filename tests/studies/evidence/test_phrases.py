"""Words of designs, their denial, and the columns and numbers that a sentence about a cutoff names."""

from __future__ import annotations

import pytest

from whence.studies.evidence.evidence import totals
from whence.studies.evidence.phrases import words_of_design
from whence.studies.words import descriptions


@pytest.mark.parametrize(("about", "design"), [
    ("Villages were randomly assigned to a clinic or to none.", "rct"),
    ("The clinic was not randomly assigned; families chose it.", "adjustment"),
    ("This observational study follows nurses from several hospitals.", "adjustment"),
    ("Some growers were randomly selected and offered insurance. Not all who were offered took it up.", "iv"),
    ("Parents were encouraged by letter to have their child vaccinated; some did not comply.", "iv"),
    ("Rainfall serves as an instrument for harvests.", "iv"),
    ("Pupils with a score of 60 or higher received the grant.", "rdd"),
    ("Firms with more than 50 workers are required to report.", "rdd"),
    ("The running variable is the date of birth.", "rdd"),
    ("States adopted the law at different times.", "did"),
    ("late: whether the visit took place before (0) or after (1) the reform", "did"),
    ("The effect runs entirely through hours of practice, the mediator.", "frontdoor"),
    ("A list of schools with their size.", "adjustment"),
    ("Half of the shops were chosen by lottery to receive the new scheduling software.", "rct"),
    ("We conducted a cluster-randomized trial in 80 villages.", "rct"),
    ("Participants were allocated at random to one of three arms.", "rct"),
    ("In this audit study, resumes with randomized names were sent to employers.", "rct"),
    ("Subjects were randomly shown one of two messages.", "rct"),
    ("An A/B test of two checkout pages.", "rct"),
    ("In a laboratory experiment students played a trust game; the treatment was assigned randomly.", "rct"),
    ("Treatment was not randomly assigned; doctors decided whom to treat.", "adjustment"),
    ("This is a cohort study of smokers drawn from health records.", "adjustment"),
    ("Participants self-selected into the programme.", "adjustment"),
    ("There was no randomization; we use survey data.", "adjustment"),
    ("The study uses matching on observed characteristics.", "adjustment"),
    ("Data from the national household survey. Variables: income, age, education.", "adjustment"),
    ("Eligible applicants were offered a seat through a lottery, but not all of those offered enrolled.", "iv"),
    ("Distance to the nearest college is used as an instrument for schooling.", "iv"),
    ("Some households were randomly selected to receive a voucher; not everyone who was offered used it.", "iv"),
    ("We exploit exogenous variation in rainfall.", "iv"),
    ("Voters were assigned to receive a phone call, but many could not be reached.", "iv"),
    ("The dataset records assignment to treatment and whether the treatment was actually received.", "iv"),
    ("Students who scored at least 70 points were awarded the scholarship.", "rdd"),
    ("Municipalities with more than 5,000 inhabitants are subject to the quota.", "rdd"),
    ("The programme was offered to counties with a poverty rate above the cutoff of 59.2.", "rdd"),
    ("Eligibility is determined by whether the household's score falls below 36.", "rdd"),
    ("We compare candidates who barely won with those who barely lost.", "rdd"),
    ("Legislators turn eligible for the pension at age 65, creating a discontinuity.", "rdd"),
    ("Workers aged 50 or older are entitled to extended benefits.", "rdd"),
    ("New Jersey raised its minimum wage in April 1992 while Pennsylvania did not. Surveys were "
     "taken before and after.", "did"),
    ("States expanded Medicaid in different years.", "did"),
    ("The ban was introduced in 2004 in some provinces but not in others.", "did"),
    ("Data cover 50 states from 1990 to 2010; unilateral divorce laws were adopted at different times.", "did"),
    ("The policy took effect in 2012; we observe cities before and after the policy.", "did"),
    ("A panel of firms over ten years; treated firms adopted the system in various years.", "did"),
    ("post: 1 if the observation is after the reform, 0 before", "did"),
    ("Smoking affects cancer only through tar deposits, which are measured; the mediator is tar.", "frontdoor"),
])
def test_words(about: str, design: str) -> None:
    assert next(iter(totals(words_of_design("", about)))) == design


def test_a_subpopulation_in_a_question_is_no_rule() -> None:
    found = words_of_design("Among adults with an income above 40, what is the effect of receiving loans?", "")
    assert "rdd" not in {e.design for e in found}


def test_the_running_variable_and_the_cutoff_are_named() -> None:
    about = "need_score: points given by the office\nFamilies with a need score above 12.5 qualified for the subsidy.\n"
    columns = ("subsidy", "need_score", "age")
    evidence = {e.design: e for e in words_of_design("", about, columns, descriptions(about, columns))}["rdd"]
    assert evidence.columns["running_variable"][0] == "need_score"
    assert evidence.cutoff == 12.5
    assert "qualified" in evidence.quote


def test_a_sample_drawn_at_random_is_no_experiment() -> None:
    found = words_of_design("", "Households were selected at random for the survey. We use a random sample of firms.")
    assert "rct" not in {e.design for e in found}
