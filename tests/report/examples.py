"""Findings made by hand from the real dataclasses: each has one thing that a report can get wrong."""

from __future__ import annotations

import numpy as np

from whence.checks.check import Check
from whence.core.result import Provenance, Refused, Remark
from whence.estimation.effect import Comparison, Effect, summarise
from whence.graphs.classes import DAG
from whence.graphs.graph import marks_from_edges
from whence.identification.spec import Condition, Spec
from whence.report.finding import Finding

HOSTILE = '<script>alert("x")</script>'
CONTROLS = ("sex", "age", "race", "education", "exercise", "smokeintensity")


def effect(
    estimate: float = 3.4405, error: float = 0.4877, *, method: str = "aipw", spec: Spec | None = None,
    contrast: str | None = None, n: int = 1566, rows: int = 1629, warnings: tuple[Remark, ...] = (),
    comparisons: tuple[Comparison, ...] = (), level: float = 0.95, assumptions: tuple[str, ...] = (),
) -> Effect:
    spec = spec or Spec("adjustment", ("qsmk",), ("weight",), controls=CONTROLS)
    interval, p = summarise(estimate, error, level)
    kept = Provenance("ab" * 16, rows, "cd" * 16, method, {"folds": 5}, 7, {"python": "3.11.2", "numpy": "2.4.0"},
                      ("Robins, Rotnitzky and Zhao (1994), doi:10.1080/01621459.1994.10476818.",))
    return Effect(estimate, error, interval, p, n, spec.quantity, method, spec,
                  contrast or f"{spec.treatment}: 1 vs 0", kept, level=level, warnings=warnings,
                  comparisons=comparisons, assumptions=assumptions or (
                      "Nothing outside the controls affects both the treatment and the outcome.",
                      "One row's treatment does not affect another row's outcome.",
                      "Everyone could have received either treatment."))


def alternatives(spec: Spec | None = None) -> tuple[Effect, ...]:
    spec = spec or Spec("adjustment", ("qsmk",), ("weight",), controls=CONTROLS)
    return (effect(2.5406, 0.4511, method="difference", spec=spec.replace(controls=())),
            effect(3.4626, 0.4679, method="regression", spec=spec), effect(3.3187, 0.5214, method="ipw", spec=spec))


def checks(names: tuple[str, ...] = CONTROLS) -> tuple[Check, ...]:
    rng = np.random.default_rng(3)
    edges = np.linspace(0, 1, 31)
    up, down = rng.beta(3, 6, 403), rng.beta(2.4, 7, 1163)
    balance = {"kind": "balance", "threshold": 0.1, "rows": [
        {"label": n, "before": float(b), "after": float(b / 9)}
        for n, b in zip(names, rng.normal(0, 0.2, len(names)), strict=True)]}
    overlap = {"kind": "overlap", "edges": edges.tolist(), "treated": np.histogram(up, edges)[0].tolist(),
               "control": np.histogram(down, edges)[0].tolist()}
    dropped = {"kind": "dropped", "rows": [
        {"label": label, "estimate": float(m), "low": float(m - 0.9), "high": float(m + 0.9)}
        for label, m in [("all controls", 3.46), *((f"without {n}", 3.46 + d) for n, d in
                         zip(names, rng.normal(0, 0.25, len(names)), strict=True))]]}
    shuffled = {"kind": "placebo", "edges": np.linspace(-3.5, 3.5, 31).tolist(), "actual": 3.4626,
                "counts": np.histogram(rng.normal(0, 0.5, 500), np.linspace(-3.5, 3.5, 31))[0].tolist()}
    return (
        Check("balance", "Are the groups alike after adjustment?", "pass",
              "A control whose average differs after weighting by more than 0.1 of its standard deviation.",
              "After weighting the largest difference is 0.04 standard deviations.",
              "Balance in the columns we have says nothing about things nobody measured.", figure=balance),
        Check("overlap", "Do both groups contain comparable people?", "worry",
              "More than 5% of the rows outside the range that both groups share.",
              "7.2% of the rows have no counterpart in the other group.",
              "It compares the groups on the controls we have, and trusts the fitted probabilities.", figure=overlap),
        Check("placebo", "Does a made-up treatment have an effect?", "pass", "Shuffled treatments with an effect.",
              "The average over 500 shuffles is 0.01.", "It says nothing about confounding.", figure=shuffled),
        Check("dropped", "Does the answer hang on one control?", "pass",
              "An estimate that changes sign when a single control is left out.",
              "Leaving out each control in turn gives 3.1 to 3.8.", "It says little about unknown causes.",
              figure=dropped),
        Check("evalue", "How strong would a hidden cause have to be?", "informational", "A small E-value.",
              "The E-value is 2.1.", "It does not say whether there is one."),
    )


def graph(names: tuple[str, ...] = CONTROLS, treatment: str = "qsmk", outcome: str = "weight") -> DAG:
    edges = [(c, "-->", t) for c in names for t in (treatment, outcome)]
    edges += [(treatment, "-->", "appetite"), ("appetite", "-->", outcome), (treatment, "-->", outcome)]
    nodes = (*names, treatment, outcome, "appetite")
    return DAG(nodes, marks_from_edges(nodes, edges))


def smoking(**changes: object) -> Finding:
    """A complete finding with every part."""
    lost = Remark("rows_dropped", "63 of 1,629 rows are left out for missing values: weight (63).", ("weight",),
                  {"dropped": 63, "used": 1566, "missing": {"weight": 63}})
    main = effect(warnings=(lost,))
    parts: dict = {
        "question": "How much does quitting smoking change weight?", "about": "Smokers seen in 1971 and 1982.",
        "source": "nhefs.csv", "spec": main.spec, "effect": main, "alternatives": alternatives(),
        "graph": graph(), "checks": checks(), "warnings": (
            lost, Remark("assumed_pretreatment", "No graph was given, so all six usable columns are adjusted for.")),
        "choices": (Remark("role_treatment", "qsmk is the treatment: it fits the words 'quitting smoking'.", ("qsmk",)),
                    Remark("excluded", "death is not adjusted for: it is measured after the treatment.", ("death",))),
        "script": 'import whence\n\ntable = whence.read("nhefs.csv")\n',
        "provenance": {"data": "ab" * 16, "rows": 1629, "method": "aipw", "seed": 7, "versions": {"numpy": "2.4.0"},
                       "citations": ["Robins (1994), doi:10.1080/01621459.1994.10476818."]},
    }
    return Finding(**(parts | changes))


def no_effect() -> Finding:
    """An interval across zero."""
    return smoking(effect=effect(0.4412, 0.6103), alternatives=())


def experiment() -> Finding:
    """A randomised comparison in a subpopulation, with large numbers."""
    spec = Spec("rct", ("treat",), ("earnings",), population=(Condition("age", ">=", 18),))
    main = effect(1794.3431, 670.9967, method="difference", spec=spec, n=445, rows=445)
    return smoking(question=None, about=None, source="nsw.csv", spec=spec, effect=main, alternatives=(), graph=None,
                   warnings=(), choices=())


def probability() -> Finding:
    """A yes or no outcome, and an effect on the treated that lowers it."""
    spec = Spec("adjustment", ("vaccine",), ("ill",), quantity="ATT", controls=("age",))
    coded = Remark("outcome_coded", "ill counts 'yes' as 1 and 'no' as 0.", ("ill",), {"one": "yes", "zero": "no"})
    main = effect(-0.0831, 0.0122, method="ipw", spec=spec, n=20000, rows=20000, warnings=(coded,),
                  contrast="vaccine: given vs not given")
    return smoking(question="Does the vaccine prevent illness?", spec=spec, effect=main, alternatives=(), graph=None,
                   warnings=(coded,), choices=())


def dose() -> Finding:
    """A continuous treatment, a tiny effect."""
    spec = Spec("adjustment", ("dose",), ("response",), controls=("age",))
    main = effect(2.13e-7, 3.4e-8, method="regression", spec=spec, contrast="dose: one more unit")
    return smoking(spec=spec, effect=main, alternatives=(), graph=None)


def several() -> Finding:
    """A treatment with four values."""
    spec = Spec("adjustment", ("drug",), ("weight",), controls=("age",))
    each = [("high vs none", 3.1), ("low vs none", 1.2), ("middle vs none", 2.2)]
    comparisons = tuple(Comparison(label, m, 0.4, *summarise(m, 0.4)) for label, m in each)
    main = effect(3.1, 0.4, spec=spec, contrast="drug: high vs none", comparisons=comparisons)
    return smoking(spec=spec, effect=main, alternatives=(), graph=None)


def not_identified() -> Finding:
    """A graph in which the effect cannot be had."""
    nodes = ("training", "earnings", "ability")
    drawn = DAG(nodes, marks_from_edges(nodes, [("ability", "-->", "training"), ("ability", "-->", "earnings"),
                                                ("training", "-->", "earnings")]))
    refused = Refused(
        "not_identified", "No set of measured columns blocks the path through ability.",
        {"witness": {"kind": "open_path", "path": [["training", "<--", "ability"], ["ability", "-->", "earnings"]],
                     "adjusted": []}},
        "Measure ability, or find something that moves training and nothing else.")
    return Finding("Does training raise earnings?", None, "jobs.csv", None, graph=drawn, refused=refused,
                   choices=(Remark("role_treatment", "training is the treatment, as given.", ("training",)),),
                   provenance={"data": "ab" * 16, "rows": 722, "seed": 0})


def refused() -> Finding:
    """A precondition that failed."""
    spec = Spec("adjustment", ("training",), ("earnings",), controls=("age",))
    no = Refused("treatment_constant", "The treatment 'training' only takes the value 1 on the rows used, so there is "
                 "nothing to compare.", {"column": "training", "values": [1], "missing": {"age": 12, "earnings": 3}},
                 "Include rows with another treatment value, or choose another treatment.", "aipw")
    return Finding("Does training raise earnings?", None, "jobs.csv", spec, refused=no,
                   provenance={"data": "ab" * 16, "rows": 722})


def hostile() -> Finding:
    """Forty controls with long, foreign and HTML-hostile names."""
    names = (HOSTILE, "вес_при_рождении", "年齢と教育水準の複合指標", "گروه_سنی", "a&b \"quoted\" 'name'",
             "number_of_previous_hospital_admissions_within_five_years_before_the_index_date", "emoji 👩‍🔬 column",
             "new\nline\x07bell", "\ue000mark\ue001", *(f"household_characteristic_{k:02d}" for k in range(31)))
    spec = Spec("adjustment", (HOSTILE + "t",), ("outcome <b>&amp;</b>",), controls=names)
    main = effect(spec=spec, contrast=f"{HOSTILE}t: <i>yes</i> vs no")
    drawn = graph(names, spec.treatment, spec.outcome)
    return smoking(question=f"Does {HOSTILE} matter?", about=HOSTILE, source="</title>" + HOSTILE, spec=spec,
                   effect=main, alternatives=alternatives(spec), graph=drawn, checks=checks(names),
                   script=f"# {HOSTILE}\n", warnings=(Remark("x", HOSTILE),), 
                   choices=(Remark("excluded", HOSTILE, (HOSTILE,)),))


ALL = {f.__name__: f for f in (smoking, no_effect, experiment, probability, dose, several, not_identified, refused,
                               hostile)}
