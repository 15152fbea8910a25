"""Synonyms and abbreviations: a small general thesaurus of everyday English and of the social and health sciences.

Each group of ``GROUPS`` (between bars) is a set of words that may stand for one another in a question and a
description. They are general language, not the words of any data set. Words are compared by their stems, so one form
of each is enough. ``ABBREVIATIONS`` are short forms usual in column names.
"""

from __future__ import annotations

import functools

from whence.studies.stems import stem

GROUPS = """
wage earnings income pay salary compensation remuneration|income revenue|wealth assets fortune networth
poor poverty deprived disadvantaged|debt owe liability arrears|repayment payment pay paid
loan credit borrow microcredit|savings save deposit|spend expenditure expense cost outlay|consumption consume
price cost charge fee|buy purchase shop order|sell sale|profit earnings return|tax levy duty excise tariff
subsidy grant aid voucher support assistance|benefit transfer welfare assistance|funding finance grant budget
donation donate give contribution charity|job employment work occupation|employment employed hired working
unemployment unemployed jobless|hire recruit employ|worker employee staff labor
employer firm company business enterprise|firm company business corporation enterprise plant establishment
entrepreneur business self-employed startup|manager boss supervisor executive|productivity output efficiency
output production produce|export import trade|retire retirement pension|insurance insured coverage
training train course instruction workshop class|education schooling school educational|education degree qualification
school college university|college university higher-education tertiary|student pupil learner
teacher instructor educator|grade mark score gpa|test exam examination assessment|score points index
achievement performance attainment results grade|performance result outcome|knowledge understand awareness literacy
literacy reading read|math mathematics arithmetic numeracy|attend attendance participate presence
absent absence absenteeism truancy miss|dropout graduate complete|graduate graduation diploma completion
enroll enrollment register join sign-up|tutor mentor coach|scholarship aid bursary grant|child kid
child infant baby newborn|birth natality fertility|fertility childbearing
pregnancy pregnant prenatal maternal antenatal|mother maternal mom|father paternal dad|parent mother father
family household home|household home|sibling brother sister|spouse husband wife partner|marriage marital wed
divorce separation|woman female girl lady|man male boy|gender sex|young youth adolescent teen juvenile minor
old elder senior aged|age old|adult grownup|race ethnicity ethnic|white caucasian
immigrant migrant foreign-born foreigner newcomer|immigration migration|native native-born
citizen citizenship national|minority ethnic|religion faith church worship|death mortality fatality die lethal
death killed|survive survival alive|life longevity lifespan|health healthy wellbeing
illness disease sickness sick morbidity|disease condition disorder|injury wound hurt trauma|accident crash collision
infection infected virus outbreak epidemic|vaccine vaccination immunization shot|drug medication medicine pill
drug narcotic substance|drug treatment therapy|treatment intervention program|treatment therapy care
therapy counsel psychotherapy|surgery operation procedure|doctor physician clinician|nurse caregiver|patient case
hospital clinic admission inpatient|emergency er ed|visit appointment|recovery recover heal rehabilitation
rehabilitation rehab|symptom sign|pain ache|depression depressed depressive mood|anxiety anxious worry stress
stress strain pressure|mental psychological psychiatric|happy wellbeing satisfaction|satisfaction satisfied content
wellbeing well-being wellness|weight obesity bmi overweight obese|diet nutrition food eat meal|food nutrition grocery
hunger malnutrition|exercise activity active sport fitness|smoke cigarette tobacco smoker|alcohol drink beer wine
blood pressure|pressure hypertension|sugar glucose diabetes|heart cardiac cardiovascular coronary
lung pulmonary respiratory|brain cognitive|cognitive intelligence iq mental|sleep rest|crime offense arrest
crime criminal delinquency|homicide murder killing manslaughter|theft larceny steal burglary robbery
violence violent assault|arrest detain custody|police officer|prison jail incarceration imprisonment
sentence sentencing imprisonment|conviction convicted guilty|recidivism reoffend rearrest relapse|defendant offender
victim victimization|court judge trial|law act legislation statute bill|law policy rule regulation reform
policy reform program initiative|program initiative scheme project|ban prohibition prohibit forbid
legal lawful legalize|right entitlement|enforce enforcement|government public|government administration
governor executive|legislator lawmaker representative politician|congress parliament legislature|parliament mp
politician officeholder candidate|mayor municipal|election vote ballot poll|vote ballot turnout
turnout participation voting|voter electorate citizen|candidate contender|incumbent reelection
campaign advertise canvass|advertise ad advertisement commercial|party partisan affiliation|democrat democratic
republican gop|liberal left progressive|conservative right|ideology ideological
democracy democratic democratization polity
corrupt corruption bribe malfeasance|trust confidence|confidence certainty sure|fair equity justice
honest integrity clean|integrity clean|war conflict fighting|conflict violence|peace peaceful|attack raid assault
army military soldier veteran|protest demonstration unrest|attitude opinion view belief|opinion support approval
support favor endorse back|perception perceive view|belief think|preference prefer favor choose
willing intention intend|interest interested|blame responsible fault|prejudice bias discrimination|identity identify
media news press|newspaper paper|tv television|radio broadcast|internet online web digital|digital electronic computer
electronic online|phone telephone mobile call|call contact|letter mail mailer postcard|email message
message text notification|contact reach|reminder nudge prompt|information inform message|speech talk|language speak
city town urban municipality|urban city metropolitan|rural countryside village farm|neighborhood area community
area region zone district|region province state|country nation|house housing home dwelling|rent tenant renter
homeowner ownership|land farm plot field|farm agriculture agricultural|crop harvest yield|fertilizer manure
rain rainfall precipitation|temperature heat warm|climate weather|pollution emission air|emission carbon co2
energy electricity power|electricity electrification power grid|connect connection access
access available availability|water sanitation|car vehicle automobile|drive driving|travel trip commute
traffic congestion|distance far proximity|time duration length|duration length long|speed fast quick rapid|fast quick
wait delay|early before|late after|year annual|prior previous past|recent new|start begin launch onset|end stop quit
stop cease quit|continue retain retention persist|retention retain stay|leave quit exit|increase rise grow raise gain
growth grow|decrease fall decline drop reduce reduction|reduce lower cut decrease|change shift
high more greater|comply compliance cooperate cooperation obey|life welfare wellbeing
highest maximum max top|lowest minimum min
low less|size large scale|share fraction proportion percent|share percentage|number count total|frequency times often
probability likelihood chance odds|risk hazard danger|rate incidence|incidence occurrence prevalence
occurrence event happen|quality good|easy ease simple convenient|difficult hard|good well|bad poor|important salient
effective effectiveness efficacy success|success succeed win|win victory|lose defeat|margin lead
competition compete rival|market sector industry|industry manufacturing|customer consumer client|client patient
user subscriber member|member membership|subscribe subscription|use usage utilize|take-up uptake adoption
adopt implement introduce enact|implement rollout implementation|install build|participate attend join take
receive get obtain|assign allocate|offer invite invitation|invite encourage encouragement|encourage promote
eligible eligibility qualify|apply application applicant|approve approval decision|decision decide
reply respond response answer|click open|rating evaluation review|evaluation assessment appraisal|experience tenure
skill ability competence|competent qualified capable|qualified qualification|staff personnel
population inhabitants residents|resident inhabitant|person individual people|group team|leader head|boss manager
speak english|gift present|friend peer|peer classmate|network connection|social community|volunteer civic
charity philanthropy|refugee displaced asylum|slavery slave|colonial colony|trade commerce|bank branch
stock share equity|investment invest|innovation patent|technology tech|computer laptop|game play|music song
book reading|film movie|sport athlete|species animal|tree forest|forest deforestation|fish catch|soil land
bankrupt insolvency|inflation prices|interest rate|gdp output income|economy economic|economic financial
inequality gap disparity|gap difference|mobility move|move relocate migrate|segregation integration
desegregation integration|abortion termination|contraception contraceptive birth-control|hiv aids|cancer tumor
stroke cerebrovascular|asthma respiratory|cholesterol lipid ldl|dose dosage amount|placebo sham|hour time
workload hours|safety safe|secret secrecy privacy|privacy private|public government|private
transparency transparent open|count counted tally|select choose pick|choose choice|speedy quick|clean fair
memory recall|attention focus|motivation motivated effort|effort work|creative creativity|aggression aggressive
empathy compassion|lonely loneliness isolation|gambling betting|gun firearm weapon
stop quit cease cessation|message mail letter|violence attack harm injury|demand quantity sell
education college schooling|preschool kindergarten nursery childcare education childhood
""".strip()

ABBREVIATIONS = """
acad academic|acct account|adj adjusted|admin administration|admit admission|adv advertising|afr african
ag agriculture|agri agriculture|alc alcohol|amt amount|anx anxiety|app application|appl application|approv approval
arr arrest|assoc association|att attendance|attn attention|avail available|ave average|avg average|ba bachelor
base baseline|bgt budget|bin binary|biz business|blk black|bmi weight|bp blood|bp pressure|brd board|brth birth
bus business|bw birthweight|cal calendar|cand candidate|cap capital|cat category|cc credit|cert certificate|ch child
char character|chd child|chg change|chld child|chng change|chol cholesterol|cig cigarette|cigs cigarette|cit citizen
cl class|cls class|cnt count|cnty county|co county|cog cognitive|coh cohort|col college|coll college|com community
comm community|comp competition|conf confidence|cong congress|cons consumption|cont continuous|contr control
corr corruption|cov covariate|cred credit|crim crime|ctr center|ctrl control|cty county|cum cumulative|cust customer
cv coefficient|dbp blood|dbp pressure|dem democrat|demo democracy|dep depression|depr depression|dept department
dev development|diab diabetes|diag diagnosis|diff difference|dis disease|disab disability|disc discount|dist distance
dist district|div diversity|doc doctor|dol dollar|dur duration|ec economic|econ economic|ed education|edu education
educ education|eff effort|elec election|elec electricity|elect election|elem elementary|elig eligible|eligib eligible
emer emergency|emp employment|empl employment|employ employment|eng english|enr enrollment|env environment
equip equipment|eth ethnicity|ethn ethnicity|eval evaluation|exp expenditure|exp experience|exp exposure
expend expenditure|exper experience|expos exposure|fac facility|fam family|fath father|feduc education|feduc father
fem female|fert fertility|fert fertilizer|fin financial|fr french|freq frequency|fs food|fu followup|gen gender
gnd gender|gov government|gov governor|govt government|gr grade|grad graduate|grp group|gvt government|ha hectare
hc health|hd head|hgt height|hh household|hhinc household|hhinc income|hhsize household|hhsize size|hi high
hisp hispanic|hlth health|hlthy health|hosp hospital|hr hour|hrs hour|hs school|hsgrad graduate|hsgrad school
hsng housing|ht height|hw homework|id identifier|ideo ideology|imm immigrant|immig immigrant|imp import
impr improvement|inc income|incum incumbent|ind individual|ind industry|indiv individual|inf infant|infl inflation
info information|init initial|ins insurance|insur insurance|int interest|intl international|inv investment
iq intelligence|jail prison|kg weight|lab labor|lang language|lat latitude|leg legislator|legis legislator|len length
lf labor|lib liberal|lic license|lit literacy|ln log|lnw log|lnw wage|lnwage log|lnwage wage|loc location
lon longitude|lvl level|lw log|lwage log|lwage wage|maj majority|marr married|mat maternal|max maximum|med median
med medical|meduc education|meduc mother|memb member|mfg manufacturing|mgr manager|mil military|min minimum
min minority|mins minute|misc other|mkt market|mo month|mob mobility|mom mother|mor mortality|mort mortality
mort mortgage|mos month|moth mother|mtg mortgage|mth month|mun municipality|muni municipality|nat national|nbr number
ncig cigarette|ngo organization|nkids child|no number|nonwh nonwhite|num number|obs observation|occ occupation
occup occupation|off office|offic officer|op operation|org organization|orig original|oth other|own ownership
par parent|part participation|partic participation|pat patient|pc capita|pcap capita|pcinc income|pct percent
perc percent|perf performance|pers person|ph phone|pharm pharmacy|phys physical|pol policy|pol political
polit political|poll pollution|pop population|pos positive|pov poverty|ppl people|pr probability|pref preference
preg pregnancy|pres president|presc prescription|prev previous|priv private|prob probability|prod production
prod productivity|prof profit|prog program|prop propensity|prop property|prop proportion|prov province|pss stress
psych psychological|pt patient|pub public|purch purchase|qlty quality|qtr quarter|qty quantity|qual quality
quant quantity|rand random|rc race|rcvd received|re real|rec received|rec recovery|recid recidivism|recv receive
reg region|reg registration|regist registration|rel religion|relig religion|rep republican|repub republican
res residence|resp respondent|resp response|ret retirement|rev revenue|rnd random|rx prescription|sal salary
sat satisfaction|satis satisfaction|sav savings|sbp blood|sbp pressure|sc score|sch school|schl school
schol scholarship|sci science|sd deviation|sec secondary|sec security|sect sector|sen senate|sent sentence|ser service
serv service|ses socioeconomic|sev severity|sh share|shr share|sib sibling|sibs sibling|sign signature|sm small
smk smoke|smok smoke|soc social|spd speed|sq squared|sqft area|stat status|std standard|std standardized|stdnt student
stud student|sub subject|subs subsidy|supp support|surg surgery|surv survey|surv survival|svc service|svy survey
sx sex|symp symptom|sys system|tech technology|temp temperature|ten tenure|tob tobacco|tot total|tr training
tr treatment|trad traditional|train training|trans transfer|transp transport|treat treatment|trn training
trt treatment|tst test|tv television|tx tax|tx treatment|txt text|typ type|ue unemployment|unemp unemployment
unempl unemployment|uni university|univ university|urb urban|util utilization|vac vacant|vacc vaccine|val value
veh vehicle|vet veteran|vic victim|viol violence|vol volume|vot vote|vt vote|wel welfare|welf welfare|wgt weight
wh white|wk week|wks week|wrk work|wt weight|yld yield|yob birth|yob year|yod death|yod year|yr year|yrs year
""".strip()


@functools.cache
def groups() -> dict[str, frozenset[int]]:
    """Stem -> the numbers of the groups it stands in."""
    found: dict[str, set[int]] = {}
    for number, group in enumerate(GROUPS.replace("\n", "|").split("|")):
        for word in group.split():
            found.setdefault(stem(word.replace("-", "")), set()).add(number)
    return {word: frozenset(numbers) for word, numbers in found.items()}


@functools.cache
def abbreviations() -> dict[str, frozenset[str]]:
    """A short form -> the stems it may stand for."""
    found: dict[str, set[str]] = {}
    for entry in ABBREVIATIONS.replace("\n", "|").split("|"):
        short, long = entry.split()
        found.setdefault(short, set()).add(stem(long))
    return {short: frozenset(longs) for short, longs in found.items()}


def synonyms(a: str, b: str) -> bool:
    """Whether two stems stand in one group of the thesaurus."""
    known = groups()
    return a in known and b in known and not known[a].isdisjoint(known[b])
