"""Why a number may be read as caused by the treatment, in the words of its design."""

from __future__ import annotations

from whence.estimation.effect import Effect
from whence.estimation.prepare import OVER_TIME
from whence.identification.spec import PARTS
from whence.report import numbers
from whence.report.contrasts import of_treatments
from whence.report.text import name


def held_by_time(effect: Effect) -> bool:
    """Whether the design compares units over time, so that being treated is a state and not a value."""
    return effect.spec.strategy in OVER_TIME and not effect.contrast.endswith("one more unit")


def assigned(effect: Effect) -> str:
    """``drug was``, or ``drug and diet were``."""
    names = effect.spec.treatments if of_treatments(effect) else effect.spec.treatments[:1]
    return numbers.listed(map(name, names), most=10) + (" were" if len(names) > 1 else " was")


def causal_ground(effect: Effect) -> str:
    """Why the number may be read as caused by the treatment."""
    cut_off = (" It also takes for granted that times were cut off for reasons that have nothing else to do with when "
               "the event would have come." if effect.spec.event is not None else "")
    return _ground(effect) + cut_off


def _ground(effect: Effect) -> str:
    treatment, controls = name(effect.spec.treatment), effect.spec.controls
    if effect.spec.quantity in PARTS:
        return _of_parts(effect)
    if effect.spec.strategy == "longitudinal":
        return (f"{numbers.listed(map(name, effect.spec.treatments), most=10)} were not assigned by chance. The number "
                "is the effect of always against never only if, each time, nothing but what was measured before "
                f"affects both the treatment then and {name(effect.spec.outcome)}. The data cannot prove that.")
    if effect.spec.strategy == "rct":
        extra = (f" The {numbers.count(len(controls), 'control')} only sharpen the estimate." if len(controls) > 1
                 else " The control only sharpens the estimate." if controls else "")
        strata = numbers.listed(map(name, effect.spec.strata))
        within = f" within {strata}" if strata else ""
        return (f"{assigned(effect)} assigned at random{within}, so apart from what it does the groups differ by "
                "chance alone, which the interval allows for. That holds if rows were not lost because of the "
                "treatment."
                f"{extra}")
    if effect.spec.strategy == "frontdoor":
        through = numbers.listed(map(name, effect.spec.mediators), most=10)
        given = f" given {numbers.listed(map(name, controls), most=10)}" if controls else ""
        return (f"What {treatment} and {name(effect.spec.outcome)} have in common was not adjusted for: the effect is "
                f"followed through {through} (the front door). The number is the effect of {treatment} only if "
                f"it works through nothing else, and if{given} nothing hidden affects both {treatment} and {through}, "
                f"or both {through} and {name(effect.spec.outcome)}. The data cannot prove that.")
    if effect.spec.strategy == "id":
        return (f"No set of columns could be adjusted for: the number is what the graph's formula gives, with "
                f"{numbers.listed(map(name, effect.spec.formula_columns), most=10)}. It is the effect of {treatment} "
                "only if every arrow that the graph leaves out is truly absent. The data cannot prove that.")
    if effect.spec.strategy in OVER_TIME or effect.spec.strategy in ("rdd", "iv"):
        return _by_design(effect)
    if effect.spec.strategy == "proximal":
        sides = [numbers.listed(map(name, names), most=10)
                 for names in (effect.spec.treatment_proxies, effect.spec.outcome_proxies)]
        return (f"{assigned(effect)} not assigned by chance, and what nobody recorded may affect both it and "
                f"{name(effect.spec.outcome)}. {sides[0]} and {sides[1]} stand for that. The number is its effect only "
                f"if {sides[0]} {_says(effect.spec.treatment_proxies, 'has', 'have')} nothing else to do with "
                f"{name(effect.spec.outcome)}, {treatment} does not affect {sides[1]}, and "
                f"{sides[1]} {_says(effect.spec.outcome_proxies, 'responds', 'respond')} to all that is hidden. The "
                "data cannot prove that.")
    if effect.spec.strategy == "interference":
        alike = f", among those alike in {numbers.listed(map(name, controls), most=10)} and in what their neighbours " \
                "are like in it," if controls else ""
        return (f"{assigned(effect)} not assigned by chance, and rows affect their neighbours. The number is the "
                f"effect of everybody's {treatment} only if{alike} nothing else affects both "
                f"{name(effect.spec.outcome)} and {treatment}, a row's own or its neighbours', and if others reach a "
                "row only as the exposure says. The data cannot prove that.")
    if not controls:
        return (f"Nothing was adjusted for: this is the effect of {treatment} only if nothing affects both it and "
                f"{name(effect.spec.outcome)}.")
    number, it = (("numbers are their effects", "any of them") if of_treatments(effect) else
                  ("number is its effect", "it"))
    return (f"{assigned(effect)} not assigned by chance. The {number} only if, among those alike in "
            f"{numbers.listed(map(name, controls), most=10)}, nothing else affects both {it} and "
            f"{name(effect.spec.outcome)}. The data cannot prove that.")


def _of_parts(effect: Effect) -> str:
    """Why a part of an effect may be read as one: chance decides no mediator."""
    treatment, outcome = name(effect.spec.treatment), name(effect.spec.outcome)
    through = numbers.listed(map(name, effect.spec.mediators), most=10)
    by_lot = effect.spec.strategy == "rct"
    alike = numbers.listed(map(name, effect.spec.controls), most=10)
    among = f", among those alike in {alike}," if alike else ""
    start = (f"{assigned(effect)} assigned at random, but {through} followed of itself." if by_lot else
             f"Neither {treatment} nor {through} was assigned by chance.")
    both = f"{through} and {outcome}" if by_lot else f"two of {treatment}, {through} and {outcome}"
    more = "" if effect.spec.quantity == "CDE" else (
        f" It also takes for granted that what {through} would be under one value of {treatment} has nothing to do "
        "with how the outcome would respond under the other, which no experiment can test.")
    return (f"{start} The number is this part of the effect only if{among} nothing else affects {both}, what follows "
            f"from {treatment} included, and {through} came before {outcome}. The data cannot prove that.{more}")


def _says(names: tuple[str, ...], one: str, several: str) -> str:
    return one if len(names) == 1 else several


def _by_design(effect: Effect) -> str:
    spec, treatment, outcome = effect.spec, name(effect.spec.treatment), name(effect.spec.outcome)
    if spec.strategy == "rdd":
        where = f"{name(str(spec.running_variable))} = {numbers.figures(float(effect.diagnostics['cutoff']))}"
        return (f"A rule changes {treatment} at {where}, so rows just above and just below differ in little else. The "
                f"number is its effect there, and only there, if nothing else changes at the same point and nobody "
                f"chose a side. The checks look at that; the data cannot prove it.")
    if effect.method == "invalid_instrument":
        by = name(spec.instruments[0])
        return (f"{assigned(effect)} not assigned by chance, and {by} may affect {outcome} by itself. The number is "
                f"the effect of {treatment} only if {by} is as good as drawn by lot among people alike in the "
                f"controls, what is hidden adds to {treatment} alike whatever {by} is, and effects do not depend on "
                "what is hidden. The data cannot prove that.")
    if effect.method == "invariant_augmentation":
        by = numbers.listed(map(name, spec.instruments), most=10)
        return (f"{assigned(effect)} not assigned by chance; random shifts of them ({by}) show in which directions "
                f"{outcome} cannot change. The numbers are effects only if those shifts truly leave {outcome} as it "
                "is, and if hidden causes do not act along the other directions. The data cannot prove that.")
    if spec.strategy == "iv":
        by = numbers.listed(map(name, spec.instruments), most=10)
        number, it = (("numbers are their effects", "them") if of_treatments(effect) else
                      ("number is its effect", "it"))
        return (f"{assigned(effect)} not assigned by chance; what {by} moved of {it} is used alone. The {number} "
                f"on those moved only if {by} affects {outcome} in no other way and shares no cause with it. "
                "The data cannot prove that.")
    if spec.strategy == "synthetic_control":
        return (f"A weighted average of untreated units that followed the treated before stands for them after. The "
                f"number is the effect of {treatment} only if it would have gone on following them, and if the "
                "untreated were not affected too. The data cannot prove that.")
    if spec.strategy == "interrupted_series":
        return (f"{outcome} after the start is compared with how it moved before. The number is the effect of "
                f"{treatment} only if it would have gone on like that and nothing else changed at that time. The data "
                "cannot prove that.")
    return (f"The change of {outcome} among the treated is compared with that among the others at the same times. The "
            f"number is the effect of {treatment} only if both would have changed alike without it. Trends before the "
            "start can speak against that; the data cannot prove it.")
