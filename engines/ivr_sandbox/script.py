"""The script format: what a script and its steps may look like (docs/scripts.md is its manual).

Owns the shapes and the checks that need only one script. `library` reads files and checks scripts against each other;
`interpreter` runs the steps. Every message says what is wrong and the remedy.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ivr_engine.model import StopType

LONGEST_S: Final = 86_400
"""No wait and no limit is longer than a day."""

DEFAULT_MAX_DURATION_S: Final = 3600.0
DEFAULT_MAX_STEPS: Final = 1000
"""So many steps without a wait take the engine a few milliseconds."""


def _as_range(value: object) -> object:
    """Read a number as a range of one value. Checked here, so that a fault is not reported for both ends."""
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_S:
        raise PydanticCustomError(
            "span",
            "not a duration; write a number of seconds from 0 to {longest_s} or a range [a, b] of them",
            {"longest_s": LONGEST_S},
        )
    return value, value


def _ascending(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise PydanticCustomError("range", "the range ends before it begins; write the smaller number first")
    return span


Seconds = Annotated[float, Field(ge=0, le=LONGEST_S, allow_inf_nan=False)]
Span = Annotated[tuple[Seconds, Seconds], BeforeValidator(_as_range), AfterValidator(_ascending)]
"""A duration in seconds: a number, or a range `[a, b]` to draw from uniformly."""

Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Part(BaseModel):
    """What all parts of a script share: unknown fields are refused, numbers may stand for text (`1` for "1")."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class Start(Part):
    """Where a script begins, and its limits: they hold for `main`, and anew for each branch."""

    step: Literal["start"] = "start"
    max_duration_s: Annotated[float, Field(gt=0, le=LONGEST_S)] = DEFAULT_MAX_DURATION_S
    max_steps: Annotated[int, Field(ge=1, le=1_000_000)] = DEFAULT_MAX_STEPS


class Play(Part):
    """Play a prompt to the caller."""

    step: Literal["play"]
    prompt: Text
    duration_s: Span


class Pause(Part):
    """Wait."""

    step: Literal["pause"]
    duration_s: Span


class Menu(Part):
    """Ask the caller for a digit and put it in a variable; the sandbox draws the answer by the choices' weights."""

    step: Literal["menu"]
    variable: Variable
    choices: Annotated[dict[Text, Weight], Field(min_length=1)]
    wait_s: Span
    timeout_probability: Probability = 0.0
    timeout: "Steps | None" = None

    @field_validator("choices")
    @classmethod
    def _someone_presses_something(cls, choices: dict[str, float]) -> dict[str, float]:
        if not any(choices.values()):
            raise PydanticCustomError("weights", "every weight is 0; give at least one choice a weight above 0")
        return choices


class Set(Part):
    """Give a variable a value."""

    step: Literal["set"]
    variable: Variable
    value: Annotated[str, StringConstraints(max_length=256)]


class Branch(Part):
    """Go on by the value of a variable."""

    step: Literal["branch"]
    variable: Variable
    cases: "Annotated[dict[str, Steps], Field(min_length=1)]"
    otherwise: "Steps" = ()


class Repeat(Part):
    """Carry steps out several times."""

    step: Literal["repeat"]
    times: Annotated[int, Field(ge=1, le=1000)]
    steps: "Annotated[Steps, Field(min_length=1)]"


class RunScript(Part):
    """Hand control to a nested script, and take it back when that ends normally."""

    step: Literal["run_script"]
    code: Code


class Stop(Part):
    """End the script normally."""

    step: Literal["stop"]


STEPS: Final[dict[str, type[Part]]] = {
    "start": Start,
    "play": Play,
    "pause": Pause,
    "menu": Menu,
    "set": Set,
    "branch": Branch,
    "repeat": Repeat,
    "run_script": RunScript,
    "stop": Stop,
}
"""The steps, by their names in scripts."""


def _unfold(value: object) -> object:
    """Turn `{play: {…}}` or a plain `stop` into the form that the models read."""
    if isinstance(value, BaseModel):
        return value
    written: dict[Any, Any] = value if isinstance(value, dict) else {str(value): None}
    if len(written) != 1:
        raise PydanticCustomError("step", "a step has exactly one word before its fields; begin each step with `-`")
    [(word, fields)] = written.items()
    if word not in STEPS:
        known = ", ".join(STEPS)
        raise PydanticCustomError("step", "unknown step {word}; use one of: {known}", {"word": word, "known": known})
    if not isinstance(fields, dict | None):
        raise PydanticCustomError("step", "the fields of a step are a mapping; write them as `name: value`")
    return {**(fields or {}), "step": word}


Step = Annotated[
    Start | Play | Pause | Menu | Set | Branch | Repeat | RunScript | Stop,
    Field(discriminator="step"),
]
Steps = tuple[Annotated[Step, BeforeValidator(_unfold)], ...]


class Script(Part):
    """One IVR script. `code` names it, `name` is for people; `post_processing` holds a branch per termination type."""

    code: Code
    name: Text
    type: Literal["ivr"] = "ivr"
    main: Steps
    post_processing: dict[StopType, Steps] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _starts_once(self) -> "Script":
        starts = [path for path, step in walk(self) if isinstance(step, Start)]
        if starts != ["main[0]"]:
            found = ", ".join(starts) or "nowhere"
            raise PydanticCustomError(
                "start", "`start` belongs at main[0] and nowhere else; it stands: {found}", {"found": found}
            )
        return self

    @property
    def start(self) -> Start:
        """The first step, with the script's limits."""
        first = self.main[0]
        assert isinstance(first, Start)  # noqa: S101  # checked at load; this tells the type checker
        return first

    @property
    def steps(self) -> Steps:
        """The steps after the start."""
        return self.main[1:]


def walk(script: Script) -> Iterator[tuple[str, Step]]:
    """Yield every step of a script, nested ones too, with its path in the file."""
    yield from _walk("main", script.main)
    for stoptype, steps in script.post_processing.items():
        yield from _walk(f"post_processing.{stoptype}", steps)


def _walk(place: str, steps: Steps) -> Iterator[tuple[str, Step]]:
    for index, step in enumerate(steps):
        path = f"{place}[{index}]"
        yield path, step
        for inner, nested in _inside(step):
            yield from _walk(f"{path}.{step.step}.{inner}", nested)


def _inside(step: Step) -> Iterator[tuple[str, Steps]]:
    match step:
        case Menu(timeout=steps) if steps is not None:
            yield "timeout", steps
        case Branch():
            for case, steps in step.cases.items():
                yield f"cases.{case}", steps
            yield "otherwise", step.otherwise
        case Repeat(steps=steps):
            yield "steps", steps
