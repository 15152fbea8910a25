"""The words of designs: what people write when a design lies behind their data, and how much it tells.

Weights are log likelihood ratios in nats, judged from how the words are used: about 6 where the design is named, 3 to 4
where how treatment came about is described, 1 to 2 for what goes with a design more often than with others. Words are
of the language of studies in general.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Cue:
    """design: as in ``DESIGNS``. weight: nats. pattern: finds the words in a sentence. asked: whether they count in a
    question as well, which may name a subpopulation (``those above 60``) that is no rule of treatment."""

    design: str
    weight: float
    pattern: re.Pattern[str]
    asked: bool


def _cues(design: str, *rows: tuple[float, str]) -> tuple[Cue, ...]:
    return tuple(Cue(design, weight, re.compile(pattern, re.IGNORECASE), design != "rdd" or r"\d" not in pattern)
                 for weight, pattern in rows)


_NUMBER = r"[$€£]?\d[\d,.]*(?:\s?%|st|nd|rd|th)?"
_ABOVE = (r"(?:above|below|over|under|exceed(?:s|ing|ed)?|at least|at most|more than|less than|fewer than|greater than|"
          r"within)")
# Drawn for the data, not for a treatment.
_SAMPLED = r"(?!.{0,30}\b(?:sample|from|survey(?:ed)?|interview(?:s|ed)?|data)\b)"
_GETS = (r"(?:qualif\w+|eligib\w+|receiv\w+|assigned|granted|awarded|invited|admitted|enrol\w+|offered|considered|"
         r"required|subject to|entitled|won|wins|win|secur\w+)")
_LAW = r"(?:law|policy|policies|reform|act|program(?:me)?|mandate|ban|tax|quota|regulation|expansion|statute|rule)s?"
_PLACE = (r"(?:state|countr|count(?:y|ie)|cit(?:y|ie)|municipalit|region|district|province|school|firm|compan|store|"
          r"unit)")

CUES: tuple[Cue, ...] = (
    *_cues(
        "rdd",
        (6.0, r"\bregression[- ]discontinuity|\bRDD?\b design|\bsharp discontinuity|\bfuzzy discontinuity"),
        (5.0, r"\b(?:running|forcing|assignment) variable\b"),
        (4.0, r"\bdiscontinuit(?:y|ies)\b"),
        (4.0, r"\bclose(?:ly)?[- ](?:contested )?(?:\w+ )?(?:elections?|races?)\b|\bnarrow(?:ly)? (?:won|lost|win|"
              r"victor\w+)"),
        (4.0, rf"\b{_NUMBER} (?:\w+ ){{0,2}}or (?:higher|more|above|older|lower|less|below|younger|greater|fewer)\b"
              rf".{{0,70}}\b{_GETS}"),
        (4.0, rf"\b{_ABOVE} (?:a |the )?{_NUMBER}.{{0,60}}\b{_GETS}"),
        (4.0, rf"\b{_GETS}.{{0,60}}\bif .{{0,60}}\b{_ABOVE} (?:a |the )?(?:{_NUMBER}|cut-?off|threshold)"),
        (3.5, r"\b(?:just|barely|narrowly) (?:above|below|over|under|pass(?:ed)?|miss(?:ed)?|won|lost|fail(?:ed)?)\b"),
        (3.0, rf"\b(?:cut-?offs?|thresholds?|cut-?points?)\b.{{0,100}}\b{_GETS}|"
              rf"\b{_GETS}.{{0,100}}\b(?:cut-?offs?|thresholds?|cut-?points?)\b"),
        (3.0, rf"\beligib\w+ (?:was|is|were|are|being) (?:\w+ )?(?:determined|decided|based)|\b{_GETS} (?:only )?if\b"
              rf".{{0,40}}\b{_ABOVE}\b"),
        (3.0, r"\b(?:cent(?:er|re)d|normali[sz]ed) (?:\w+ ){0,2}(?:at|around|on) (?:the )?(?:0|zero|cut-?off|"
              r"threshold)"),
        (2.5, r"\bminimum legal\b|\b\d+(?:st|nd|rd|th) birthday\b|\bturn(?:s|ed|ing) \d+\b"),
        (2.5, r"\bmargin of (?:victory|winning|votes)|\b(?:vote|win(?:ning)?|victory) margin\b"),
        (2.5, r"\b(?:secure|win|won|receiv)\w* .{0,30}(?:more|greater) than (?:50 ?%|0?\.5|half)"),
        (2.0, rf"\b(?:cut-?offs?|thresholds?)\b|\b(?:inhabitants|population|"
              rf"residents) (?:\w+ ){{0,3}}{_ABOVE} {_NUMBER}|"
              rf"\b{_ABOVE} {_NUMBER} (?:inhabitants|residents|people)\b"),
    ),
    *_cues(
        "did",
        (6.0, r"\bdiff\w*[- ]+in[- ]+diff\w*|\bDiD\b design|\btwo-way fixed effects?\b"),
        (5.0, r"\b(?:parallel|common)[- ]trends?\b"),
        (4.0, r"\b(?:adopt|implement|enact|introduc|pass|expand|roll)\w* .{0,60}\b(?:at|in) different (?:times|"
              r"years|"
              r"points|dates)|\bstaggered\b|\bdifferent (?:times|years) (?:\w+ ){0,3}(?:adopt|implement|enact)\w*"),
        (4.0, r"\bbefore(?: \(\w+\))? ?(?:or|and|versus|vs\.?|/) ?after(?: \(\w+\))?|\bafter(?: \(\w+\))? or before\b"),
        (3.0, r"\bafter\b.{0,40}\b0\b.{0,20}\bbefore\b|\bbefore\b.{0,40}\b1\b.{0,20}\bafter\b|"
              r"\bpre-? ?(?:or|and|/|to|versus) ?-?post\b|\bpost[- ]?(?:treatment|intervention|policy|implementation|"
              r"reform|program(?:me)?|campaign)[- ](?:period|indicator|status|dummy)"),
        (3.0, rf"\b(?:effect|force|place)\w* in (?:a|the|that) (?:given )?{_PLACE}\w*"),
        (2.5, rf"\b{_PLACE}\w*[- ](?:year|month|quarter|week)s?\b|\b{_PLACE}\w* and (?:year|month|quarter|time)s? "
              rf"(?:fixed effects?|identifiers?)|\brepeated cross[- ]sections?\b|\b(?:balanced |"
              rf"longitudinal )?panel\b"),
        (2.5, rf"\bcompared (?:to|with) (?:\w+ ){{0,2}}{_PLACE}\w* (?:that|which|where|without)\b"),
        (2.0, rf"\b{_LAW}\b.{{0,60}}\b(?:adopt|enact|implement|introduc|pass|expand|change|repeal|legali[sz]|"
              rf"abolish)\w*.{{0,60}}"
              rf"\b(?:in|by|across|on) (?:(?:\w+ ){{0,3}}{_PLACE}|\w* ?(?:19|20)\d\d)"),
        (2.0, rf"\b(?:adopt|enact|implement|introduc|pass|repeal|legali[sz]|"
              rf"abolish)\w*.{{0,60}}\b{_LAW}\b.{{0,60}}\b(?:in|by|across) "
              rf"(?:(?:\w+ ){{0,3}}{_PLACE}|\w* ?(?:19|20)\d\d)"),
        (1.5, r"\bover (?:time|the years|\w+[- ]years?|a (?:period|span))\b|\btime[- ]series\b|\bgiven (?:year|time|"
              r"period)"),
        (1.0, r"\b(?:from|between|during) (?:the years? |the period )?(?:\w+ )?(?:19|20)\d\d (?:to|and|through|until) "
              r"(?:\w+ )?(?:19|20)\d\d"),
    ),
    *_cues(
        "iv",
        (6.0, r"\binstrumental[- ]variables?\b|\btwo[- ]stage least squares\b|\b2SLS\b"),
        (5.0, r"\bencouragement (?:design|trial|experiment|intervention)|\b(?:as an|valid|excluded|our|"
              r"the) instruments?\b"
              r"(?! (?:panel|play|les))|\binstruments? for\b|\binstrument(?:ed|s) (?:by|with|using)\b"),
        (3.5, r"\b(?:non|im|in)?-?complian(?:ce|t|ts)\b|\bcompliers?\b|\b(?:did|do|does) not (?:all )?comply\b|"
              r"\bnot (?:all|every(?:one|body)?) (?:\w+ ){0,6}(?:assigned|offered|invited|encouraged|selected)"),
        (3.5, r"\b(?:assigned|offered|invited|encouraged|selected|eligible)\b(?:(?!control).){0,120}\b(?:(?:are |"
              r"were |was |is |did |"
              r"do )"
              r"not (?:actually )?(?:receiv|attend|participat|tak|enrol|us)\w*|some did not)"),
        (3.0, r"\bexogenous (?:\w+ )?(?:variation|shock|source|change)s?\b"),
        (3.0, r"\b(?:randomly|random) (?:\w+ ){0,4}(?:invited|offered|encouraged|selected to be offered|sent)\b|"
              r"\b(?:invited|offered|encouraged|invit\w+|offer\w*|encourag\w+)\b.{0,30}\b(?:at random|randomly|"
              r"random)\b|"
              r"\brandomly (?:\w+ ){0,3}and (?:invited|offered|encouraged)"),
        (2.5, r"\bencourag(?:ed?|ing|ement)\b.{0,60}\b(?:to|toward|parents|them|individuals|people|citizens|"
              r"designs?)\b"),
        (2.0, r"\b(?:could not|couldn't|failed to|unable to|were not|was not) (?:\w+ )?(?:be )?(?:reach|contact|"
              r"deliver|"
              r"locat|receiv|support)\w*"),
        (2.5, r"\binten(?:t|tion)[- ]to[- ]treat\b|\btake-? ?up\b|\buptake\b"),
        (2.5, r"\b(?:whether|if|who|those)\b.{0,60}\b(?:actually|successfully) (?:\w+ )?(?:receiv|attend|participat|"
              r"complet|enrol|contact|connect|reach|open|use|took|taken|deliver)\w*|\bactually (?:received|attended|"
              r"participated|completed|enrolled|took part)"),
        (2.5, r"\b(?:invited|offered|eligible|assigned)\b.{0,80}\band (?:whether|if|those who)\b.{0,40}\b(?:attended|"
              r"participated|received|enrolled|accepted|opened|took)"),
        (2.0, r"\bas (?:good|if) as? ?random\w*|\bendogen\w+\b|\bexclusion restriction\b"),
        (1.5, r"\bnatural experiment\b|\bquarter of birth\b|\bdraft lotter\w+|\bdistance (?:to|"
              r"from) (?:the )?(?:nearest|"
              r"closest)"),
        (1.5, r"\blotter(?:y|ies)\b"),
    ),
    *_cues(
        "rct",
        (4.0, r"\brandomi[sz]ed (?:\w+[- ]){0,2}(?:trial|experiment|study|design|evaluation)s?\b|\bRCT\b|\bA/B test"),
        (4.0, r"\brandom(?:ly)? (?:\w+ ){0,2}(?:assign|alloc|divid|split|plac)\w*|\b(?:assign|alloc|divid|split)\w* "
              r"(?:\w+ ){0,8}(?:at random|randomly)\b"),
        (3.0, r"\bfield experiment\b|\bsurvey experiment\b|\blaborator?y experiment\b|\brandom test\b|\bconjoint\b|"
              r"\brandomi[sz](?:ed|ation|e)\b|\bdouble[- ]blind\b|\bplacebo\b"),
        (2.5, r"\bby lottery\b|\bcoin (?:flip|toss)\b|\bdrawn by lot\b|\brandomly (?:varied|shown|given|sent|told|"
              r"asked|"
              r"received?|exposed|matched|paired|switched|chosen to|selected to)\b"),
        (1.5, rf"\bat random\b{_SAMPLED}|\brandomly (?:selected|chosen){_SAMPLED}"),
        (1.5, r"(?<!quasi-)(?<!quasi )(?<!natural )\bexperiment(?:al)?\b|\bcontrol group\b|\btreatment group\b"),
    ),
    *_cues(
        "adjustment",
        (5.0, r"\bpropensity[- ]scores?\b|\bmatch(?:ed|ing) (?:on|estimat|method)\w*|\bselection on observables\b"),
        (1.5, r"\bobservational\b"),
        (1.0, r"\breal[- ]world (?:observation|data)\w*|\bcross[- ]sectional\b|\bretrospective\w*|\bcohort\b"),
        (2.0, r"\bconfound\w+\b|\b(?:controlling|adjust(?:ing|ed)?) for\b|\bself[- ]select\w*|\bvoluntar(?:y|ily)\b"),
        (0.5, r"\bsurvey(?:s|ed)?\b|\bquestionnaires?\b|\bquotas?\b|\brespondents?\b|\bhealth records\b|\bregistr(?:y|"
              r"ies)\b"),
        (1.0, r"\b(?:chose|choose|choice|decid\w+ (?:whether|to))\b|\bwhile (?:including|controlling|considering)\b"),
    ),
    *_cues(
        "frontdoor",
        (6.0, r"\bfront[- ]?door\b"),
        (3.0, r"\b(?:only|entirely|fully|solely) (?:through|via|by way of)\b|\bfully mediat\w+"),
        (1.5, r"\bmediat(?:or|ors|es|ed|ing|ion)\b|\bmechanism through which\b"),
    ),
)
