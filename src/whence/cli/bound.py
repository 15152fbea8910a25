"""``whence bound``: the range of effects that data and an assumption leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from whence.cli import screen
from whence.cli.inputs import columns, parameters, read_data, read_spec
from whence.cli.options import Data, Json, Kinds, Method, Missing, Params, Seed
from whence.cli.progress import bars
from whence.cli.status import ANSWERED, REFUSED
from whence.core.errors import WhenceError

if TYPE_CHECKING:
    from whence.identification.spec import Spec

SpecFile = Annotated[
    str | None, Parameter(name="--spec", metavar="FILE", help="Specification, as JSON; or name the columns below.")
]
Treatment = Annotated[str | None, Parameter(name="--treatment", metavar="COLUMN", help="The cause.")]
Outcome = Annotated[str | None, Parameter(name="--outcome", metavar="COLUMN", help="What it may affect.")]
Controls = Annotated[
    str | None, Parameter(name="--controls", metavar="A,B", help="What people are alike in, comma-separated.")
]
Instrument = Annotated[
    str | None, Parameter(name="--instrument", metavar="COLUMN", help="What affects the outcome only by the treatment.")
]


def bound(
    data: Data, /, *,
    spec: SpecFile = None, treatment: Treatment = None, outcome: Outcome = None, controls: Controls = None,
    instrument: Instrument = None, method: Method = "auto", param: Params = (), kinds: Kinds = (),
    missing: Missing = (), json: Json = False, seed: Seed = 0,
) -> int:
    """Bound an effect where hidden causes leave no single number.

    Without a method nothing is assumed about who was treated. `whence methods --task bounds` lists what can be assumed.
    The answer is a range of effects and an interval that holds both its ends in repeated samples, or a refusal with its
    reason (status 3).

    Examples:

      whence bound data.csv --treatment dose --outcome recovery
      whence bound data.csv --spec spec.json --method marginal_sensitivity --param gamma=2 --json
    """
    from whence.core.result import Refused
    from whence.estimation.bounds import bounds as compute

    wanted = _spec(spec, treatment, outcome, controls, instrument)
    given = parameters(param, "bounds", method)
    table = read_data(data, kinds, missing)
    with bars() as progress:
        answer = compute(table, wanted, method, seed, progress=progress, **given)
    no = isinstance(answer, Refused)
    if json:
        screen.emit({"spec": wanted if no else answer.spec, "bounds": None if no else answer,
                     "refused": answer if no else None})
    else:
        from whence.cli.show_bounds import show

        show(answer)
    return REFUSED if no else ANSWERED


def _spec(path: str | None, treatment: str | None, outcome: str | None, controls: str | None,
          instrument: str | None) -> Spec:
    """The spec of the file, or of the columns named."""
    from whence.identification.spec import Spec

    if path is not None:
        named = [name for name, value in (("--treatment", treatment), ("--outcome", outcome), ("--controls", controls),
                                          ("--instrument", instrument)) if value is not None]
        if named:
            raise WhenceError(f"The columns are given twice, by --spec and by {named[0]}.", code="bad_option",
                              value=named, hint="Use one of the two.")
        return read_spec(path)
    if treatment is None or outcome is None:
        raise WhenceError("What is to be bounded?", code="bad_option", value=None,
                          hint="Name --treatment and --outcome, or give --spec.")
    return Spec("iv" if instrument else "adjustment", (treatment,), (outcome,),
                controls=tuple(columns(controls)) if controls else (), instruments=(instrument,) if instrument else ())
