"""What the name and the description of a column say of its part in a design, as weights in nats."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from whence.studies.words import Description, tokens

Hints = tuple[tuple[float, re.Pattern[str]], ...]


def _hints(*rows: tuple[float, str]) -> Hints:
    return tuple((weight, re.compile(pattern, re.IGNORECASE)) for weight, pattern in rows)


# What was decided for people, by lot, by a rule or by others: an assignment, an offer, an encouragement.
ASSIGNED = _hints(
    (4.0, r"\binstrument(?:al)?\b(?! (?:panel|play|less))|\bencouragement\b|\bexogenous(?:ly)?\b|\bas good as random"),
    (3.5, r"\brandomly (?:\w+ ){0,2}(?:assign|offer|invit|encourag|select|allocat|chosen|sent)\w*|\blotter(?:y|ies)\b"),
    (3.0, r"\b(?:offer(?:s|ed)?|invit(?:e|es|ed|ation|ations)|encourage[ds]?|voucher|mailers?|mailed|pamphlets?|"
          r"brochures?|coupons?|reminders?|outreach|nudge[ds]?|referral|leaflets?|"
          r"flyers?)\b|"
          r"\bassign(?:ed|ment)?\b|\brandomi[sz]\w+|\b(?:experimental|treatment|control|incentive|encouragement|"
          r"intervention) (?:groups?|arms?|conditions?)\b|"
          r"\bintent(?:ion)? to treat\b"),
    (2.5, r"\beligib\w+\b|\bprime[ds]?\b|\breceived (?:an? )?(?:\w+ )?(?:letter|reminder|mailer|call|invitation|"
          r"message|"
          r"voucher|offer)\b|\bsent (?:an? )?(?:\w+ )?(?:letter|reminder|email|message)"),
)
# What people then did or got.
TAKEN = _hints(
    (2.5, r"\b(?:actually|successfully|really)\b|\btake-?up\b|\buptake\b|\bcompli\w+"),
    (2.0, r"\b(?:attend|participat|enrol|complet|open|contact|connect|accept|adopt|deliver|reach|view|watch|join)"
          r"(?:l?ed|l?s|es|l?ment|ation|ance|ing)?\b|\btook part\b|\btaken?\b|\btook\b|\bused?\b|\busage\b"),
    (1.5, r"\breceiv(?:ed|es|ing)\b|\breceipt\b|\bsubscri\w+|\bgot\b"),
)
POST = _hints(
    (3.0, r"\bpost\b(?! ?(?:office|code|card|al))|\bpost-|\bbefore\b.{0,80}\bafter\b|\bafter\b.{0,80}\bbefore\b|"
          r"\bpre\b.{0,20}\bpost\b"),
    (2.0, r"^\W*after\b|\bafter (?:the )?(?:treatment|policy|reform|law|intervention|program(?:me)?|change|19|20)|"
          r"\b(?:second|later) (?:period|wave|round)\b"),
)
TIME = _hints(
    (2.0, r"\b(?:year|yr|month|quarter|week|day|date|time|period|wave|round|season|semester|term)s?\b"),
)
UNIT = _hints(
    (2.0, r"\b(?:id|ids|code|fips|identifier)\b|\b(?:state|country|county|city|municipality|region|district|province|"
          r"firm|company|store|school|village|household|hospital|person|individual|unit|panel)\b"),
)
# A number that only names something.
CODE = re.compile(r"\b(?:ids?|codes?|fips|identifiers?)\b|^(?:unit|person|individual|household|firm|school|state|"
                  r"country|"
                  r"county|municipality|district|subject|participant|respondent)\b(?! (?:size|age|income|level|score))",
                  re.IGNORECASE)
RUNNING = _hints(
    (4.0, r"\b(?:running|forcing|assignment) variable\b|\brunning\b|\bforcing\b|\bcut-?offs?\b|\bthresholds?\b|"
          r"\bmargin of (?:victory|winning)|\b(?:vote|victory|win(?:ning)?) margin\b"),
    (2.5, r"\beligib\w+ (?:score|index)|\bcent(?:er|re)d\b|\brelative to\b|\bmargin\b|\bscores?\b"),
    (1.5, r"\bvote share\b|\bshare of (?:\w+ )?votes?\b|\bpoints?\b|\bpopulation\b|\binhabitants\b|\bage\b|\bgpa\b|"
          r"\bincome\b|\bdistance\b|\brating\b|\bgrade\b|\btest\b"),
)
# What a number counts, and the words of columns that hold such numbers.
MEASURES = tuple((re.compile(rf"\d\W+(?:{after})\b", re.IGNORECASE), re.compile(rf"\b(?:{called})\b", re.IGNORECASE))
                 for after, called in (
    (r"met(?:er|re)s?|kilomet(?:er|re)s?|km|miles?|feet|yards", r"distance|met(?:er|re)s|km|miles"),
    (r"years? (?:old|of age)|birthday|(?:st|nd|rd|th) birthday", r"age|birth"),
    (r"inhabitants|residents|people|citizens", r"population|pop|inhabitants|residents"),
    (r"workers|employees|staff", r"workers|employees|staff|size|employment"),
    (r"points?", r"scores?|points|grades?|test"),
    (r"percent|%|per cent", r"share|percent|margin|votes?"),
))
MEDIATOR = _hints(
    (4.0, r"\bmediat\w+|\bmechanism\b|\bfront[- ]?door\b"),
    (1.5, r"\bintermediate\b|\bin between\b"),
)
# Traits that people bring along, before any treatment.
TRAIT = _hints(
    (1.0, r"\b(?:age|aged|sex|gender|male|female|woman|man|race|racial|ethnic\w*|black|white|hispanic|latino|asian|"
          r"educ|education(?: years| level)?|schooling|degree|diploma|married|marital|parent\w*|mother\w*|father\w*|"
          r"born|"
          r"birth\w*|baseline|prior|previous\w*|past|history|siblings?|religio\w*|urban|rural|minority|democrat|"
          r"republican|race)\b"),
)
# What people are, have and do, besides traits.
PERSONAL = re.compile(
    r"\b(?:income|earnings|employ\w*|unemploy\w*|work(?:ing)?|job|occupation|hours?|experience|tenure|household|"
    r"children|"
    r"family|health\w*|stress|scores?|status|insurance|insured|smok\w*|exercis\w*|physical activity|alcohol|residen\w+|"
    r"membership|member|weight|bmi|height|severity|diagnos\w+|condition|symptoms?|expens\w+|savings?|debt|assets?|"
    r"interest|engagement|attitude|motivation|ability|iq|gpa|grades?|language|disability|own(?:s|ed|er|ership)|network|"
    r"participat\w+|political|ideology|credit|visits?|medication|veteran|convictions?|offen[cs]es?)\b", re.IGNORECASE)
# What surrounds people rather than belongs to them: supply, places, prices, policies, who serves them, the weather.
_LOCAL = (r"\b(?:local|regional|county|state|national|federal|city|town|municipal|government|district|neighbou?rhood|"
          r"area|community|market|nearby|school|hospital|clinic|firm|industry)(?:[- ](?:level|specific))?")
_SERVE = (r"\b(?:therapist|physician|doctor|surgeon|psychologist|teacher|tutor|judge|provider|nurse|instructor|trainer|"
          r"counsel+or|mentor|officer|lawyer|attorney|coach|clinician|caseworker|agent|manager)(?:'?s)?'?")
SURROUNDINGS = _hints(
    (2.5, r"\b(?:policy|programme|program|law|reform) (?:roll-?out|expansion|change|timing|availability|coverage|"
          r"strictness|generosity|implementation)\b|\broll-?out\b|\bdistance (?:to|from)\b|\bproximity\b|\brainfall\b|"
          r"\bweather\b|\btemperature\b|\bquarter (?:of|in which) (?:\w+ ){0,3}(?:birth|born)\b|\blotter(?:y|ies)\b|"
          rf"{_SERVE} (?:leniency|preference|strictness|tendency)"),
    (2.0, rf"{_LOCAL} (?:\w+ ){{0,2}}(?:unemployment|rate|budget|policy|price|tax|supply|availability|capacity|density|"
          r"conditions?|spending|funding|demand|climate|programs?|coverage)\b|"
          rf"{_SERVE} (?:\w+ )?(?:experience|availability|training|quality|skill|number|ratio|density)"),
    (1.5, r"^[^.]*\b(?:policy|policies|legislation|regulations?|law|reform|initiative)\b(?! (?:holder|"
          r"support))|"
          r"\b(?:media|advertis\w+|campaign) (?:coverage|intensity|spending|exposure)\b|\bwaiting (?:time|list)|"
          r"\baccess(?:ibility)? (?:to|of)\b|\bquality of (?:the )?(?:school|hospital|clinic|provider|facilit)\w*|"
          r"\b(?:genetic|genotype|allele|polygenic)\b|\bseason(?:al)?\b|\bclimate\b"),
    (1.5, r"\b(?:availability|presence|supply|number|density|existence) of (?:a |an |the )?(?:\w+ ){0,2}(?:agreement|"
          r"clinic|hospital|school|college|bank|centre|center|provider|program|programme|facilit|service|store|office|"
          r"law|"
          r"policy|train|bus|station|polic|doctor|physician|teacher|therapist)\w*|\b(?:clinic|hospital|school|college|"
          r"bank|"
          r"center|provider|facility) (?:proximity|density|availability|capacity|openings?)|\bprice of\b|"
          r"\btax(?:es)? (?:rate|on)\b|\bexchange rate\b|\btariffs?\b|\bsubsid(?:y|ies) (?:rate|policy)|"
          r"\bother countries\b|\bleave-one-out\b|\bof others?\b|\bto[- ]others?\b|\bneighbou?ring\b|\bpeers?\b"),
)


def said_of(column: str, described: Mapping[str, Description]) -> str:
    """The name of a column as words, then its description: all of a line that begins with the name, and of a sentence
    that speaks of several columns only the part before the next comma."""
    name = re.sub(r"[_.]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column))
    if column not in described:
        return name
    given = described[column]
    own = given.sentence.lstrip(" -*•'`\"").lower().startswith(column.lower())
    return f"{name}. {given.text if own else re.split(r'[,;]', given.text)[0]}"


@functools.lru_cache(maxsize=8192)
def hint(text: str, hints: Hints) -> tuple[float, str]:
    """The weight of the heaviest hint in ``text``, with what was read; 0 and no words where there is none."""
    for weight, pattern in hints:
        if found := pattern.search(text):
            return weight, found[0]
    return 0.0, ""


def shared(first: str, second: str) -> float:
    """Share of the stems of the shorter name that the other name has, 0 to 1."""
    a, b = set(tokens(first)), set(tokens(second))
    return len(a & b) / min(len(a), len(b)) if a and b else 0.0
