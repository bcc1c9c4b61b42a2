"""The verdict on a run: a pure function of its history. docs/chaos.md says what each count means.

Owns what counts as lost, late, killed by a retry, a ghost or missing, and what excuses there are. Reads nothing but
the history: neither the agents' logs nor the tables have a say.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Final

from chaos.history import Before, Claim, History, Life, Receipt, Sample, Stop, Told, Trouble
from ivr_runtimes.lease import CLOCK_SKEW_S, LEASE_TTL_S

PROMPT_S: Final = 10.0
"""Within this a stop is told to the engine, and a list is the truth again, once everything is whole."""

SETTLED_S: Final = 2.0
"""A runtime younger than this need not be listed yet."""

BACK_S: Final = 20.0
"""After trouble a command may rest for 15 s (an agent's longest backoff, the queue's visibility timeout) and is then
fetched with the next poll."""

AWAKE_S: Final = 5.0
"""After trouble that was over before the stop, the node's loops may still be in their backoff of at most 5 s."""

ACCEPTED_LEAST: Final = 0.9

Times = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The counts of a run; `VIOLATIONS` must be 0."""

    stops_accepted: int
    took_effect: int
    already_ended: int
    node_died: int
    lost: int
    told_late: int
    killed_by_own_retry: int
    terminated_without_acknowledged_branch: int
    branch_skipped: int
    false_outcome: int
    ghosts: int
    missing: int
    kills: int
    faults: int
    requests: int

    def wrong(self) -> list[str]:
        """Say what is wrong, one line each; empty when the run is a success."""
        found = [f"{name}: {count}, must be 0" for name in VIOLATIONS if (count := getattr(self, name))]
        total = self.took_effect + self.already_ended + self.node_died + self.lost
        if total != self.stops_accepted:
            found.append(f"the fates of stops add up to {total}, not to {self.stops_accepted}")
        if self.stops_accepted < ACCEPTED_LEAST * self.requests:
            found.append(f"only {self.stops_accepted} of {self.requests} stop requests ended accepted")
        return found

    def as_json(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)


VIOLATIONS: Final = (
    "lost",
    "told_late",
    "killed_by_own_retry",
    "terminated_without_acknowledged_branch",
    "branch_skipped",
    "false_outcome",
    "ghosts",
    "missing",
)
FATES: Final = ("took_effect", "already_ended", "node_died", "lost")
UNTOLD: Final = "ended_untold"
"""Not a count of its own: those of `node_died` whose runtime had ended by itself before its engine was killed."""

COUNTS: Final = tuple(field.name for field in fields(Verdict))


def judge(history: History) -> Verdict:
    """Judge a run."""
    found = findings(history)
    accepted = [stop for stop in history.stops if stop.accepted_at is not None]
    return Verdict(
        stops_accepted=len(accepted),
        **{name: len(found[name]) for name in (*FATES, *VIOLATIONS)},
        kills=history.kills,
        faults=history.faults,
        requests=len(history.stops),
    )


def findings(history: History) -> dict[str, list[str]]:
    """Return for each count, and for `UNTOLD`, the stop ids or runtimes it is made of."""
    found: dict[str, list[str]] = {name: [] for name in (*FATES, *VIOLATIONS, UNTOLD)}
    for stop in history.stops:
        if stop.accepted_at is not None:
            what = fate(stop, history)
            found[what].append(stop.stop_id)
            if what == "node_died" and history.lives[stop.runtime].ended_at is not None:
                found[UNTOLD].append(stop.stop_id)
            if told_late(stop, history):
                found["told_late"].append(stop.stop_id)
            if false_outcome(stop, history):
                found["false_outcome"].append(stop.stop_id)
    for life in history.lives.values():
        for name in wrongs(life):
            found[name].append(life.runtime)
    found["ghosts"] = sorted({runtime for sample in history.samples for runtime in ghosts(sample, history)})
    found["missing"] = sorted({runtime for sample in history.samples for runtime in missing(sample, history)})
    return found


def fate(stop: Stop, history: History) -> str:
    """Return what became of an accepted stop: one of `FATES`."""
    life = history.lives.get(stop.runtime)
    if life is None or stop.accepted_at is None:
        return "lost"
    told = [one for one in life.told if one.stop_id == stop.stop_id]
    if any(one.before is not Before.UNKNOWN for one in told):
        return "took_effect"
    if told or _over_at(life, history) <= stop.accepted_at:
        return "already_ended"  # the engine said so itself, or it was so before the 204
    killed_at = _killed_at(life, history)
    if killed_at is None:
        return "lost"
    if life.ended_at is None:
        return "node_died"
    # The process that died no longer ran it: its death explains nothing if there was time to tell it before.
    return "lost" if _overdue(stop, stop.accepted_at, killed_at, life, history) else "node_died"


def told_late(stop: Stop, history: History) -> bool:
    """Tell whether everything was whole for over 10 s between the 204 and the moment the engine was told."""
    life = history.lives.get(stop.runtime)
    if life is None or stop.accepted_at is None:
        return False
    told = min((one.at for one in life.told if one.stop_id == stop.stop_id), default=None)
    if told is None and fate(stop, history) in {"already_ended", "lost"}:
        return False
    until = told if told is not None else _killed_at(life, history)
    return until is not None and _overdue(stop, stop.accepted_at, until, life, history)


def false_outcome(stop: Stop, history: History) -> bool:
    """Tell whether an answer claimed an effect that had not come by then."""
    life = history.lives.get(stop.runtime)
    return any(not _is_true(claim, stop, life, history) for claim in stop.claims)


def _is_true(claim: Claim, stop: Stop, life: Life | None, history: History) -> bool:
    if claim.outcome == "pending":
        return True
    if life is None:
        return False
    if claim.outcome == "ended":
        return _over_at(life, history) <= claim.at
    accepted = any(
        one.stop_id == stop.stop_id and one.at <= claim.at and one.before is not Before.UNKNOWN for one in life.told
    )
    began = life.branch_at is not None and life.branch_at <= claim.at
    return began and (accepted or claim.outcome == "already_stopping") and not _long_over(claim, life, history)


def _long_over(claim: Claim, life: Life, history: History) -> bool:
    """Tell whether a branch that an answer claims to run was over for 10 s: until then its row may be on its way."""
    over_for_s = claim.at - _over_at(life, history)
    return over_for_s > PROMPT_S and _whole(life, (claim.at, claim.at), history, ("process", "link", "slow"))


def _overdue(stop: Stop, accepted_at: float, until: float, life: Life, history: History) -> bool:
    """Tell whether everything on the way of a stop was whole for over 10 s between its 204 and `until`."""
    if until - accepted_at <= PROMPT_S:
        return False
    excuses = list(_excuses(stop, accepted_at, history.sessions[life.session].node, history))
    return _longest_gap((accepted_at, until), excuses) > PROMPT_S


def wrongs(life: Life) -> Iterator[str]:
    """Yield the names of the wrongs done to one runtime, each once."""
    told = sorted(life.told, key=lambda one: one.at)
    earlier: set[str] = set()
    found: set[str] = set()
    for one in told:
        if one.ended:
            found |= set(_wrongs_of_end(one, earlier))
        earlier.add(one.stop_id)
    yield from sorted(found)


def _wrongs_of_end(one: Told, earlier: set[str]) -> Iterator[str]:
    if one.stop_id in earlier:
        yield "killed_by_own_retry"
    if one.verb == "terminate" and one.before is not Before.BRANCH:
        yield "terminated_without_acknowledged_branch"
    if one.branch and one.before is not Before.BRANCH:
        yield "branch_skipped"


def ghosts(sample: Sample, history: History) -> Iterator[str]:
    """Yield the runtimes that are listed though they died longer ago than any excuse reaches."""
    for runtime in sample.ids:
        life = history.lives.get(runtime)
        if life is None:
            yield runtime  # no engine ever ran it
        elif (
            _long_dead(life, sample, history)
            and _whole(life, _times(sample), history, ("link",))
            and not _back(life, sample, history)
        ):
            yield runtime


def _long_dead(life: Life, sample: Sample, history: History) -> bool:
    return sample.asked_at - _vouched_at(life, history) > LEASE_TTL_S + CLOCK_SKEW_S


def _vouched_at(life: Life, history: History) -> float:
    """Return until when the node's row may have been renewed while the dead runtime's row still stood.

    An agent that comes up takes the lease first and then deletes what is gone. If it is killed in between, the lease
    that it took holds from there; and so for each agent that is killed within `PROMPT_S` of the one before.
    """
    node, at = history.sessions[life.session].node, _over_at(life, history)
    killed = sorted(trouble.since for trouble in history.troubles if (trouble.what, trouble.node) == ("process", node))
    for since in killed:
        if at <= since <= at + PROMPT_S:
            at = since
    return at


def _back(life: Life, sample: Sample, history: History) -> bool:
    """Tell whether a process of the node had just come back: a lease taken anew shows its dead rows until they go."""
    node, since = history.sessions[life.session].node, sample.asked_at - AWAKE_S
    return any(
        (trouble.what, trouble.node) == ("process", node) and since < trouble.until < sample.answered_at
        for trouble in history.troubles
    )


def missing(sample: Sample, history: History) -> Iterator[str]:
    """Yield the runtimes that are not listed though they ran for a while on a node that was whole."""
    for life in history.lives.values():
        if (
            life.domain == sample.domain
            and life.runtime not in sample.ids
            and life.began_at < sample.asked_at - SETTLED_S
            and _over_at(life, history) > sample.answered_at
            and _whole(life, _times(sample), history, ("process", "link", "slow"))
        ):
            yield life.runtime


def _times(sample: Sample) -> Times:
    return sample.asked_at, sample.answered_at


def _whole(life: Life, times: Times, history: History, what: tuple[str, ...]) -> bool:
    """Tell whether nothing of that kind was broken at the runtime's node, nor for 10 s before."""
    session = history.sessions[life.session]
    since, until = times[0] - PROMPT_S, times[1]
    return not any(
        trouble.what in what and trouble.node in {"", session.node} and trouble.since < until and trouble.until > since
        for trouble in history.troubles
    )


def _over_at(life: Life, history: History) -> float:
    """Return when the runtime ended, in whatever way; infinity if it outlived the run."""
    killed_at = _killed_at(life, history)
    ends = [at for at in (life.ended_at, killed_at) if at is not None]
    return min(ends, default=float("inf"))


def _killed_at(life: Life, history: History) -> float | None:
    return history.sessions[life.session].killed_at


def _excuses(stop: Stop, accepted_at: float, node: str, history: History) -> Iterator[Times]:
    """Yield when the way of this stop was not whole."""
    for trouble in history.troubles:
        if trouble.node in {"", node}:
            rests = trouble.what != "link" and trouble.until > accepted_at  # its peers need no link of its own
            yield trouble.since, trouble.until + (BACK_S if rests else AWAKE_S)
    for hidden in history.hidden:
        if hidden.stop_id == stop.stop_id:
            yield hidden.since, hidden.until + AWAKE_S
    for receipt in history.receipts:
        if receipt.stop_id == stop.stop_id:
            yield from _in_hand(receipt, history.troubles)


def _in_hand(receipt: Receipt, troubles: Iterable[Trouble]) -> Iterator[Times]:
    """Yield when a message was in the hands of an agent that was in trouble itself."""
    for trouble in troubles:
        if trouble.node == receipt.node and trouble.since < receipt.at + PROMPT_S and trouble.until > receipt.at:
            yield receipt.at, trouble.until + BACK_S


def _longest_gap(span: Times, covered: Iterable[Times]) -> float:
    """Return the longest stretch of a span that nothing covers."""
    at, longest = span[0], 0.0
    for since, until in sorted(covered):
        longest = max(longest, min(since, span[1]) - at)
        at = max(at, until)
    return max(longest, span[1] - at)
