"""The requests: list pages, rows by their ids, one stop; a token with each.

Owns paths, headers, the walk along `Link`, and how long a busy API is waited for. For one thread; `another` makes the
same for another one.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode, urljoin, urlsplit

from ivrctl import errors
from ivrctl.access import Tokens
from ivrctl.api import coverage
from ivrctl.api.coverage import Coverage
from ivrctl.errors import FailedError
from ivrctl.http import Answer, Connection, failure, retry_after_s
from ivrctl.profiles import Profile

RESOURCE: Final = "/rest/v1/uc/ivrscript_runtimes"

PAGE_ROWS: Final = 1000
"""Rows of a page: some 300 KB, far from what an answer may hold."""

PATIENCE_S: Final = 20.0
"""How long a list is asked for again while the API says that it is busy (429, 503)."""

PAUSE_S: Final = 1.0
"""The pause before the next attempt where the API names none."""

IDS_AT_ONCE: Final = 80
"""Ids in one filter: as JSON they stay below 4,096 bytes, and percent-encoded below API Gateway's 10,240."""

_NEXT: Final = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')


class Query(NamedTuple):
    """What a list is asked for; None is not asked. `limit` counts the rows of all pages."""

    filter: str | None = None
    order: str | None = None
    mask: str | None = None
    limit: int | None = None
    flat: bool = False

    @property
    def pageable(self) -> bool:
        """Whether its order is the one in which the API gives pages."""
        return self.order in (None, "starttime", "-starttime", "starttime,id", "-starttime,-id")


class Page(NamedTuple):
    """Rows as the API gave them, which sites they cover, and the API's own time."""

    rows: list[dict[str, Any]]
    coverage: Coverage
    at: datetime


class Api:
    """The API of a profile. `pause` sleeps for seconds; `clock` yields seconds since 1970."""

    def __init__(
        self,
        profile: Profile,
        tokens: Tokens,
        *,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._profile = profile
        self._tokens = tokens
        self._pause = pause
        self._clock = clock
        self._patience_s = patience_s
        self._connection = Connection(profile.url)
        self._base = urlsplit(profile.url).path

    def another(self) -> "Api":
        """Return one of its own connection, for another thread."""
        return Api(self._profile, self._tokens, pause=self._pause, clock=self._clock, patience_s=self._patience_s)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def pages(self, query: Query) -> Iterator[Page]:
        """Yield the pages of a list to its end; raises `CliError` for what the API refuses."""
        left = query.limit
        target: str | None = _target(query, left)
        asked: set[str] = set()
        while target is not None:
            asked.add(target)
            answer = self._patiently("GET", self._base + RESOURCE + target, {})
            page = self._page(answer)
            left = None if left is None else left - len(page.rows)
            yield page
            target = _next(answer, self._profile.url + RESOURCE + target)
            if target in asked:
                raise FailedError("the API's pages lead in a circle", remedy="report it, with the url asked")
            if left is not None and left <= 0:
                return
            if target is not None and left is not None and left < PAGE_ROWS:
                target = re.sub(r"(?<=[?&]limit=)\d+", str(left), target)

    def rows(self, query: Query) -> Page:
        """Return all pages as one."""
        pages = list(self.pages(query))
        rows = [row for page in pages for row in page.rows]
        return Page(rows, coverage.least(page.coverage for page in pages), pages[-1].at)

    def by_ids(self, ids: list[str], *, mask: str) -> Page:
        """Return the rows of these ids, in any order: those that run."""
        from ivrctl.where import of_ids  # noqa: PLC0415  # it imports the core

        parts = [ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE)] or [ids]
        pages = [self.rows(Query(filter=of_ids(part), mask=mask, flat=True)) for part in parts]
        rows = [row for page in pages for row in page.rows]
        return Page(rows, coverage.least(page.coverage for page in pages), pages[-1].at)

    def stop(self, runtime_id: str, *, key: str, wait_s: int | None = None, reason: str | None = None) -> Answer:
        """Send one stop and return the answer, whatever it is; raises `UnansweredError` if there is none."""
        headers = {"Idempotency-Key": key}
        if wait_s:
            headers["Prefer"] = f"wait={wait_s}"
        if reason:
            headers["Stop-Reason"] = quote(reason, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~")
        return self.send("DELETE", f"{self._base}{RESOURCE}/{quote(runtime_id, safe='')}", headers)

    def send(self, method: str, target: str, headers: Mapping[str, str]) -> Answer:
        """Send a request with the token; with a new one if the API refuses it."""
        token = self._tokens.get()
        answer = self._connection.ask(method, target, {**headers, "Authorization": f"Bearer {token}"})
        if answer.status == 401 and self._tokens.refused(token):
            again = {**headers, "Authorization": f"Bearer {self._tokens.get()}"}
            answer = self._connection.ask(method, target, again)
        return answer

    def _patiently(self, method: str, target: str, headers: Mapping[str, str]) -> Answer:
        """Send until the API is not busy; then return the answer, or raise what it refuses with."""
        begun_s = self._clock()
        while True:
            answer = self.send(method, target, headers)
            if answer.status == 200:
                return answer
            refused = failure(answer)
            asked_s = retry_after_s(answer, self._clock())
            wait_s = max(PAUSE_S if asked_s is None else asked_s, 0.05)
            busy = isinstance(refused, errors.UnavailableError)
            if not busy or self._clock() - begun_s + wait_s > self._patience_s:
                raise refused
            self._pause(wait_s)

    def _page(self, answer: Answer) -> Page:
        rows = answer.json()
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise FailedError("the answer is no list of running scripts", remedy="is the url that of the API?")
        return Page(rows, coverage.read(answer.headers.get(coverage.HEADER)), self._at(answer))

    def _at(self, answer: Answer) -> datetime:
        """Return the API's time, so that ages are right on a machine whose clock is not."""
        text = answer.headers.get("date")
        if text:
            from email.utils import parsedate_to_datetime  # noqa: PLC0415  # http.client has imported it

            try:
                return parsedate_to_datetime(text).astimezone(UTC)
            except ValueError:
                pass
        return datetime.fromtimestamp(self._clock(), UTC)


def _target(query: Query, left: int | None) -> str:
    limit = min(left if left is not None else PAGE_ROWS, PAGE_ROWS) if query.pageable else left
    parameters = {
        "filter": query.filter,
        "order": query.order,
        "mask": query.mask,
        "flat": "true" if query.flat else None,
        "limit": None if limit is None else str(limit),
    }
    return "?" + urlencode({name: value for name, value in parameters.items() if value is not None}, quote_via=quote)


def _next(answer: Answer, asked: str) -> str | None:
    """Return the query of the next page; raises `FailedError` if it is elsewhere: a token goes to the API alone."""
    found = _NEXT.search(answer.headers.get("link", ""))
    if not found:
        return None
    url, here = urlsplit(urljoin(asked, found[1])), urlsplit(asked)
    if (url.scheme, url.netloc, url.path) != (here.scheme, here.netloc, here.path):
        raise FailedError(f"the next page is said to be elsewhere: {url.netloc}{url.path}", remedy="report it")
    return f"?{url.query}"
