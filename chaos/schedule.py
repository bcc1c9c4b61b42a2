"""What is broken when: drawn from the seed before anything starts, so the same seed replays the same schedule.

Owns times (seconds since the havoc began), places and chances; does nothing. `run` draws one; `proxy`, `havoc`,
`client` and the engines carry it out. Each topic has a stream of random numbers of its own, so that more of one does
not shift the others.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random
from types import MappingProxyType
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


OUTAGE_S: Final = 30.0
"""How long SQS is away at a time."""

AMBUSH_S: Final = 2.0
"""How long writes are held until their agent is killed: before it gives any up, which it does after 3 s."""

WAITS_S: Final = (1, 2, 3)
"""How long an answer may wait: short, since what is broken mostly stays so for longer."""

EVEN: Final = dict.fromkeys(Kind, 1.0) | {Kind.TWICE: 4.0, Kind.LATE: 3.0, Kind.HELD: 2.0}
"""How often each kind is chosen among those that fit a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How much is broken. `weights` choose among faults; `chance` is a request's of being hit inside a storm.

    `victims` are the parts that are killed. `storm`, `cut` and `slow` are the chances that a node's bad time has a
    storm, a cut link, slow answers. `impatience` is the share of requests whose client gives up after a second,
    `second` that of deliberate second stops, `echo` that of requests repeated with their key although they were
    answered, `wait` that of stops whose answers wait for the effect. `always` makes one storm of the run; with
    `agents_only` it leaves the functions' link alone, so that the client is as fast as ever. `calm_s` is how long the
    calm between two bad times lasts. With `ambush`, a node's bad time is a short storm at whose end its agent is
    killed, and nothing else.
    `settle_s` is how long lists are still judged after the last fault: what died last must be gone after lease, skew
    and 10 s more.
    """

    weights: dict[Kind, float] = field(default_factory=lambda: dict(EVEN))
    chance: float = 0.3
    victims: tuple[str, ...] = ("agent", "engine")
    storm: float = 0.6
    cut: float = 0.3
    slow: float = 0.4
    outage: bool = True
    always: bool = False
    agents_only: bool = False
    ambush: bool = False
    calm_s: tuple[float, float] = (20.0, 28.0)
    impatience: float = 0.1
    second: float = 0.25
    echo: float = 0.1
    wait: float = 0.5
    settle_s: float = 25.0


SCENARIOS: Final = {
    "late_writes": Profile(
        weights={Kind.HELD: 1.0},
        chance=1.0,
        ambush=True,
        calm_s=(10.0, 12.0),
        outage=False,
        impatience=0.0,
        second=0.0,
        echo=0.0,
        wait=0.0,
    )
}
"""What a run may be confined to. `late_writes`: agents are killed while writes of theirs are held, and nothing else."""


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

    Two nodes come back on each other's ports: their agents `down_s` later, their engines, if killed too, at once.
    """

    at_s: float
    nodes: tuple[str, ...]
    parts: tuple[str, ...]
    down_s: float


class Upsetting(StrEnum):
    """What an Asterisk does to its bridge; see `pbx` for each."""

    CUT = "cut"
    HUNG = "hung"
    LATE = "late"
    DRAIN = "drain"
    RESTART = "restart"
    GRACEFUL = "graceful"


class SwitchUpsetting(StrEnum):
    """What a FreeSWITCH does to its bridge; see `switch` for each."""

    CUT = "cut"
    NOTICE = "notice"
    HUNG = "hung"
    LATE = "late"
    STAYS = "stays"
    OVERLOAD = "overload"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Upset:
    """An engine upset at an instant, for so long."""

    at_s: float
    what: StrEnum
    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Everything that is broken. `clocks` holds each node's wrong clocks, one per life of its agent, in turn (s).

    `upsets` are those of the nodes whose engine is played by the harness.
    """

    seed: int
    profile: Profile
    storms: tuple[Span, ...]
    cuts: tuple[Span, ...]
    outages: tuple[Span, ...]
    slow: tuple[Span, ...]
    blows: tuple[Blow, ...]
    upsets: dict[str, tuple[Upset, ...]]
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


def wait_s(seed: int, number: int, profile: Profile) -> int | None:
    """Return how long the answers to the stop of that number wait for its effect; None if they do not."""
    draw = Random(f"{seed}/wait/{number}")
    return draw.choice(WAITS_S) if draw.random() < profile.wait else None


def draw(
    seed: int,
    *,
    duration_s: float,
    nodes: tuple[str, ...],
    swapping: tuple[str, str],
    profile: Profile,
    played: Mapping[str, type[StrEnum]] = MappingProxyType({}),
) -> Schedule:
    """Draw the schedule of a run.

    `swapping` are two nodes of one host address, `played` those with an engine of the harness, with how it is upset.
    """
    storms: list[Span] = [] if profile.ambush else list(_storms(seed, duration_s, profile))
    cuts: list[Span] = []
    slow: list[Span] = []
    blows: list[Blow] = [] if profile.ambush else list(_swaps(seed, swapping, duration_s, profile))
    for node in nodes:
        for since_s, until_s, chance in _turbulences(f"{seed}/{node}", duration_s, profile):
            if profile.ambush:
                storms.append(Span(node, since_s, since_s + AMBUSH_S))
                blows.append(Blow(since_s + AMBUSH_S, (node,), ("agent",), 0.0))
                continue
            if chance.random() < profile.storm:
                storms.append(_within(node, since_s, until_s, chance))
            if chance.random() < profile.cut:
                cuts.append(_within(node, since_s, until_s, chance))
            if chance.random() < profile.slow:
                slow.append(_within(node, since_s, until_s, chance))
            blows += _blows(node, since_s, until_s, chance)
    if profile.always:
        storms = [Span(link, 0.0, duration_s) for link in (nodes if profile.agents_only else ("",))]
    return Schedule(
        seed=seed,
        profile=profile,
        storms=tuple(storms),
        cuts=tuple(cuts),
        outages=tuple(_outages(seed, duration_s)) if profile.outage else (),
        slow=tuple(slow),
        blows=tuple(sorted(_confined(blows, profile.victims), key=lambda blow: blow.at_s)),
        upsets={node: tuple(_upsets(seed, node, duration_s, profile, tuple(ways))) for node, ways in played.items()},
        clocks={node: _clocks(f"{seed}/{node}/clock") for node in nodes},
    )


def _turbulences(name: str, duration_s: float, profile: Profile) -> Iterator[tuple[float, float, Random]]:
    """Yield a place's bad times, with calm between them: only then can lateness, ghosts and gaps be judged at all."""
    chance = Random(name)
    since_s = chance.uniform(1.0, profile.calm_s[1])
    while since_s < duration_s:
        until_s = since_s + chance.uniform(7.0, 11.0)
        yield since_s, until_s, chance
        since_s = until_s + chance.uniform(*profile.calm_s)


def _within(place: str, since_s: float, until_s: float, chance: Random) -> Span:
    begun_s = chance.uniform(since_s, until_s - 4.0)
    return Span(place, begun_s, chance.uniform(begun_s + 2.0, until_s))


def _blows(node: str, since_s: float, until_s: float, chance: Random) -> Iterator[Blow]:
    for _ in range(chance.choice((3, 4, 5))):
        at_s = chance.uniform(since_s, until_s)
        down_s = chance.uniform(18.0, 24.0) if chance.random() < 0.06 else chance.uniform(0.0, 2.0)
        yield Blow(at_s, (node,), _parts(chance.random()), down_s)


def _upsets(seed: int, node: str, duration_s: float, profile: Profile, ways: Sequence[StrEnum]) -> Iterator[Upset]:
    """Yield one or two upsets for each bad time of the node with such an engine, each way in its turn."""
    if profile.ambush:
        return
    chance = Random(f"{seed}/upset")
    turns = itertools.cycle(chance.sample(ways, len(ways)))
    for since_s, until_s, _ in _turbulences(f"{seed}/{node}", duration_s, profile):
        at_s = since_s
        for _ in range(chance.choice((1, 2))):
            yield Upset(at_s, next(turns), chance.uniform(1.0, 3.0))
            at_s = chance.uniform(since_s + 4.0, until_s)


def _swaps(seed: int, nodes: tuple[str, str], duration_s: float, profile: Profile) -> Iterator[Blow]:
    """Yield when two nodes come back on each other's ports, with their engines and without by turns."""
    bad_times = _turbulences(f"{seed}/{nodes[0]}", duration_s, profile)
    chance = Random(f"{seed}/swap")
    for (since_s, until_s, _), parts in zip(bad_times, itertools.cycle((("engine", "agent"), ("agent",)))):
        yield Blow(chance.uniform(since_s, until_s - 5.0), nodes, parts, chance.uniform(1.0, 4.0))


def _confined(blows: Iterable[Blow], victims: tuple[str, ...]) -> Iterator[Blow]:
    """Yield the blows with only the victims among their parts, or in the place of them."""
    for blow in blows:
        if parts := tuple(part for part in blow.parts if part in victims) or victims:
            yield replace(blow, parts=parts)


def _parts(kind: float) -> tuple[str, ...]:
    return ("agent",) if kind < 0.5 else ("engine",) if kind < 0.85 else ("agent", "engine")


def _storms(seed: int, duration_s: float, profile: Profile) -> Iterator[Span]:
    """Yield the bad times of the functions' link."""
    for since_s, _, chance in _turbulences(f"{seed}/functions", duration_s, profile):
        yield Span(FUNCTIONS, since_s, since_s + chance.uniform(5.0, 9.0))


def _outages(seed: int, duration_s: float) -> Iterator[Span]:
    """Yield when SQS cannot be reached by anybody: 30 s early on, so that short runs meet it, then again and again."""
    chance = Random(f"{seed}/outage")
    since_s = chance.uniform(14.0, 22.0)
    while since_s < duration_s:
        yield Span("", since_s, since_s + OUTAGE_S)
        since_s += chance.uniform(120.0, 180.0)


def _clocks(name: str) -> tuple[float, ...]:
    chance = Random(name)
    return tuple(chance.choice((-1, 1)) * 10 ** chance.uniform(0.5, 6.5) for _ in range(50))
