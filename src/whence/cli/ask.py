"""``whence ask``: a causal question about a data set, answered or refused."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from whence.cli.inputs import check_targets, columns, file_or_text, graph_or_learn, pairs, parameters, read_knowledge
from whence.cli.options import (
    Data,
    GraphSource,
    Json,
    Kinds,
    KnowledgeFile,
    Method,
    Missing,
    Params,
    Report,
    Script,
    Seed,
)
from whence.cli.progress import bars
from whence.cli.run_study import finish
from whence.core.errors import WhenceError

Question = Annotated[str | None, Parameter(name="QUESTION", help="In plain words: Does X raise Y?")]
About = Annotated[
    str | None, Parameter(name="--about", metavar="TEXT", help="What the data and the columns are: a file, or text.")
]
Treatment = Annotated[
    str | None, Parameter(name="--treatment", metavar="COLUMN", help="The cause, if the question leaves it open.")
]
Outcome = Annotated[
    str | None, Parameter(name="--outcome", metavar="COLUMN", help="What it affects, if the question leaves it open.")
]
Controls = Annotated[
    str | None,
    Parameter(name="--controls", metavar="A,B", help="What to adjust for, comma-separated; '' for nothing."),
]
Quantity = Annotated[
    str | None,
    Parameter(name="--quantity", metavar="NAME", help="Averaged over everybody (ATE), the treated (ATT) or not (ATC)."),
]
Cluster = Annotated[
    str | None, Parameter(name="--cluster", metavar="COLUMN", help="Rows with the same value are not independent.")
]
Weights = Annotated[str | None, Parameter(name="--weights", metavar="COLUMN", help="Sampling weights.")]
Yes = Annotated[
    bool, Parameter(name=("--yes", "-y"), negative="", show_default=False, help="Run the plan without asking.")
]


def ask(
    data: Data, question: Question = None, /, *,
    about: About = None, graph: GraphSource = None, knowledge: KnowledgeFile = None,
    treatment: Treatment = None, outcome: Outcome = None, controls: Controls = None,
    quantity: Quantity = None, cluster: Cluster = None, weights: Weights = None,
    kinds: Kinds = (), missing: Missing = (), method: Method = "auto", param: Params = (),
    report: Report = None, script: Script = None, yes: Yes = False, json: Json = False, seed: Seed = 0,
) -> int:
    """Answer a causal question about a data set.

    The plan comes first: which column is the cause, which the effect, what is adjusted for and why. Then the answer
    in one sentence with its interval, other methods beside it, and checks of it. When the data or the graph cannot
    answer, the reason is the answer (status 3). Without a graph, every column that could be a common cause is
    adjusted for, and the answer says so.

    Examples:

      whence ask data.csv "Does the training programme raise earnings?" --about about.txt
      whence ask data.csv "Does dose affect recovery?" --graph 'age --> dose; age --> recovery; dose --> recovery'
      whence ask data.csv --treatment dose --outcome recovery --controls age,sex --report answer.html
    """
    from whence.studies.study import study

    if question is None and (treatment is None or outcome is None):
        raise WhenceError("There is nothing to answer yet.", code="no_question",
                          hint="Ask in plain words, \"Does X raise Y?\", or name --treatment and --outcome.")
    check_targets(script, report=report)
    text = file_or_text(about, "The description", marks=" \n") if about is not None else None
    with bars() as progress:
        planned = study(
            data, question, text, graph_or_learn(graph), read_knowledge(knowledge),
            treatment=treatment, outcome=outcome, controls=None if controls is None else columns(controls),
            quantity=quantity, cluster=cluster, weights=weights,
            kinds=pairs(kinds, "--kinds", "stage=ordinal"), missing=missing, method=method,
            parameters=parameters(param, "estimation", method), seed=seed, progress=progress,
        )
    return finish(planned, report, script, as_json=json, confirm=not yes)
