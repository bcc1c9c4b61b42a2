"""The course of one stop, from the first request to its outcome: a state machine without I/O or clock.

Owns what an answer means for the stop, what follows, and when it is given up. `crew` asks for the `step`, takes it, and
tells what came of it. Each of the two stops that a course may send has a key of its own, used for all its repeats: so
however often one is repeated, it stays one stop.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ivrctl.errors import CliError
from ivrctl.http import Answer, failure, retry_after_s
from ivrctl.stopping.outcomes import Result

MAX_WAIT_S: Final = 5
"""What `Prefer: wait` asks for at most: the API takes up to 8, but Ctrl-C should not have to wait so long."""

FIRST_LOOK_S: Final = 0.2
SLOWEST_LOOK_S: Final = 2.0
"""Where the API proves nothing, the list is looked at: soon at first, then less and less often."""

FIRST_RETRY_S: Final = 0.5
SLOWEST_RETRY_S: Final = 8.0
"""The pause after a refusal that names none."""

END: Final = ".end"
"""What the key of the second stop has behind that of the first."""


class Target(NamedTuple):
    """What is to be stopped. `in_branch` tells whether its External Stop branch ran when the list was read."""

    id: str
    key: str
    site: str | None = None
    in_branch: bool = False


class Wanted(NamedTuple):
    """How the stops are meant, in seconds.

    `wait_s`: how long proof is waited for, 0 for not at all; `grace_s`: after how long in its branch a runtime is
    stopped a second time, None for not at all; `patience_s`: how long an API that refuses for now is asked again.
    """

    wait_s: float = 30.0
    grace_s: float | None = None
    patience_s: float = 60.0
    reason: str | None = None


class Step(NamedTuple):
    """What is to be done, not before `due_s`: send a stop with this key and wait, or look at the list (no key)."""

    due_s: float
    key: str | None = None
    wait_s: int = 0


class Course:
    """One stop. All times are of one monotonic clock, in seconds."""

    def __init__(self, target: Target, wanted: Wanted, now_s: float) -> None:
        self.target = target
        self.result: Result | None = None
        self._wanted = wanted
        self._second = False
        self._taken = False
        """Whether a stop of ours was, or may have been, taken: then a 404 means that it worked."""
        self._pause_s = FIRST_RETRY_S
        self._look_s = FIRST_LOOK_S
        self._give_up_s = now_s + wanted.patience_s
        self._proof_until_s = now_s + wanted.wait_s
        self._grace_until_s: float | None = None
        self.step = Step(now_s)
        if target.in_branch:
            self._branch(now_s)
        else:
            self._send(now_s, now_s)

    def answered(self, answer: Answer, now_s: float, wall_s: float) -> None:
        """Take the answer to a stop that was sent; `wall_s` is the time of day, for a Retry-After that is a date."""
        if answer.status == 204:
            self._accepted(answer.headers.get("stop-outcome", ""), now_s)
        elif answer.status == 404 and _code(answer) == "runtime_not_found":
            self._finish("ended" if self._taken else "already_ended")
        elif answer.status == 429 or answer.status >= 500:
            outcome = "throttled" if answer.status == 429 else "unknown"
            outcome = "unreachable" if _code(answer) == "node_unreachable" else outcome
            self._taken |= outcome == "unknown"
            self._again(outcome, failure(answer).detail, now_s, retry_after_s(answer, wall_s))
        else:
            self._finish("refused", failure(answer).detail)

    def unanswered(self, error: CliError, now_s: float, *, sent: bool) -> None:
        """Take note that no answer came, to a request that may have been `sent`."""
        self._taken |= sent
        self._again("unknown", error.detail, now_s, None)

    def refused(self, error: CliError) -> None:
        """Take note that the request cannot be made at all, for want of a token, say."""
        self._finish("refused", error.detail)

    def broken(self, error: Exception) -> None:
        """Take note of a defect of ours: what came of the stop is not known."""
        self._finish("unknown", f"ivrctl itself failed: {type(error).__name__}: {error}")

    def seen(self, row: Mapping[str, Any] | None, now_s: float, *, covered: bool) -> None:
        """Take what the list shows: the row, or None; `covered` tells whether its site answered in full."""
        branching = self._grace_until_s is not None or (row is not None and in_branch(row))
        if row is None and covered:
            self._finish("ended")
        elif branching and not self._second:
            self._branch(now_s)
        else:
            self._look(now_s)

    def interrupted(self) -> Result:
        """End it where it is."""
        return self.result or Result(self.target.id, "not_sent")

    def _accepted(self, outcome: str, now_s: float) -> None:
        first, self._taken = not self._taken, True
        self._pause_s = FIRST_RETRY_S
        self._give_up_s = now_s + self._wanted.patience_s
        if first:
            self._proof_until_s = now_s + self._wanted.wait_s
        if outcome == "ended":
            self._finish("ended")
        elif not self._wanted.wait_s:
            self._finish("accepted")
        elif outcome in ("post_processing", "already_stopping") and not self._second:
            self._branch(now_s)
        elif outcome == "pending" and now_s < self._proof_until_s:
            self._send(now_s, now_s)
        elif outcome == "pending":
            self._finish("pending")
        else:
            self._look(now_s)

    def _branch(self, now_s: float) -> None:
        """Go on from here: the External Stop branch runs."""
        if self._wanted.grace_s is None:
            self._finish("post_processing")
            return
        if self._grace_until_s is None:
            self._grace_until_s = now_s + self._wanted.grace_s
        if now_s >= self._grace_until_s:
            self._once_more(now_s)
        else:
            self.step = Step(min(now_s + SLOWEST_LOOK_S, self._grace_until_s))

    def _once_more(self, now_s: float) -> None:
        """Send the second stop, which ends the branch."""
        self._second, self._taken = True, self.target.in_branch or self._taken
        self._look_s, self._pause_s = FIRST_LOOK_S, FIRST_RETRY_S
        self._give_up_s = now_s + self._wanted.patience_s
        self._proof_until_s = now_s + self._wanted.wait_s
        self._send(now_s, now_s)

    def _send(self, due_s: float, now_s: float) -> None:
        left_s = int(min(MAX_WAIT_S, max(1.0, self._proof_until_s - now_s)))
        key = self.target.key + (END if self._second else "")
        self.step = Step(due_s, key, left_s if self._wanted.wait_s else 0)

    def _look(self, now_s: float) -> None:
        if now_s >= self._proof_until_s:
            self._finish("pending")
            return
        self.step = Step(min(now_s + self._look_s, self._proof_until_s))
        self._look_s = min(self._look_s * 1.5, SLOWEST_LOOK_S)

    def _again(self, outcome: str, detail: str, now_s: float, asked_s: float | None) -> None:
        """Send again after a pause, or give up with this outcome."""
        pause_s = self._pause_s if asked_s is None else asked_s
        self._pause_s = min(self._pause_s * 2, SLOWEST_RETRY_S)
        if now_s + pause_s > self._give_up_s:
            self._finish(outcome, detail)
        else:
            self._send(now_s + pause_s, now_s)

    def _finish(self, outcome: str, detail: str = "") -> None:
        self.result = Result(self.target.id, outcome, detail)


def in_branch(row: Mapping[str, Any]) -> bool:
    """Tell whether a row's External Stop branch runs."""
    return row.get("ext.state") == "post_processing" and row.get("ext.stoptype") == "stop"


def _code(answer: Answer) -> str:
    return str((answer.problem() or {}).get("code", ""))
