"""Sentence patterns: where a causal question names its cause and its outcome.

A question is cleaned of asides, then matched against patterns (``effect of X on Y``, ``what happens to Y when X``,
``are people more likely to Y when X``); if none fits, the first verb of change splits it: ``does X reduce Y``. The
parts that say for whom, compared with what, and held fixed at what are cut off the phrases and kept apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from whence.studies.stems import stem, tokens
from whence.studies.words import plain, sentences

_AUX = r"(?:does|do|did|will|would|can|could|may|might|should|has|have|had|is|are|was|were)"
_EFFECT = (r"(?:effects?|impacts?|influences?|consequences?|benefits?|repercussions?|implications?|role|contribution|"
           r"bearing|difference|harm)")
_CHANGED = (r"(?:increas|decreas|chang|declin|improv|ris|r[io]se|rose|fall|fell|drop|grow|grew|go up|went up|go down|"
            r"went down|worsen|shift|differ|var|respond|react|shr[iau]nk)\w*")
_ADVERB = (r"(?:causally|actually|really|significantly|substantially|directly|necessarily|measurably|truly|in fact|"
           r"on average|at all|ever|also|effectively|successfully|subsequently|ultimately|eventually|overall)")
_COMPARED = (r"(?:compared (?:to|with)|in comparison (?:to|with)|relative to|versus|vs\.?|rather than|instead of|"
             r"as opposed to|as compared (?:to|with)|in contrast (?:to|with)|over and above|than(?! \$?\d))")
_HELD = (r"(?:(?:while|when|after|by|if|once|even)\s+)*(?:also\s+|suitably\s+)?(?:accounting for|controlling for|"
         r"adjusting for|"
         r"adjusted for|considering|holding|conditioning on|conditional on|including|taking (?:\w+ ){0,3}into account|"
         r"net of|keeping|accounted for|we (?:control|adjust|account) for|you (?:control|adjust|account) for)")
_PEOPLE = (r"(?:women|men|girls|boys|males|females|people|persons|individuals|those|children|adults|students|pupils|"
           r"patients|workers|employees|voters|citizens|households|families|mothers|fathers|parents|participants|"
           r"respondents|customers|users|residents|farmers|firms|companies|schools|states|countries|municipalities|"
           r"villages|counties|districts|cities|applicants|candidates|teachers|youth|teenagers|adolescents|infants|"
           r"members|subjects|recipients|legislators|defendants|consumers|clients|drivers|immigrants|natives|whites|"
           r"blacks|hispanics|seniors|veterans|smokers|regions|neighborhoods|hospitals|borrowers|owners)")
_AMONG = rf"(?:among(?:st)?|within|(?:for|in|of) (?:\w+[ -]){{0,3}}?{_PEOPLE}\b)"

# What a pattern finds: t the cause's phrase, o the outcome's. The first that fits wins.
_PATTERNS = tuple(re.compile(p, re.IGNORECASE) for p in (
    rf"\b{_EFFECT} (?:\w+ )?of (?P<t>.+?) (?:has |have |had )?(?:on|for|upon|in terms of|regarding) (?P<o>.+)",
    rf"^(?:what (?:is|was|are|were) )?(?:the )?(?:\w+ )?{_EFFECT} on (?P<o>.+?) (?:of|from) (?P<t>.+)",
    rf"\b{_EFFECT} (?:if any )?{_AUX} (?P<t>.+?) (?:have|make|play|has|had|exert) (?:on|to|in|for|upon) (?P<o>.+)",
    rf"^(?P<t>.+?)'s? {_EFFECT} on (?P<o>.+)",
    r"\b(?:relationship|relation|association|link|connection|correlation) between (?P<t>.+?) and (?P<o>.+)",
    r"\bdifferences? in (?P<o>.+?) between (?P<t>.+)",
    r"\bdifference (?:does|do|did|would|will) (?P<t>.+?) make (?:to|for|in) (?P<o>.+)",
    r"\b(?:does|did|would) it (?:matter|make a difference) (?:to|for) (?P<o>.+?) (?:whether|if|that|when) (?P<t>.+)",
    r"\bwhat (?:happens|would happen|will happen|happened) to (?P<o>.+?) (?:if|when|after|because of|once|under) "
    r"(?P<t>.+)",
    r"\bhow (?:\w+ )?(?:important|crucial|relevant|useful|effective|successful|helpful|harmful|beneficial|good|bad) "
    rf"{_AUX} (?P<t>.+?) (?:for|to|in|at) (?P<o>.+)",
    r"\b(?:is|are|was|were) (?P<t>.+?) (?:effective|successful|useful|helpful|harmful|beneficial|good|bad|important|"
    r"associated|related|linked|responsible|detrimental) (?:at|in|for|to|with) (?P<o>.+)",
    r"\bhow much (?:more |less |fewer |higher |lower )?(?P<o>[\w\s]+?) (?:does|do|did|will|would|is|are|was|were) "
    r"(?P<t>.+?) (?:add|cost|worth|cause|bring|yield|save|generate|produce|gain|buy|have|get|receive|earn)\b",
    r"\bhow (?:much|many) (?:more|less|fewer|higher|lower)(?: (?P<x>[\w\s]+?))? (?:did|do|does|will|would|are|is|were) "
    r"(?:\w+ ){0,2}?(?:who|that|with|in|whose) (?P<t>.+?) (?P<o>\w+)(?: compared.*| than.*)?$",
    rf"^{_AUX} (?P<o>.+? (?:respond|react|behave|vote|act|perform|answer)) (?:any )?(?:differently|(?:more|less)(?: "
    rf"\w+)?|"
    rf"better|worse|faster|slower) (?:to|when|if|after|"
    rf"toward|"
    r"towards|depending on|under|with) (?P<t>.+)",
    rf"^{_AUX} .+? (?:more|less) (?:likely|willing|inclined|prone|apt|able) to (?P<o>.+?) (?:if|when|after|because|"
    rf"once|as "
    r"a result of|due to|under|following) (?P<t>.+)",
    rf"^{_AUX} (?:\w+ ){{0,3}}?(?:who|that|with|whose|exposed to|in|given|receiving|living|having|assigned to|from) "
    rf"(?P<t>.+?) "
    r"(?:more|less) (?:likely|willing|inclined|prone|apt|able) to (?P<o>.+)",
    rf"^{_AUX} (?P<t>.+?) (?:more|less) (?:likely|willing|inclined|prone|apt|able) to (?P<o>.+)",
    rf"^{_AUX} (?:\w+ ){{0,3}}?(?:who|that|whose|exposed to|assigned to|given) (?P<t>.+?) (?:tend to |go on to )?"
    r"(?:have|has|had|earn|get|show|report|experience|suffer|receive|spend|live|score|exhibit|see|face|display|achieve|"
    r"enjoy|obtain|vote|pay|perform) (?P<o>.+)",
    rf"^(?:how )?{_AUX} (?P<o>.+?) (?:{_CHANGED}) (?:\w+ )?(?:with|to|when|if|after|following|because of|due to|as a "
    rf"result "
    r"of|in response to|by|depending on|once|under|thanks to|across|between|whether) (?P<t>.+)",
    rf"\b{_AUX} (?P<o>.+?) (?:higher|lower|larger|smaller|better|worse|greater|longer|shorter|affected|influenced|"
    r"improved|caused|driven|determined|shaped|reduced|increased|raised|lowered|changed|altered|explained|impacted|"
    r"harmed|hurt|helped) (?:by|for|among|when|if|in|after|because of|due to|under|following) (?P<t>.+)",
    r"\b(?P<o>.+?) (?:depends? on|depended on|caused by|due to|because of|as a result of|thanks to|affected by) "
    r"(?P<t>.+)",
))
_VERBS = (
    "affect change influence impact alter shape increase raise reduce lower decrease improve worsen boost cut "
    "prevent cause make help add hurt harm drive promote discourage encourage lengthen shorten delay enhance "
    "strengthen weaken diminish stimulate spur deter lessen limit expand accelerate hasten slow facilitate hinder "
    "inhibit impede foster support undermine elevate depress alleviate mitigate exacerbate aggravate induce trigger "
    "generate produce yield create determine predict explain modify moderate protect save kill shift push motivate "
    "persuade convince mobilize double halve minimize maximize optimize suppress curb combat curtail restrict ease "
    "relieve aid benefit damage destroy erode heighten intensify amplify dampen offset counter reverse restore "
    "sustain maintain extend prolong attract repel reinforce transform revive spread widen narrow close bridge "
    "polarize crowd deteriorate empower enable allow"
).split()
_PHRASAL = (
    r"(?:leads?|led|causes?|caused|induces?|gets?|got|drives?|pushes?|motivates?|encourages?|persuades?|prompts?) "
    r"(?:\w+ ){0,3}?to|results? in|resulted in|contributes? to|contributed to|brings? about|brought about|gives? "
    r"rise to|"
    r"speeds? up|slows? down|cuts? down on|protects? against|matters? for|translates? into|plays? a (?:\w+ )?role in|"
    rf"(?:have|has|had|exert)s? (?:a|an|any|some|no)? ?(?:\w+ )?{_EFFECT} (?:on|in|for)|makes? a difference (?:to|"
    rf"for|in)|"
    r"drives? up|drives? down|pushes? up|brings? down|is associated with|are associated with|pays? off in"
)
_INFLECTED = "|".join(v[:-1] + "(?:e|es|ed)" if v[-1] == "e" else v + "(?:s|es|ed|ted|led)?" for v in _VERBS)
_VERB = re.compile(rf"\b(?:{_PHRASAL}|(?:{_INFLECTED}))\b", re.IGNORECASE)
_SURELY_VERB = re.compile(rf"(?:{_PHRASAL}|affect|influence|reduce|improve|raise|cause|prevent|worsen|enhance|lower|"
                          rf"alter)s?\b",
                          re.IGNORECASE)
_LEADS_ON = re.compile(rf"help|make|let|enable|allow|{_PHRASAL}", re.IGNORECASE)
_NOUN_BEFORE = re.compile(r"(?:^|\s)(?:an?|the|this|that|no|any|of|in|to|on|for|by|and|or|with|its|their|his|her)$",
                          re.IGNORECASE)
_NOUN_TOO = re.compile(r"increases?|decreases?|cuts?|changes?|shifts?|boosts?|supports?|benefits?|aids?|limits?|"
                       r"delays?",
                       re.IGNORECASE)
_SIZED = re.compile(r"(?:^|\s)(?:large|small|sharp|price|wage|tax|pay|rate|more|less|new|recent|big|sudden|budget)$",
                    re.IGNORECASE)
_NOUN_AFTER = re.compile(r"^(?:in|of|on|among|from|by|for|at|program\w*|polic\w+|services?|group|groups|and|or)\b",
                         re.IGNORECASE)


_RISE_IN = re.compile(r"^(?:an?|the|any|some|in)?\s*(?:\w+ )?(?:increases?|decreases?|reductions?|rises?|drops?|"
                      r"declines?|"
                      r"improvements?|gains?|falls?) (?:in|of) (?:the )?", re.IGNORECASE)
_RISE = re.compile(_RISE_IN.pattern + r"|^(?:reducing|increasing|improving|raising|lowering|decreasing|preventing|"
                                      r"boosting|"
                   r"changing|enhancing|promoting) (?:the )?", re.IGNORECASE)


LONGEST = 600  # characters of a question that are read: patterns would take too long on more


@dataclass(frozen=True)
class Phrases:
    """The parts of a question as written.

    treatment, outcome: the phrases, equal to the whole question when no pattern fits (``fits`` is then False).
    comparison: what the treatment is compared with. population: for whom. held: what is to be held fixed. question: all
    of it.
    """

    treatment: str
    outcome: str
    comparison: str = ""
    population: tuple[str, ...] = ()
    held: str = ""
    question: str = ""
    fits: bool = True


def read_phrases(question: str) -> Phrases:
    """Split a question into its phrases."""
    text, population = _frame(_main(question))
    text, held = _cut(text, rf",?\s*\b{_HELD}\b.*$", whole=True)
    inserted = re.search(rf",\s*({_COMPARED}\b[^,]*),", text, re.IGNORECASE)
    comparison = ""
    if inserted:
        comparison, text = inserted[1], text[: inserted.start()] + " " + text[inserted.end():].lstrip()
    text = re.sub(rf"\s*,?\s*\b{_ADVERB}\b,?(?= )", "", text, flags=re.IGNORECASE)
    pair = _split(text)
    if pair is None and population and (given := re.match(r"(?:if|when|once) (.+)", population[0], re.IGNORECASE)):
        likely = re.sub(rf"^(?:{_AUX} )?(?:it )?(?:more |less )?(?:likely|probable|expected|true)? ?(?:that )?", "",
                                                                                                     text,
                        flags=re.IGNORECASE)
        pair, population = (given[1], likely), ()
    if pair is None:
        return Phrases(text, text, comparison, population, held, question, fits=False)
    parts = []
    for phrase, whom in zip(pair, (_AMONG.replace("|in|of)", "|in)"), _AMONG), strict=True):
        phrase, among = _cut(phrase, rf",?\s*\b{whom}.*$")
        phrase, against = _cut(phrase, rf",?\s*\b{_COMPARED}\b.*$")
        among, beside = _cut(among, rf",?\s*\b{_COMPARED}\b.*$")
        against = against or beside
        comparison = comparison or against
        population += (among,) if among else ()
        parts.append(phrase.strip(" ,").rstrip(" ("))
    parts = [re.sub(_RISE_IN, "", parts[0]) or parts[0], _RISE.sub("", parts[1]) or parts[1]]
    return Phrases(parts[0], parts[1], comparison, population, held, question)


def phrases(question: str) -> tuple[str, str]:
    """The treatment's and the outcome's phrase; the whole question for both when no pattern fits."""
    read = read_phrases(question)
    return read.treatment, read.outcome


def _main(question: str) -> str:
    """The sentence that asks: the last with a question mark, or the last."""
    spoken = sentences(plain(question)) or [""]
    asking = [s for s in spoken if s.endswith("?")] or spoken[-1:]
    text = re.sub(r"\s+", " ", asking[-1]).strip()[:LONGEST].rstrip("?.! ")
    return re.sub(r"^(?:(?:please|can you|could you|i (?:want|would like) to (?:know|find out|learn|test|estimate)|"
                  r"we (?:want|"
                  r"would like) to (?:know|find out|test|estimate)|tell me|estimate|find out|investigate|determine|i "
                  r"wonder|"
                  r"to what extent|by how much|and|so|but)[ ,:]+)+", "", text, flags=re.IGNORECASE)


def _frame(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without an opening clause (``Among women, ...``), and that clause."""
    opening = re.match(
        r"(?:among(?:st)?|in|for|within|of|when|if|at|on|during|given|using|looking at|focusing on|restrict\w+ to|"
        r"limit\w+ to|consider\w*)\b(.+?),\s*(?=(?:what|how|does|do|did|is|are|was|were|will|would|can|could|has|"
        r"have|to what|"
        r"by how|which|why|do)\b)", text, re.IGNORECASE)
    return (text[opening.end():], (opening[0].strip(" ,"),)) if opening else (text, ())


def _cut(text: str, pattern: str, whole: bool = False) -> tuple[str, str]:
    """The text before a trailing clause, and the clause; uncut when too little would be left."""
    clause = re.search(pattern, text, re.IGNORECASE)
    if clause is None or not tokens(text[: clause.start()]) or (whole and _split(text[: clause.start()]) is None):
        return text, ""
    return text[: clause.start()].strip(), clause[0].strip(" ,")


def _split(text: str) -> tuple[str, str] | None:
    """Cause and outcome, by the patterns or else by the first verb of change."""
    for pattern in _PATTERNS:
        if match := pattern.search(text):
            t, o = match["t"].strip(), match["o"].strip()
            if tokens(t) and tokens(o):
                return t, o
    return _by_verb(text)


def _by_verb(text: str) -> tuple[str, str] | None:
    """``Does X reduce Y``: split at the first verb of change that is not used as a noun."""
    opening = re.match(rf"(?:(?:how|why|whether|if|when|what|to what extent|in what way)\s+(?:(?:much|strongly|far|"
                       rf"quickly|well) )?)?"
                       rf"(?:{_AUX}\s+)?", text, re.IGNORECASE)
    start = opening.end() if opening else 0
    for verb in _VERB.finditer(text, start):
        before, after = text[start: verb.start()].strip(), text[verb.end():].strip()
        if not tokens(before) or not after:
            continue
        if " " not in verb[0] and (_NOUN_BEFORE.search(before) or _NOUN_AFTER.search(after)):
            continue
        if _NOUN_TOO.fullmatch(verb[0]) and _SIZED.search(before) and _VERB.search(after):
            continue
        follower = _VERB.match(after)
        if _SURELY_VERB.match(after) and not _LEADS_ON.match(verb[0]):
            continue  # "did the wage increase affect jobs": the first was a noun
        if follower and _LEADS_ON.match(verb[0]):
            after = after[follower.end():].strip() or after
        after = re.sub(r"^to \w+ ", "", after)
        before = re.sub(r"\s+(?:help|helps|helped|likely|tend|tends|really)(?: to)?$", "", before)
        if tokens(before) and tokens(after):
            return before, after
    return None


def weigh(phrase: str) -> dict[str, float]:
    """Stem -> how much it counts: the head of the phrase most, what modifies it less, a comparison least."""
    weights: dict[str, float] = {}
    factor, heads, closed = 1.0, [], False
    before = ""
    phrase = re.sub(rf"\b{_COMPARED}\b", " VERSUS ", plain(phrase), flags=re.IGNORECASE)
    for word in re.findall(r"[\w.'-]+|[(),;]", phrase):
        low = word.lower()
        lower = _AFTER.get(word, _AFTER.get(low))
        if lower is None and low in ("the", "a", "an") and before not in _AFTER and before:
            lower = 0.6  # "the blame the public assigns": a new noun phrase begins
        if lower is not None:
            if heads:
                factor, closed = min(factor, lower), True
            before = low
            continue
        for token in tokens(word):
            weight = factor * (LIGHT_WEIGHT if token in LIGHT else 1.0)
            weights[token] = max(weights.get(token, 0.0), weight)
            if not closed and token not in LIGHT:
                heads.append(token)
        before = low
    if heads:
        weights[heads[-1]] *= HEAD_WEIGHT
    return weights


HEAD_WEIGHT = 1.4
_AFTER = {"VERSUS": 0.25}
_AFTER |= dict.fromkeys(("of", "(", ",", "and", "or"), 0.75)
_AFTER |= dict.fromkeys("in for at by during from between across before through over under as on to with about toward "
                        "towards among after into since until ; )".split(), 0.6)
_AFTER |= dict.fromkeys("when that which who if because while where whose whether".split(), 0.4)
LIGHT_WEIGHT = 0.3  # words of quantity and direction say little about which column is meant
LIGHT = frozenset(stem(w) for w in (
    "rate level number amount average total overall status change increase decrease reduction higher lower reduced "
    "perception perceived view opinion reported likelihood probability chance odds degree extent propensity percentage "
    "share proportion frequency occurrence measure outcome result more less greater individual new "
    "introduction implementation receive get have participate use significant improve boost reduce raise group "
    "different recent receipt presence being having exposure additional intense").split())
