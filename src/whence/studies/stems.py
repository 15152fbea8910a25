"""Stems: plain English cut to comparable word stems, the same for questions, descriptions and column names.

No dictionary to download: endings are cut by rule (after Porter, An algorithm for suffix stripping, 1980, simplified);
irregular forms, British spellings and number words are listed here, synonyms and abbreviations in ``lexicon``.
"""

from __future__ import annotations

import functools
import re

_WORD = re.compile(r"[A-Za-zÀ-ɏ]+|\d+(?:\.\d+)?")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])|(?<=[a-z]{2})(?=[A-Z])")
_POSSESSIVE = re.compile(r"['’]s\b|(?<=s)['’](?=\s|$)")
_E_WORD = re.compile(r"\be-(?=[a-z]{3})(?!mail)", re.IGNORECASE)
_USA = re.compile(r"\bU\.\s?S\.(?:\s?A\.)?|\bUS\b(?!\$)")

STOP_WORDS = frozenset(
    "a an and any are as at be been being by can could did do does doing for from had has have having how i if in "
    "into is it its itself many may me might much must my more most no nor not of on one or our over own should "
    "so some such than that the their them then there these they this those through to too under until up upon us "
    "very was we were what when where whether which while who whom whose why will with within without would you "
    "your about after all along also am among between both but compared each effect effects impact impacts "
    "influence variable column value values measure measured measures indicates indicating indicator represents "
    "denotes otherwise binary dummy equal equals yes i.e e.g etc respectively per via s t people person".split()
)
_SPELLINGS = {
    "labour": "labor", "behaviour": "behavior", "neighbour": "neighbor", "neighbourhood": "neighborhood",
    "favour": "favor", "favourable": "favorable", "colour": "color", "honour": "honor", "rumour": "rumor",
    "programme": "program", "programmes": "program", "centre": "center", "centres": "center", "litre": "liter",
    "metre": "meter", "defence": "defense", "offence": "offense", "licence": "license", "cheque": "check",
    "paediatric": "pediatric", "anaemia": "anemia", "tumour": "tumor", "haemoglobin": "hemoglobin", "ageing": "aging",
    "fibre": "fiber", "tyre": "tire", "counselling": "counseling", "travelling": "traveling", "grey": "gray",
    "judgement": "judgment", "enrol": "enroll", "fulfil": "fulfill", "catalogue": "catalog", "dialogue": "dialog",
    "homoeopathy": "homeopathy", "diarrhoea": "diarrhea", "foetus": "fetus", "foetal": "fetal", "oestrogen": "estrogen",
    "leukaemia": "leukemia", "orthopaedic": "orthopedic", "anaesthesia": "anesthesia", "sulphur": "sulfur",
}
_IRREGULAR = {
    "children": "child", "kids": "child", "kid": "child", "women": "woman", "womens": "woman", "men": "man",
    "mens": "man", "wives": "wife", "lives": "life", "mice": "mouse", "feet": "foot", "teeth": "tooth",
    "died": "death", "die": "death", "dies": "death", "dying": "death", "dead": "death", "deaths": "death",
    "bought": "buy", "taught": "teach", "caught": "catch", "thought": "think", "sought": "seek", "brought": "bring",
    "won": "win", "winner": "win", "lost": "lose", "loss": "lose", "losses": "lose", "spent": "spend", "paid": "pay",
    "sold": "sell", "sale": "sell", "sales": "sell", "grew": "grow", "grown": "grow", "growth": "grow",
    "chose": "choose", "chosen": "choose", "choice": "choose", "choices": "choose", "rose": "rise", "risen": "rise",
    "fell": "fall", "fallen": "fall", "ate": "eat", "eaten": "eat", "drank": "drink", "drunk": "drink",
    "slept": "sleep", "left": "left", "gave": "give", "given": "give", "got": "get", "gotten": "get", "went": "go",
    "gone": "go", "took": "take", "taken": "take", "held": "hold", "kept": "keep", "met": "meet", "ran": "run",
    "saw": "see", "seen": "see", "knew": "know", "known": "know", "knowledge": "know", "wrote": "write",
    "written": "write", "spoke": "speak", "spoken": "speak", "speech": "speak", "broke": "break", "broken": "break",
    "built": "build", "felt": "feel", "heard": "hear", "led": "lead", "lent": "lend", "loan": "loan", "loans": "loan",
    "rode": "ride", "drove": "drive", "driven": "drive", "driver": "drive", "stole": "steal", "stolen": "steal",
    "theft": "theft", "thefts": "theft", "sent": "send", "data": "data", "criteria": "criterion", "heavier": "heavy",
    "analyses": "analysis", "crises": "crisis", "diagnoses": "diagnosis", "diagnosed": "diagnosis", "wore": "wear",
    "worn": "wear", "born": "birth", "births": "birth", "happier": "happy", "happiness": "happy", "healthier": "health",
    "healthy": "health", "older": "old", "elder": "old", "elderly": "old", "younger": "young", "better": "better",
    "wealthier": "wealth", "wealthy": "wealth", "weights": "weight", "weighed": "weight", "weigh": "weight",
    "heights": "height", "lengths": "length", "longer": "long", "economics": "economic", "politics": "political",
    "news": "news", "us": "us", "gas": "gas", "bus": "bus", "buses": "bus", "police": "police", "policing": "police",
    "general": "general", "university": "university", "universities": "university", "universal": "universal",
    "organ": "organ", "organs": "organ", "organic": "organic", "state": "state", "states": "state", "status": "status",
    "station": "station", "stations": "station", "statistics": "statistic", "marital": "marry", "marriage": "marry",
    "marriages": "marry", "married": "marry", "poverty": "poor", "poorer": "poor", "sexes": "sex",
    "sexual": "sexual", "ratio": "ratio", "ration": "ration", "nation": "nation", "national": "nation",
    "nations": "nation", "native": "native", "party": "party", "parties": "party", "partial": "partial",
    "partner": "partner", "partners": "partner", "parent": "parent", "parental": "parent", "country": "country",
    "countries": "country", "county": "county", "counties": "county", "village": "village", "villages": "village",
    "later": "late", "latest": "late", "earlier": "early", "sooner": "soon", "fewer": "few", "order": "order",
    "orders": "order", "number": "number", "numbers": "number", "gender": "gender", "water": "water", "power": "power",
    "letter": "letter", "letters": "letter", "paper": "paper", "papers": "paper", "color": "color", "fever": "fever",
    "cancer": "cancer", "cancers": "cancer", "summer": "summer", "winter": "winter", "quarter": "quarter",
    "quarters": "quarter", "computer": "computer", "computers": "computer", "member": "member", "members": "member",
    "membership": "member", "character": "character", "matter": "matter", "river": "river", "tower": "tower",
    "corner": "corner", "flower": "flower", "liver": "liver", "liberal": "liberal", "capital": "capital",
    "animal": "animal", "hospital": "hospital", "hospitals": "hospital", "hospitalized": "hospital",
    "hospitalised": "hospital", "hospitalization": "hospital", "hospitalisation": "hospital", "rural": "rural",
    "journal": "journal", "metal": "metal", "minority": "minority", "minorities": "minority", "majority": "majority",
    "security": "security", "city": "city", "cities": "city", "ability": "ability", "facility": "facility",
    "facilities": "facility", "community": "community", "communities": "community", "quality": "quality",
    "quantity": "quantity", "equality": "equality", "reality": "reality", "authority": "authority",
    "authorities": "authority", "property": "property", "charity": "charity", "council": "council",
    "election": "election", "elections": "election", "elected": "elect", "electoral": "election", "online": "online",
    "medicine": "medic", "medicines": "medic", "mother": "mother", "mothers": "mother", "father": "father",
    "fathers": "father", "brother": "brother", "brothers": "brother", "sister": "sister", "sisters": "sister",
    "other": "other", "others": "other", "another": "other", "seed": "seed", "seeds": "seed", "need": "need",
    "needs": "need", "speed": "speed", "bed": "bed", "red": "red", "fed": "feed", "degree": "degree",
    "degrees": "degree", "fee": "fee", "fees": "fee", "free": "free", "coffee": "coffee", "committee": "committee",
    "tree": "tree", "trees": "tree", "family": "family", "families": "family", "familial": "family", "daily": "day",
    "days": "day", "monthly": "month", "weekly": "week", "yearly": "year", "annual": "year", "annually": "year",
    "hourly": "hour", "ring": "ring", "spring": "spring", "king": "king", "evening": "evening", "morning": "morning",
    "during": "during", "bring": "bring", "string": "string", "thing": "thing", "nothing": "nothing", "wing": "wing",
    "sibling": "sibling", "siblings": "sibling", "wedding": "wedding", "building": "building", "housing": "house",
    "buildings": "building", "union": "union", "unions": "union", "million": "million", "billion": "billion",
    "opinion": "opinion", "opinions": "opinion", "region": "region", "regions": "region", "regional": "region",
    "religion": "religion", "religious": "religion", "religiosity": "religion", "mission": "mission",
    "season": "season", "person": "person", "persons": "person", "percent": "percent", "percentage": "percent",
    "experiment": "experiment", "experimental": "experiment", "document": "document", "comment": "comment",
    "cement": "cement", "moment": "moment", "department": "department", "environment": "environment",
    "environmental": "environment", "business": "business", "businesses": "business", "illness": "ill",
    "witness": "witness", "fitness": "fit", "wellness": "wellness", "wellbeing": "wellbeing", "english": "english",
    "aid": "aid", "age": "age", "ages": "age", "aged": "age", "aging": "age", "wage": "wage", "wages": "wage",
    "page": "page", "image": "image", "race": "race", "racial": "race", "races": "race",
    "use": "use", "used": "use", "uses": "use", "user": "use", "users": "use", "using": "use", "usage": "use",
    "less": "less", "process": "process", "access": "access", "accessed": "access", "press": "press",
    "ease": "easy", "easier": "easy", "easily": "easy", "easiest": "easy", "offer": "offer", "offers": "offer",
    "offered": "offer", "offering": "offer", "stress": "stress",
    "success": "success", "successful": "success", "successfully": "success",
}
_NUMBERS = {w: str(i) for i, w in enumerate(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty".split())} | {
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90",
    "hundred": "100", "thousand": "1000", "first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5",
    "sixth": "6", "twice": "2", "1st": "1", "2nd": "2", "3rd": "3"}
_SUFFIXES = (
    ("fulness", ""), ("tiveness", "t"), ("siveness", "s"), ("lessness", ""), ("ization", "iz"), ("isation", "iz"),
    ("ational", ""), ("ations", ""), ("ation", ""), ("ements", ""), ("ement", ""), ("ments", ""), ("ment", ""),
    ("iness", "i"), ("ness", ""), ("ibility", ""), ("ability", ""), ("ivity", ""), ("icity", ""), ("ities", ""),
    ("ity", ""), ("ising", "iz"), ("izing", "iz"), ("ised", "iz"), ("ized", "iz"), ("ise", "iz"), ("ize", "iz"),
    ("ingly", ""), ("edly", ""), ("ings", ""), ("ing", ""), ("ions", ""), ("ion", ""), ("tives", "t"), ("tive", "t"),
    ("sives", "s"), ("sive", "s"), ("ants", ""), ("ant", ""), ("ances", ""), ("ance", ""), ("ences", ""), ("ence", ""),
    ("ents", ""), ("ent", ""), ("ated", ""), ("ates", ""), ("ate", ""), ("ously", ""), ("ous", ""), ("fully", ""),
    ("ful", ""), ("able", ""), ("ically", ""), ("ical", ""), ("ials", ""), ("ial", ""), ("als", ""), ("ally", ""),
    ("al", ""), ("ic", ""), ("isms", ""), ("ism", ""), ("ists", ""), ("ist", ""), ("ships", ""), ("ship", ""),
    ("ees", ""), ("ee", ""), ("ified", "if"), ("ifies", "if"), ("ify", "if"), ("iers", "i"), ("ier", "i"),
    ("ers", ""), ("er", ""), ("ied", "i"), ("ies", "i"), ("ed", ""), ("ily", "i"), ("ly", ""), ("es", ""), ("at", ""),
    ("e", ""),
)
_SHORT = frozenset({"ing", "ings", "ed", "es", "e", "ers", "er", "ees", "ee", "ies", "ied", "ion", "ions"})


@functools.lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """The stem of one word: lower case, listed forms as listed, otherwise endings cut while at least three or four
    letters remain. Number words become digits."""
    word = word.lower()
    word = _SPELLINGS.get(word, word)
    if word in _NUMBERS:
        return _NUMBERS[word]
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 3 or not word.isalpha():
        return word
    if word[-1] == "s" and word[-2] not in "sui" and not word.endswith("ies"):
        word = word[:-2] if word.endswith(("sses", "ches", "shes", "xes", "zes")) else word[:-1]
        word = _IRREGULAR.get(word, word)
    for _ in range(2):
        shorter = _cut(word)
        if shorter == word:
            break
        word = shorter
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeious":
        word = word[:-1]  # quitt -> quit, enroll -> enrol
    return word[:-1] + "i" if len(word) > 3 and word[-1] == "y" and word[-2] not in "aeiou" else word


def _cut(word: str) -> str:
    for suffix, instead in _SUFFIXES:
        if word.endswith(suffix):
            kept = len(word) - len(suffix)
            least = 3 if suffix in _SHORT else 5 if suffix == "at" else 4
            if kept >= least and any(c in "aeiouy" for c in word[:kept]):
                return word[:kept] + instead
    return word


def tokens(text: str) -> tuple[str, ...]:
    """Stemmed content words of a phrase or a column name (``wage_1999``, ``jobTraining``, ``2weeks`` are split)."""
    return tuple(stem(w) for w in words(text) if w.lower() not in STOP_WORDS)


def words(text: str) -> list[str]:
    """The words and numbers of a text as written, compounds of a column name split."""
    text = _E_WORD.sub("electronic ", _USA.sub("USA", text))
    return _WORD.findall(_CAMEL.sub(" ", _POSSESSIVE.sub("", text).replace("_", " ")))
