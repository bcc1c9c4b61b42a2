"""Carries many stops out at once, by a bounded number of threads.

Owns who does what next, and the pause that all take when the API has too many requests. What becomes of one stop is
`course`'s matter. Results are handed to the caller's thread, one by one, as they come.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Final

from ivrctl.api import IDS_AT_ONCE, Api, Coverage, Page
from ivrctl.errors import CliError
from ivrctl.http import UnansweredError, retry_after_s
from ivrctl.stopping.course import Course, Step
from ivrctl.stopping.outcomes import Result

MASK: Final = "id,site,ext.state,ext.stoptype"

TICK_S: Final = 0.1
"""How often the caller's thread looks up, so that Ctrl-C is noticed at once."""


class Crew:
    """The threads. After `start`, ask for a `result` as long as it is `busy`."""

    def __init__(self, api: Api, courses: Sequence[Course], *, parallel: int, reason: str | None = None) -> None:
        self._api = api
        self._reason = reason
        self._told: SimpleQueue[Result] = SimpleQueue()
        self._waiting: list[tuple[float, int, Course]] = []
        self._numbers = itertools.count()
        self._left = 0
        self._untold = len(courses)
        self._changed = threading.Condition()
        self._paused_until_s = 0.0
        self._ending = False
        self._give_back(courses)
        self._left = len(self._waiting)
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(parallel, self._left))]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    @property
    def busy(self) -> bool:
        """Whether results are still to come."""
        working = not self._ending or any(thread.is_alive() for thread in self._threads)
        return self._untold > 0 and (working or not self._told.empty())

    def result(self) -> Result | None:
        """Return the next result; None if none came for a moment."""
        try:
            result = self._told.get(timeout=TICK_S)
        except Empty:
            return None
        self._untold -= 1
        return result

    def interrupt(self) -> None:
        """Begin nothing new: what is under way is still answered. A signal handler may call it."""
        self._ending = True

    def _work(self) -> None:
        api = self._api.another()
        try:
            while courses := self._next():
                try:
                    self._take(api, courses)
                except Exception as error:  # noqa: BLE001  # a defect must end as a result, not as a thread that is gone
                    for course in courses:
                        course.broken(error)
                self._give_back(courses)
        finally:
            api.close()

    def _next(self) -> list[Course]:
        """Wait for what is due: one stop to send, or all looks that one request can answer; empty at the end."""
        with self._changed:
            while not self._ending and self._left:
                now_s = time.monotonic()
                due_s = max(self._waiting[0][0], self._paused_until_s) if self._waiting else now_s + TICK_S
                if due_s > now_s:
                    self._changed.wait(min(due_s - now_s, TICK_S))
                    continue
                taken = [heapq.heappop(self._waiting)[2]]
                while taken[0].step.key is None and len(taken) < IDS_AT_ONCE and self._is_look_due(now_s):
                    taken.append(heapq.heappop(self._waiting)[2])
                return taken
            return []

    def _is_look_due(self, now_s: float) -> bool:
        return bool(self._waiting) and self._waiting[0][0] <= now_s and self._waiting[0][2].step.key is None

    def _take(self, api: Api, courses: list[Course]) -> None:
        step = courses[0].step
        if step.key is None:
            self._look(api, courses)
        else:
            self._send(api, courses[0], step, step.key)

    def _send(self, api: Api, course: Course, step: Step, key: str) -> None:
        try:
            answer = api.stop(course.target.id, key=key, wait_s=step.wait_s, reason=self._reason)
        except UnansweredError as error:
            course.unanswered(error, time.monotonic(), sent=error.sent)
        except CliError as error:
            course.refused(error)
        else:
            if answer.status == 429:
                self._pause(retry_after_s(answer, time.time()) or 0.0)
            course.answered(answer, time.monotonic(), time.time())

    def _look(self, api: Api, courses: list[Course]) -> None:
        page: Page | None
        try:
            page = api.by_ids([course.target.id for course in courses], mask=MASK)
        except CliError:  # nothing is known then: it will be looked at again
            page = None
        rows = {str(row.get("id")): row for row in page.rows} if page else {}
        for course in courses:
            covered = page is not None and _covers(page.coverage, course.target.site)
            course.seen(rows.get(course.target.id), time.monotonic(), covered=covered)

    def _pause(self, pause_s: float) -> None:
        with self._changed:
            self._paused_until_s = max(self._paused_until_s, time.monotonic() + pause_s)

    def _give_back(self, courses: Sequence[Course]) -> None:
        with self._changed:
            for course in courses:
                if course.result is not None:
                    self._left -= 1
                    self._told.put(course.result)
                else:
                    heapq.heappush(self._waiting, (course.step.due_s, next(self._numbers), course))
            self._changed.notify_all()


def _covers(coverage: Coverage, site: str | None) -> bool:
    return coverage.covers(site) if site else not coverage.gaps()
