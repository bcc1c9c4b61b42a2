"""What is broken when: drawn from the seed before anything starts, so the same seed replays the same schedule.

Owns times (seconds since the havoc began), places and chances; does nothing. `run` draws one; `proxy`, `havoc`,
`client` and the engines carry it out. Each topic has a stream of random numbers of its own, so that more of one does
not shift the others.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Final

FUNCTIONS: Final = "functions"
"""The link between the functions and AWS; every agent's link has its node's name."""


class Kind(StrEnum):
    """One fault of the proxy; see `proxy` for what each does."""

    THROTTLED = "throttled"
    FAILED = "failed"
    FAILED_AFTER = "failed_after"
    HUNG = "hung"
    CUT = "cut"
    LOST = "lost"
    PARTIAL = "partial"
    HELD = "held"
    TWICE = "twice"
    LATE = "late"


EVEN: Final = dict.fromkeys(Kind, 1.0) | {Kind.TWICE: 4.0, Kind.LATE: 3.0, Kind.HELD: 2.0}
"""How often each kind is chosen among those that fit a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How much is broken. `weights` choose among faults; `chance` is a request's of being hit inside a storm.

    `patience` is the share of requests whose client gives up after a second, `second` that of deliberate second stops,
    `echo` that of requests repeated with their key although they were answered. `always` makes one storm of the run.
    `settle_s` is how long lists are still judged after the last fault: what died last must be gone after lease, skew
    and 10 s more.
    """

    weights: dict[Kind, float] = field(default_factory=lambda: dict(EVEN))
    chance: float = 0.3
    kills: bool = True
    slow: bool = True
    outage: bool = True
    always: bool = False
    impatience: float = 0.1
    second: float = 0.25
    echo: float = 0.1
    settle_s: float = 25.0


@dataclass(frozen=True, slots=True)
class Span:
    """From `since_s` to `until_s` something is wrong with `place`: a link or a node; "" is everywhere."""

    place: str
    since_s: float
    until_s: float

    def holds(self, place: str, at_s: float) -> bool:
        """Tell whether it is on for that place then."""
        return self.since_s <= at_s < self.until_s and self.place in {"", place}


@dataclass(frozen=True, slots=True)
class Blow:
    """Processes killed at one instant and started again `down_s` later.

    With two nodes their agents come back on each other's ports.
    """

    at_s: float
    nodes: tuple[str, ...]
    parts: tuple[str, ...]
    down_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Everything that is broken. `clocks` holds each node's wrong clocks, one per life of its agent, in turn (s)."""

    seed: int
    profile: Profile
    storms: tuple[Span, ...]
    cuts: tuple[Span, ...]
    outages: tuple[Span, ...]
    slow: tuple[Span, ...]
    blows: tuple[Blow, ...]
    clocks: dict[str, tuple[float, ...]]

    def fault(self, link: str, number: int, fitting: tuple[Kind, ...], *, at_s: float) -> tuple[Kind, Random] | None:
        """Decide on a link's request of that number: its fault and the fault's own stream, or None."""
        chance = Random(f"{self.seed}/fault/{link}/{number}")
        if not any(storm.holds(link, at_s) for storm in self.storms) or chance.random() >= self.profile.chance:
            return None
        weights = [self.profile.weights.get(kind, 0.0) for kind in fitting]
        return (chance.choices(fitting, weights)[0], chance) if any(weights) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How one stop is asked for. `second_s`: a deliberate second stop that much later, with a new key, or None.

    `echo_s`: the first key once more that much later, or None.
    """

    patience_s: float
    second_s: float | None
    echo_s: float | None


def manner(seed: int, number: int, profile: Profile) -> Manner:
    """Return how the stop of that number is asked for."""
    draw = Random(f"{seed}/stop/{number}")
    impatient, second, echo = draw.random(), draw.random(), draw.random()
    return Manner(
        patience_s=draw.uniform(0.3, 1.5) if impatient < profile.impatience else 12.0,
        second_s=draw.choice((0.0, draw.uniform(0.1, 1.0), draw.uniform(1.0, 4.0)))
        if second < profile.second
        else None,
        echo_s=draw.uniform(0.2, 4.0) if echo < profile.echo else None,
    )


def draw(
    seed: int, *, duration_s: float, nodes: tuple[str, ...], swapping: tuple[str, str], profile: Profile
) -> Schedule:
    """Draw the schedule of a run. `swapping` are two nodes of one host address."""
    storms: list[Span] = list(_storms(seed, duration_s))
    cuts: list[Span] = []
    slow: list[Span] = []
    blows: list[Blow] = []
    for node in nodes:
        for since_s, until_s, chance in _turbulences(f"{seed}/{node}", duration_s):
            if chance.random() < 0.6:
                storms.append(_within(node, since_s, until_s, chance))
            if chance.random() < 0.3:
                cuts.append(_within(node, since_s, until_s, chance))
            if chance.random() < 0.4:
                slow.append(_within(node, since_s, until_s, chance))
            blows += _blows(node, since_s, until_s, chance, swapping)
    if profile.always:
        storms = [Span("", 0.0, duration_s)]
    return Schedule(
        seed=seed,
        profile=profile,
        storms=tuple(storms),
        cuts=tuple(cuts) if profile.kills else (),
        outages=tuple(_outages(seed, duration_s)) if profile.outage else (),
        slow=tuple(slow) if profile.slow else (),
        blows=tuple(sorted(blows, key=lambda blow: blow.at_s)) if profile.kills else (),
        clocks={node: _clocks(f"{seed}/{node}/clock") for node in nodes},
    )


def _turbulences(name: str, duration_s: float) -> Iterator[tuple[float, float, Random]]:
    """Yield a place's bad times, with calm between them: only then can lateness, ghosts and gaps be judged at all."""
    chance = Random(name)
    since_s = chance.uniform(1.0, 12.0)
    while since_s < duration_s:
        until_s = since_s + chance.uniform(7.0, 11.0)
        yield since_s, until_s, chance
        since_s = until_s + chance.uniform(20.0, 28.0)


def _within(place: str, since_s: float, until_s: float, chance: Random) -> Span:
    begun_s = chance.uniform(since_s, until_s - 4.0)
    return Span(place, begun_s, chance.uniform(begun_s + 2.0, until_s))


def _blows(node: str, since_s: float, until_s: float, chance: Random, swapping: tuple[str, str]) -> Iterator[Blow]:
    for _ in range(chance.choice((3, 4, 5))):
        at_s, kind = chance.uniform(since_s, until_s), chance.random()
        down_s = chance.uniform(18.0, 24.0) if chance.random() < 0.06 else chance.uniform(0.0, 2.0)
        if node in swapping and kind < 0.12:
            yield Blow(at_s, swapping, ("agent",), down_s)
        else:
            yield Blow(at_s, (node,), _parts(chance.random()), down_s)


def _parts(kind: float) -> tuple[str, ...]:
    return ("agent",) if kind < 0.5 else ("engine",) if kind < 0.85 else ("agent", "engine")


def _storms(seed: int, duration_s: float) -> Iterator[Span]:
    """Yield the bad times of the functions' link."""
    for since_s, _, chance in _turbulences(f"{seed}/functions", duration_s):
        yield Span(FUNCTIONS, since_s, since_s + chance.uniform(5.0, 9.0))


def _outages(seed: int, duration_s: float) -> Iterator[Span]:
    """Yield when SQS cannot be reached by anybody: 30 s in every two to three minutes."""
    chance = Random(f"{seed}/outage")
    since_s = chance.uniform(40.0, 70.0)
    while since_s < duration_s:
        yield Span("", since_s, since_s + 30.0)
        since_s += chance.uniform(120.0, 180.0)


def _clocks(name: str) -> tuple[float, ...]:
    chance = Random(name)
    return tuple(chance.choice((-1, 1)) * 10 ** chance.uniform(0.5, 6.5) for _ in range(50))
