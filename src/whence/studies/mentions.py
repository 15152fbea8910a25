"""What a description says about the roles of columns: treatment, outcome, assignment, cutoff variable, time, unit, ...

Each mention carries its strength in [0, 1] and the words it was read from. Mentions are evidence for a design, not a
decision: a column may have several.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from whence.studies.matching import Vocabulary
from whence.studies.words import Description, bare, descriptions, plain, sentences

Role = Literal["treatment", "outcome", "assignment", "take_up", "instrument", "running", "time", "unit", "cluster",
"control",
               "post_treatment", "weight", "stratum", "cutoff value", "mediator"]


@dataclass(frozen=True)
class RoleMention:
    """A role that the text gives a column. strength in [0, 1]. value: of a cutoff, where one is named."""

    column: str
    role: Role
    strength: float
    sentence: str
    value: float | None = None


def _rule(role: Role, strength: float, *patterns: str) -> tuple[Role, float, re.Pattern[str]]:
    return role, strength, re.compile("|".join(patterns), re.IGNORECASE)


# Read in the description of a column.
_TEXT = (
    _rule("outcome", 0.9, r"\b(?:main|primary|key|secondary)? ?outcome\b(?! performance)", r"\bdependent variable\b",
          r"\bresponse variable\b", r"\bend ?point\b", r"\boutcome of interest\b"),
    _rule("treatment", 0.9, r"\btreatment (?:indicator|variable|status|dummy|group|arm|assignment|condition)\b",
          r"\bindependent variable\b", r"\bexposure variable\b", r"\b(?:is|are) the treat(?:ment|ed)\b",
          r"\b(?:un)?treated (?:group|unit|state|cit|countr|village|district)", r"\btreatment or control\b",
          r"\btreat(?:ment|ed)? ?(?:[×*]|x|times|interacted with) ?(?:the )?(?:post|after|time|period)",
          r"\btreat(?:ment|ed)\b.{0,25}\bcontrol\b", r"\bintervention (?:group|indicator|status)\b"),
    _rule("treatment", 0.5,
          r"\breceived the (?:\w+ ){0,4}(?:treatment|program\w*|intervention|training|drug|medication)\b",
          r"\b(?:was|were|is|been) (?:exposed|subjected|treated)\b", r"\bparticipat(?:ed|ion|es|ing) in\b",
          r"\bin effect\b", r"\bafter implementation\b", r"\bhas (?:adopted|enacted|implemented)\b"),
    _rule("assignment", 0.9,
          r"\brandom(?:ly|i[sz]ed)? (?:\w+ ){0,2}(?:assign|offer|select|invit|draw|alloc|encourag|chosen)\w*",
          r"\blotter(?:y|ies)\b", r"\b(?:was|were|been|is) (?:\w+ )?(?:offered|invited|encouraged|assigned)\b",
          r"\bassigned to\b", r"\bencouragement\b", r"\binvit(?:ed|ation)\b", r"\bintention to treat\b",
          r"\bassignment (?:to|indicator|status)\b", r"\bexperimental group\b", r"\bassigned\b"),
    _rule("assignment", 0.8, r"\brandomi[sz]ed\b"),
    _rule("assignment", 0.6, r"\boffer(?:ed)?\b", r"\beligib(?:le|ility)\b", r"\bqualif(?:y|ied|ies)\b"),
    _rule("take_up", 0.9, r"\bactual(?:ly)?\b", r"\btake-?up\b", r"\btook (?:up|part)\b", r"\bsuccessfully\b",
          r"\bcompl(?:ied|iance|ier)\b", r"\bultimately\b"),
    _rule("take_up", 0.6,
          r"\b(?:attended|participated|participation|received|enrolled|enrolled|opened|joined|delivered|completed|"
          r"adopted|used|contacted|connected|took|borrowed|installed|visited|bought|purchased|served)\b"),
    _rule("instrument", 0.9, r"\binstrument(?:al variable|ed)?\b(?! ?(?:music|panel))", r"\bexogenous (?:variation|"
                                                                                        r"source|shock)\b"),
    _rule("running", 0.9, r"\b(?:running|forcing|assignment|rating) variable\b", r"\bcut-?off\b", r"\bthreshold\b",
          r"\bmargin of victory\b", r"\b(?:used|determines?|decides?|determined) (?:\w+ ){0,4}eligib\w+",
          r"\bcent(?:er|re)d (?:at|around|on)\b", r"\brelative to (?:the )?(?:cut-?off|threshold|\d+)",),
    _rule("time", 0.8,
          r"^(?:the |calendar |study |survey |academic |fiscal )*(?:year|month|quarter|week|day|wave|period|date|"
          r"round)\b",
          r"\b(?:year|month|quarter|wave|period|date|time) of (?:the )?(?:observation|survey|data|interview|election|"
          r"measurement|"
          r"study)\b", r"\bbefore (?:\(\w+\) )?(?:or|and) after\b", r"\bafter (?:\(\w+\) )?(?:or|and) before\b",
          r"\b(?:in|the) which the data w(?:as|ere) (?:collected|recorded)\b", r"\bpost-?(?:intervention|policy|"
                                                                               r"treatment|"
          r"reform|period|law|campaign)\b", r"\bindicator for (?:the )?(?:study )?(?:year|period|wave)\b", r"\btime "
                                                                                                           r"period\b"),
    _rule("unit", 0.8, r"\bunique identif\w+", r"\bidentif(?:ier|ies|ying|ication)\b", r"\b(?:fips|isbn|icpsr|iso)\b",
          r"\b(?:state|county|district|municipal\w*|city|village|school|firm|country|household|subject|person|"
          r"patient|unit)"
          r"(?:'s)? (?:code|id|number|name)\b", r"\bcode (?:for|of) (?:each|the)\b"),
    _rule("cluster", 0.6,
          r"\b(?:belongs? to|(?:to|in|at) which the \w+ (?:belongs|lives|resides|works|studies|is enrolled))\b"),
    _rule("running", 0.8, r"\bused (?:for|to|in|as) (?:\w+ ){0,4}(?:enrol|eligib|assign|select|admission|access|qualif|"
          r"participat|invit)"),
    _rule("cluster", 0.8, r"\bcluster\w*\b", r"\bprimary sampling unit\b"),
    _rule("stratum", 0.8, r"\bstrat(?:a|um|ified|ification)\b", r"\brandomi[sz]ation block\b", r"\bmatched pair\b"),
    _rule("weight", 0.8,
          r"\b(?:sampl\w+|survey|population|period|probability|inverse|analytic|frequency|person|design) weights?\b"),
    _rule("control", 0.7, r"\bcontrols?\b(?! group| condition| arm|led)", r"\bcovariates?\b", r"\bconfounder\w*\b",
          r"\bbackground\b",
          r"\bdemographic\w*\b"),
    _rule("control", 0.6, r"\bbaseline\b",
          r"\b(?:before|prior to) (?:the )?(?:\w+ ){0,3}(?:program\w*|intervention|treatment|"
          r"randomi[sz]ation|enrol\w+|training|study|trial|experiment|policy|reform|delivery|start)\b",
          r"\bpre-?treatment\b",
          r"\bpre-?(?:program\w*|intervention|policy|reform)\b", r"\bprevious (?:year|month|week|election|term|"
                                                                 r"period)\b"),
    _rule("post_treatment", 0.7,
          r"\bafter (?:the )?(?:\w+ ){0,4}(?:program\w*|intervention|treatment|training|policy|reform|"
          r"campaign|study|trial|delivery)\b", r"\bfollow-?up\b", r"\bpost-?(?:treatment|intervention|program|"
                                                                  r"training)\b",
          r"\bendline\b", r"\bat the end of\b"),
    _rule("mediator", 0.8, r"\bmediat(?:or|es|ing)\b", r"\bmechanism\b", r"\bchannel\b"),
)
# Read in the name of a column, in the customs of the field.
_NAMES = (
    _rule("outcome", 0.6, r"^(?:y|outcome|response)\d*$"),
    _rule("outcome", 0.4, r"(?:^|_)outcome(?:_|$)"),
    _rule("treatment", 0.7, r"^(?:treatment|treat|treated|trt|trtd|tx)$"),
    _rule("treatment", 0.5, r"^(?:t|d|w|exposure|exposed|intervention|program|programme|policy)$",
          r"(?:^|_)(?:treat(?:ment|ed)?|trt|intervention)(?:_|$)"),
    _rule("assignment", 0.6,
          r"(?:^|_)(?:assign(?:ed|ment)?|offer(?:ed)?|invit(?:ed|ation)|encourag\w+|lottery|eligib\w+|random\w*)"
          r"(?:_|$)", r"(?:^|\s)(?:offer|assignment|invitation)$"),
    _rule("take_up", 0.6,
          r"(?:^|_|\s)(?:attended|participat\w+|received|enrolled|opened|joined|delivered|completed|adopted|used|"
          r"contacted|takeup|take_up|complied|took|attendance|use|usage|borrowed)(?:_|\s|$)"),
    _rule("instrument", 0.6, r"^(?:z|iv|instrument)\d*$"),
    _rule("running", 0.6, r"^(?:running|forcing|running_var\w*|score_centered|x_centered)$", r"(?:^|_)(?:cutoff|"
                                                                                             r"threshold|margin)(?:_|"
                                                                                             r"$)"),
    _rule("time", 0.7, r"^(?:year|yr|month|quarter|week|day|wave|period|date|time|round|t)$", r"^(?:after|post|"
                                                                                              r"pre)(?:_(?:treat\w*|"
                                                                                              r"intervention|policy|"
                                                                                              r"period|reform|"
          r"campaign|law|program|implementation|event))*(?:_(?:period|status|indicator|dummy))?$",
          r"(?:^|_)(?:year|period|wave|quarter|month)(?:_num)?$", r"^(?:post|after)_?(?:treatment|intervention|"
                                                                  r"policy|period)$"),
    _rule("unit", 0.7, r"(?:^|_)(?:id|uid|uuid|code|fips|fip)$", r"^id", r"(?:[a-z])(?:ID|"
                                                                         r"id)$(?<!paid)(?<!aid)(?<!grid)(?<!bid)"),
    _rule("unit", 0.4,
          r"^(?:state|country|county|city|municipality|province|district|village|firm|school|hospital|store|person|"
          r"individual|subject|household|participant|student|patient)(?:_?(?:id|code|name|no|num|number))?$"),
    _rule("weight", 0.7, r"(?:^|_)(?:weights?|wgt|pweight|popwt)$"),
    _rule("cluster", 0.6, r"(?:^|_)cluster(?:_|$)"),
    _rule("stratum", 0.6, r"(?:^|_)(?:strat(?:a|um)|block)\d*(?:_|$)"),
    _rule("control", 0.5, r"(?:^|_)(?:baseline|pre|prev(?:ious)?|prior|initial|lag(?:ged)?)(?:_|\d|$)"),
    _rule("post_treatment", 0.6, r"(?:^|_)(?:followup|follow_up|endline)(?:_|$)"),
)
_NUMBER = r"[-+]?\$?\d[\d,]*(?:\.\d+)?"
_CUT = re.compile(
    rf"\b(?:above|below|over|under|exceed(?:s|ing)?|at least|at most|more than|less than|greater than|fewer than|"
    rf"within|of|"
    rf"cut-?off (?:of|at|is|was)|threshold (?:of|at|is|was)|reach(?:es|ed|ing)?|"
    rf"score[sd]?)\s+({_NUMBER})(?![\d%]*\s*(?:%|percent|"
    rf"people|students|patients))|({_NUMBER})\s*(?:\w+ )?(?:or|and) (?:higher|more|above|older|lower|less|below|"
    rf"younger|over|"
    rf"under|greater|fewer)\b", re.IGNORECASE)
_GIVEN = re.compile(r"\b(?:qualif|eligib|receiv|assign|grant|invit|accept|admit|enrol|treated|access|entitle|given|"
                    r"connect|win|"
                    r"won|elected|provid|obtain|required|exempt|offered|placed|participat)\w*", re.IGNORECASE)
_DECIDED = re.compile(r"\b(?:eligib\w+|treatment|assign\w+|access|admission|participation)\b.{0,40}\b(?:determined|"
                      r"decided|based|"
                      r"depend\w*|assigned) (?:by|on|according to|using)\b", re.IGNORECASE)
_BASED_ON = re.compile(r"\b(?:based|depend\w*|conditional) (?:only )?on (?:the |their |his |her |its "
                       r")?(?P<by>[^.,;()]+)",
                       re.IGNORECASE)
_OUTCOME_IS = re.compile(r"\b(?:outcomes?|dependent variable|end ?point)(?: of interest| variable| measure)?(?: "
                         r"\w+)? (?:is|are|was|"
                         r"were|include[sd]?|being|measured)\b(?: the| whether)?(?P<o>[^.;]+)", re.IGNORECASE)
_TREATMENT_IS = re.compile(r"\b(?:treatment|intervention|exposure)(?: of interest| variable)? (?:is|was|being|"
                           r"involved|consisted of)\b"
                           r"(?: the| whether)?(?P<o>[^.;]+)", re.IGNORECASE)


def described_roles(
    about: str, columns: Sequence[str], described: Mapping[str, Description] | None = None
) -> list[RoleMention]:
    """Every role that the description gives a column, strongest first, one mention per column and role.

    described: what ``descriptions(about, columns)`` gave, when it is at hand.
    """
    described = descriptions(about, columns) if described is None else described
    found: dict[tuple[str, str], RoleMention] = {}
    for mention in (*_from_columns(columns, described), *_from_sentences(plain(about), columns, described)):
        key = mention.column, mention.role
        if key not in found or mention.strength > found[key].strength:
            found[key] = mention
    return sorted(found.values(), key=lambda m: (-m.strength, m.role, m.column))


def _from_columns(columns: Sequence[str], described: Mapping[str, Description]) -> Iterator[RoleMention]:
    vocabulary: Vocabulary | None = None
    for column in columns:
        if column in described and (based := _BASED_ON.search(described[column].text)):
            vocabulary = vocabulary or Vocabulary(columns, described)
            for other, score in _fitting(based["by"], vocabulary, 1):
                if other != column:
                    yield RoleMention(other, "running", 0.6 * score, described[column].sentence)
        for role, strength, pattern in _NAMES:
            if pattern.search(column.lower() if role != "unit" else column):
                yield RoleMention(column, role, strength, f"the name {column}")
        if column in described:
            said = described[column]
            told = bare(said.text)
            certain = 1.0 if said.form != "mention" else 0.6
            for role, strength, pattern in _TEXT:
                if pattern.search(told):
                    yield RoleMention(column, role, strength * certain, said.sentence)


def _from_sentences(
    about: str, columns: Sequence[str], described: Mapping[str, Description]
) -> Iterator[RoleMention]:
    """Sentences about the study: ``the outcome of interest is ...``, ``scores above 70 qualified``."""
    lines = {d.sentence for d in described.values() if d.form == "entry"}
    vocabulary: Vocabulary | None = None
    for sentence in sentences(about):
        if sentence in lines:
            continue
        wanted: list[tuple[Role, float, str, float | None]] = []
        if match := _OUTCOME_IS.search(sentence):
            wanted.append(("outcome", 0.7, match["o"], None))
        if match := _TREATMENT_IS.search(sentence):
            wanted.append(("treatment", 0.7, match["o"], None))
        cut = _CUT.search(sentence)
        if (cut and _GIVEN.search(sentence)) or _DECIDED.search(sentence):
            value = float((cut[1] or cut[2]).replace(",", "").replace("$", "")) if cut else None
            wanted.append(("running", 0.9, _around(sentence, cut), value))
        for role, strength, phrase, value in wanted:
            vocabulary = vocabulary or Vocabulary(columns, described)
            for column, score in _fitting(phrase, vocabulary, 3 if role == "outcome" else 1):
                yield RoleMention(column, role, strength * score, sentence, value)
                if value is not None:
                    yield RoleMention(column, "cutoff value", strength * score, sentence, value)


def _around(sentence: str, cut: re.Match[str] | None) -> str:
    """The words that name what is compared with the cutoff: those before it, or the whole sentence."""
    if cut is None:
        based = re.search(r"\b(?:by|on|according to|using)\b(.+)", sentence, re.IGNORECASE)
        return based[1] if based else sentence
    before = re.split(r"[,;]", sentence[: cut.start()])[-1]
    variable = re.search(r"\bvariable '?\"?([\w.]+)", sentence)
    return f"{before} {variable[1] if variable else ''}".strip() or sentence


def _fitting(phrase: str, vocabulary: Vocabulary, most: int) -> list[tuple[str, float]]:
    """The columns that fit a phrase best, those near the best score only."""
    ranked = sorted(vocabulary.scores(phrase).items(), key=lambda pair: (-pair[1], pair[0]))
    return [(c, min(s, 1.0)) for c, s in ranked[:most] if s >= 0.3 and s >= 0.85 * ranked[0][1]]
