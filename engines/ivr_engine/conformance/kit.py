"""Runs the checks one after the other and judges each: pass, fail, skip or open.

Owns the order, which check needs which, and the verdicts; the checks own what is asked of the engine.
Called by `__main__`.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from ivr_engine.address import Address
from ivr_engine.conformance.events import Events
from ivr_engine.conformance.reads import READS
from ivr_engine.conformance.stops import Stops
from ivr_engine.conformance.subject import Check, Failed, Gone, Limits, Open, Skipped, Subject

NOT_ASKED: Final = "stops runtimes: ask for it with --destructive"

NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "snapshot_is_readable": ("status_is_readable",),
    "commands_are_answered": ("status_is_readable",),
    "answers_are_http_1_1": ("snapshot_is_readable", "commands_are_answered"),
    "connections_are_kept": ("commands_are_answered",),
    "ids_are_unique": ("snapshot_is_readable",),
    "session_lasts_and_seq_never_falls": ("snapshot_is_readable",),
    "seq_counts_every_start": ("snapshot_is_readable",),
    "states_fit_together": ("snapshot_is_readable",),
    "domain_and_start_last": ("snapshot_is_readable",),
    "unknown_runtime_is_refused": ("session_lasts_and_seq_never_falls", "commands_are_answered"),
    "any_command_of_the_protocol_is_read": ("unknown_runtime_is_refused",),
    "session_mismatch_is_refused": ("session_lasts_and_seq_never_falls", "commands_are_answered"),
    "invalid_command_is_refused": ("session_lasts_and_seq_never_falls", "commands_are_answered"),
    "origin_is_refused": ("commands_are_answered",),
    "token_is_required": ("commands_are_answered",),
    "mismatch_leaves_the_runtime_alone": ("session_lasts_and_seq_never_falls", "commands_are_answered"),
    "terminate_ends": ("unknown_runtime_is_refused",),
    "stop_without_branch_ends": ("session_lasts_and_seq_never_falls", "commands_are_answered"),
    "branch_is_entered": ("session_lasts_and_seq_never_falls", "commands_are_answered"),
    "seen_id_is_a_no_op_whatever_its_verb": ("branch_is_entered",),
    "ids_are_remembered_per_runtime": ("branch_is_entered",),
    "repeats_at_once_act_once": ("branch_is_entered",),
    "another_external_stop_is_noted": ("branch_is_entered",),
    "terminate_ends_a_branch": ("branch_is_entered",),
    "events_are_let_in": ("status_is_readable",),
    "events_are_readable": ("status_is_readable",),
    "events_come_in_order": ("events_are_readable",),
    "events_add_up_to_the_snapshot": ("events_are_readable", "snapshot_is_readable"),
}
"""The checks that a check relies on: if one fails, its own verdict would mean nothing."""


class Result(StrEnum):
    """The result of a check. `OPEN`: it was asked for, but what it needs was missing."""

    PASS = "pass"  # noqa: S105  # a verdict, no secret
    FAIL = "fail"
    SKIP = "skip"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check's outcome. `asks` is what the protocol says, `detail` what was seen instead or what is needed."""

    check: str
    result: Result
    asks: str
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as `--json` shows it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to check. `listen` is where the engine sends its events, `branch` the scripts with a stop branch."""

    engine: Address
    token: str | None = None
    destructive: bool = False
    branch: frozenset[str] = frozenset()
    listen: Address | None = None
    limits: Limits = field(default_factory=Limits)


async def examine(plan: Plan) -> list[Verdict]:
    """Check an engine; raises `GoneError` when there is none, `ListenError` when its events cannot be listened to."""
    subject, events = Subject(plan.engine, token=plan.token, limits=plan.limits), Events(plan.token)
    examination = _Examination(subject)
    try:
        await subject.door.reach(within_s=plan.limits.status_s)
        async with events.listen(plan.listen):
            for check in READS:
                await examination.make(check)
            for check in Stops(plan.branch).all():
                if plan.destructive:
                    await examination.make(check)
                else:
                    examination.note(check, Result.SKIP, NOT_ASKED)
            for check in events.all():
                await examination.make(check)
    finally:
        await subject.close()
    return examination.verdicts


def catalogue() -> Iterator[tuple[str, str]]:
    """Yield every check's name and what it asks, in order."""
    for check in (*READS, *Stops().all(), *Events().all()):
        yield _name(check), _asks(check)


class _Examination:
    """The verdicts so far, which decide whether the next check runs."""

    def __init__(self, subject: Subject) -> None:
        self.verdicts: list[Verdict] = []
        self._subject = subject
        self._results: dict[str, Result] = {}
        self._gone = ""

    async def make(self, check: Check) -> None:
        """Run a check, unless one that it needs has not passed or the engine is gone."""
        if self._gone:
            self.note(check, Result.SKIP, f"the engine takes no connections any more since {self._gone}")
            return
        for needed in NEEDS.get(_name(check), ()):
            if (result := self._results[needed]) is not Result.PASS:
                came = Result.OPEN if result is Result.OPEN else Result.SKIP
                self.note(check, came, f"needs {needed}, which came out as {result}")
                return
        await self._judge(check)

    def note(self, check: Check, result: Result, detail: str = "") -> None:
        """Note a verdict."""
        self._results[_name(check)] = result
        self.verdicts.append(Verdict(_name(check), result, _asks(check), detail))

    async def _judge(self, check: Check) -> None:
        try:
            await check(self._subject)
        except Failed as failure:
            if isinstance(failure, Gone):
                self._gone = _name(check)
            self.note(check, Result.FAIL, str(failure))
        except Skipped as reason:
            self.note(check, Result.SKIP, str(reason))
        except Open as reason:
            self.note(check, Result.OPEN, str(reason))
        else:
            self.note(check, Result.PASS)


def _name(check: Check) -> str:
    return getattr(check, "__name__", "check")


def _asks(check: Check) -> str:
    return inspect.getdoc(check) or ""
