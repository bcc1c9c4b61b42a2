"""The checks that stop runtimes: only with `--destructive`, on an engine without real calls.

They choose runtimes from the snapshot, youngest first. Those about an External Stop branch need one whose script has
such a branch: `--branch CODE` names scripts, else a few runtimes are stopped until one enters its branch.
"""

import asyncio
from typing import Final

from ivr_engine.conformance.bodies import Answer, RuntimeState
from ivr_engine.conformance.subject import NOBODY, Check, Failed, Open, Subject, new_id, read, refused, shown
from ivr_engine.model import StopType

TRIES: Final = 8
"""How many runtimes are stopped at most to find one with a branch."""

LASTING: Final = frozenset({"running", "post_processing"})
"""States after a no-op: the branch runs, or is about to start."""

ENDED: Final = frozenset({"ended"})

TOGETHER: Final = 10
"""Commands sent at the same moment."""


class Stops:
    """The checks. `branch_codes` are scripts with an External Stop branch; empty: find one by trying."""

    def __init__(self, branch_codes: frozenset[str] = frozenset()) -> None:
        self._branch_codes = branch_codes

    async def mismatch_leaves_the_runtime_alone(self, subject: Subject) -> None:
        """A command for another session does nothing to the runtime of that id."""
        row = await self._any(subject)
        stop_id = new_id()
        reply = await subject.command("terminate", row.spelling, stop_id=stop_id, session=NOBODY)
        left = await subject.row(row.id)
        if left is None or left.stop_id == stop_id:
            subject.used.add(row.id)
            raise Failed(f"the command had its effect; in the snapshot: {shown(left)}")
        refused(reply, 409, "session_mismatch")

    async def terminate_ends(self, subject: Subject) -> None:
        """`terminate`: `acted`, `ended`; seq grows; the next snapshot lacks it; a repeat is `unknown_runtime`."""
        row, stop_id, before = await self._any(subject), new_id(), await subject.status()
        _expect(await subject.act("terminate", row, stop_id=stop_id), ENDED, "acted")
        await _is_gone(subject, row)
        await subject.grew(before.seq)
        refused(await subject.command("terminate", row.spelling, stop_id=stop_id), 404, "unknown_runtime")

    async def branch_is_entered(self, subject: Subject) -> None:
        """`external_stop` with a branch: `acted`; then post_processing, stoptype `stop`, and the stop id is shown."""
        row, stop_id, seq_before = await self._in_branch(subject)
        await subject.becomes(row.id, lambda now: _in_branch(now, stop_id), "the branch with its stop_id")
        await subject.grew(seq_before)

    async def seen_id_is_a_no_op_whatever_its_verb(self, subject: Subject) -> None:
        """An id the engine has accepted never acts again: neither as `external_stop` nor as `terminate`."""
        row, stop_id, _ = await self._in_branch(subject)
        for verb in ("external_stop", "terminate", "external_stop"):
            _expect(await subject.act(verb, row, stop_id=stop_id), LASTING, "already_stopping", what=f"{verb} again")
        if await subject.row(row.id) is None:
            raise Failed("the runtime ended: a repeat killed a goodbye")

    async def ids_are_remembered_per_runtime(self, subject: Subject) -> None:
        """A stop id that one runtime has accepted acts on another: a caller may use one key for several stops."""
        first, stop_id, _ = await self._in_branch(subject)
        other = await self._any(subject)
        answer = await subject.act("terminate", other, stop_id=stop_id)
        _expect(answer, ENDED, "acted", what=f"terminate of {other.id} with a stop id of {first.id}")

    async def repeats_at_once_act_once(self, subject: Subject) -> None:
        """Of many commands with one id at the same moment exactly one acts."""
        row, stop_id, session = await self._with_branch(subject), new_id(), (await subject.status()).session
        subject.used.add(row.id)
        commands = (
            subject.command("external_stop", row.spelling, stop_id=stop_id, session=session) for _ in range(TOGETHER)
        )
        results = [read(Answer, reply).result for reply in await asyncio.gather(*commands)]
        if results.count("acted") != 1:
            raise Failed(f"{results.count('acted')} of {TOGETHER} acted, where 1 may")

    async def another_external_stop_is_noted(self, subject: Subject) -> None:
        """`external_stop` with a new id while the branch runs: a no-op, but its id is remembered and shown."""
        row, *_ = await self._in_branch(subject)
        later = new_id()
        before = await subject.status()
        _expect(await subject.act("external_stop", row, stop_id=later), LASTING, "already_stopping")
        await subject.becomes(row.id, lambda now: now is not None and now.stop_id == later, "the later stop_id")
        await subject.grew(before.seq)
        _expect(await subject.act("terminate", row, stop_id=later), LASTING, "already_stopping", what="terminate again")

    async def terminate_ends_a_branch(self, subject: Subject) -> None:
        """`terminate` with a new id while the branch runs ends the runtime."""
        row, *_ = await self._in_branch(subject)
        _expect(await subject.act("terminate", row, stop_id=new_id()), ENDED, "acted")
        await _is_gone(subject, row)

    async def stop_without_branch_ends(self, subject: Subject) -> None:
        """`external_stop` without a branch: `acted`, `ended`, and it is gone from the snapshot."""
        for _ in range(TRIES):
            rows = [row for row in await subject.running() if row.code not in self._branch_codes]
            if not rows:
                break
            answer = await _first_stop(subject, rows[0], new_id())
            if answer.state == "ended":
                await _is_gone(subject, rows[0])
                return
            self._branch_codes |= {rows[0].code}
        raise Open("no running script without an External Stop branch was found")

    def all(self) -> tuple[Check, ...]:
        """Return the checks in order."""
        return (
            self.mismatch_leaves_the_runtime_alone,
            self.terminate_ends,
            self.stop_without_branch_ends,
            self.branch_is_entered,
            self.seen_id_is_a_no_op_whatever_its_verb,
            self.ids_are_remembered_per_runtime,
            self.repeats_at_once_act_once,
            self.another_external_stop_is_noted,
            self.terminate_ends_a_branch,
        )

    async def _any(self, subject: Subject) -> RuntimeState:
        rows = await subject.running()
        plain = [row for row in rows if row.code not in self._branch_codes]
        if not rows:
            raise Open("no runtime is running that no check has stopped")
        return (plain or rows)[0]

    async def _in_branch(self, subject: Subject) -> tuple[RuntimeState, str, int]:
        """Stop runtimes until one enters its branch (or is about to); return it, its stop id and the seq before."""
        for _ in range(TRIES):
            row, stop_id, seq = await self._with_branch(subject), new_id(), (await subject.status()).seq
            answer = await _first_stop(subject, row, stop_id)
            if answer.state != "ended":
                self._branch_codes |= {row.code}
                return row, stop_id, seq
            left = await subject.row(row.id)
            if left is not None and left.state == "post_processing":
                raise Failed(f"the answer says ended, yet the branch runs: {shown(left)}")
            if row.code in self._branch_codes:
                raise Failed(f"script {row.code} has an External Stop branch, yet the runtime ended")
        raise Open(f"none of {TRIES} runtimes entered an External Stop branch; name their scripts: --branch CODE")

    async def _with_branch(self, subject: Subject) -> RuntimeState:
        """Return a running runtime of a script known to have a branch, or, when none is known, any."""
        rows = await subject.running()
        if self._branch_codes:
            rows = [row for row in rows if row.code in self._branch_codes]
        if not rows:
            raise Open("no runtime with an External Stop branch is running that no check has stopped")
        return rows[0]


def _in_branch(row: RuntimeState | None, stop_id: str) -> bool:
    return (
        row is not None and row.state == "post_processing" and row.stoptype == StopType.STOP and row.stop_id == stop_id
    )


async def _first_stop(subject: Subject, row: RuntimeState, stop_id: str) -> Answer:
    answer = await subject.act("external_stop", row, stop_id=stop_id)
    if answer.result != "acted":
        raise Failed(f"a first external_stop, of script {row.code}, was answered with {answer.result}, {answer.state}")
    return answer


def _expect(answer: Answer, states: frozenset[str], result: str, *, what: str = "the command") -> None:
    if answer.result != result or answer.state not in states:
        wanted = f"{result}, {' or '.join(sorted(states))}"
        raise Failed(f"{what} was answered with {answer.result}, {answer.state} instead of {wanted}")


async def _is_gone(subject: Subject, row: RuntimeState) -> None:
    if (left := await subject.row(row.id)) is not None:
        raise Failed(f"the answer says ended, the snapshot after it still shows the runtime: {shown(left)}")
