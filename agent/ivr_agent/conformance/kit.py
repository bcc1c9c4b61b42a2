"""Runs the checks one after the other and judges each: pass, fail or skip.

Owns the order and the verdicts; what is asked of the engine is the checks' own business. Called by `__main__`.
"""

import inspect
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from ivr_agent.address import Address
from ivr_agent.conformance.events import Events
from ivr_agent.conformance.reads import READS
from ivr_agent.conformance.stops import Stops
from ivr_agent.conformance.subject import Check, Failed, Skipped, Subject

NOT_ASKED: Final = "stops runtimes: ask for it with --destructive"


class Result(StrEnum):
    """What came of a check."""

    PASS = "pass"  # noqa: S105  # a verdict, no secret
    FAIL = "fail"
    SKIP = "skip"


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
    """What to check. `listen` is where the engine tells its events, `branch` the scripts that have such a branch."""

    engine: Address
    token: str | None = None
    destructive: bool = False
    branch: frozenset[str] = frozenset()
    listen: Address | None = None


async def examine(plan: Plan) -> list[Verdict]:
    """Check an engine; raises `ListenError` when its events cannot be listened to."""
    subject, events = Subject(plan.engine, token=plan.token), Events()
    try:
        async with events.listen(plan.listen):
            verdicts = [await _judge(check, subject) for check in READS]
            for check in Stops(plan.branch).all():
                told = await _judge(check, subject) if plan.destructive else _verdict(check, Result.SKIP, NOT_ASKED)
                verdicts.append(told)
            verdicts += [await _judge(check, subject) for check in events.all()]
    finally:
        await subject.close()
    return verdicts


def catalogue() -> Iterator[tuple[str, str]]:
    """Yield every check's name and what it asks, in order."""
    for check in (*READS, *Stops().all(), *Events().all()):
        verdict = _verdict(check, Result.SKIP)
        yield verdict.check, verdict.asks


async def _judge(check: Check, subject: Subject) -> Verdict:
    try:
        await check(subject)
    except Failed as failure:
        return _verdict(check, Result.FAIL, str(failure))
    except Skipped as reason:
        return _verdict(check, Result.SKIP, str(reason))
    return _verdict(check, Result.PASS)


def _verdict(check: Check, result: Result, detail: str = "") -> Verdict:
    return Verdict(getattr(check, "__name__", "check"), result, inspect.getdoc(check) or "", detail)
