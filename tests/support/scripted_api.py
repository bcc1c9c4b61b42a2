"""A REST API on loopback that does what a test tells it: real lists over rows in memory, stops with and without proof.

Owns the token endpoint, the list (the core's own, on the in-memory store) and the stop as docs/api.md has it: keys, the
second stop, `Prefer: wait`. `fault` is asked first and may answer instead. One process, a thread for each connection.
"""

import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import unquote

from ivr_runtimes.errors import ApiError, RuntimeNotFoundError
from ivr_runtimes.http.response import problem_response
from ivr_runtimes.identifiers import Domain, NodeName, RuntimeId, Session, Site
from ivr_runtimes.listing.paging import next_link
from ivr_runtimes.listing.reader import RuntimeList
from ivr_runtimes.model import Node, Runtime, State, StopType
from ivr_runtimes.ports import WriteBatch
from ivr_runtimes.query import parse_list_query
from ivr_runtimes.stores.memory import MemoryStore

RESOURCE: Final = "/rest/v1/uc/ivrscript_runtimes"
DOMAIN: Final = Domain("test.rootdomain.ru")
SITES: Final = (Site("SITE1"), Site("SITE2"))
SESSION: Final = Session("s1")
TTL_S: Final = 3600

Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]

    @property
    def runtime_id(self) -> str:
        """The id of a stop."""
        return self.path.rpartition("/")[2]


def nothing(_: Asked) -> Answer | None:
    """Answer nothing instead."""
    return None


@dataclass
class ScriptedApi:
    """The API. `saying_goodbye`: codes with an External Stop branch; `proves`: whether it knows `Prefer: wait`."""

    fault: Callable[[Asked], Answer | None] = nothing
    saying_goodbye: frozenset[str] = frozenset({"survey"})
    proves: bool = True
    keep_alive: bool = True
    asked: list[Asked] = field(default_factory=list)
    store: MemoryStore = field(default_factory=MemoryStore)
    tokens: set[str] = field(default_factory=set)
    keys: dict[str, set[str]] = field(default_factory=dict)
    acted: Counter[str] = field(default_factory=Counter)
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for site in SITES:
            self.node(site)

    def node(self, site: Site, *, alive: bool = True) -> None:
        """Have a site's one node live, or not."""
        lease = Node(
            site=site,
            node=NodeName(f"{site.lower()}_a@127.0.0.1"),
            session=SESSION,
            lease_until_s=time.time() + (60 if alive else -3600),
            agent_id="a",
            control_port=1,
            agent_version="1",
            started_at="2026-11-23T00:00:00Z",
        )
        self.store._nodes[site, lease.node] = lease  # a test's node needs no election

    def runs(
        self, count: int, *, code: str = "player", site: Site = SITES[0], name: str = "TEST PLAY", age_s: int = 60
    ) -> list[str]:
        """Have so many more scripts run; return their ids."""
        started = datetime.now(UTC) - timedelta(seconds=age_s)
        rows = [
            Runtime(
                id=RuntimeId(str(uuid.uuid4())),
                site=site,
                node=NodeName(f"{site.lower()}_a@127.0.0.1"),
                domain=DOMAIN,
                session=SESSION,
                type="ivr",
                code=code,
                name=name,
                starttime=f"{started:%Y-%m-%dT%H:%M:%SZ}",
                lwt=f"{started:%Y-%m-%dT%H:%M:%SZ}",
            )
            for _ in range(count)
        ]
        self.store.write(WriteBatch(site=site, puts=tuple(rows), deletes=()))
        return [row.id for row in rows]

    def found(self, runtime_id: str) -> Runtime | None:
        """Return a runtime that runs."""
        return next(iter(self.store.find(RuntimeId(runtime_id), SITES)), None)

    def ends(self, runtime_id: str) -> None:
        """Have a runtime end."""
        for site in SITES:
            self.store.write(WriteBatch(site=site, puts=(), deletes=(RuntimeId(runtime_id),)))

    def stops(self) -> list[Asked]:
        """Return the stops that came."""
        return [asked for asked in self.asked if asked.method == "DELETE"]

    def answer(self, asked: Asked) -> Answer:
        """Answer a request."""
        with self._lock:
            self.asked.append(asked)
        forced = self.fault(asked)
        if forced is not None:
            return forced
        if asked.path == "/oauth2/token":
            return self._token()
        if asked.path == "/.well-known/openid-configuration":
            return _json({"issuer": self.url, "token_endpoint": f"{self.url}/oauth2/token"})
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return (
                401,
                {"www-authenticate": 'Bearer error="invalid_token", error_description="no token"'},
                b'{"message":"Unauthorized"}',
            )
        try:
            return self._list(asked) if asked.method == "GET" else self._stop(asked)
        except ApiError as error:
            told = problem_response(error, request_id="r1")
            return told["statusCode"], told["headers"], told["body"].encode()

    def _token(self) -> Answer:
        token = f"header.{uuid.uuid4().hex}.signature"
        self.tokens.add(token)
        return _json({"access_token": token, "token_type": "Bearer", "expires_in": TTL_S})

    def _list(self, asked: Asked) -> Answer:
        query = parse_list_query(asked.query)
        listing = RuntimeList(runtimes=self.store, nodes=self.store, sites=SITES).select(query, DOMAIN)
        headers = {"content-type": "application/json", "site-nodes": listing.site_nodes}
        if listing.following is not None:
            headers["link"] = next_link(asked.query, listing.following)
        return 200, headers, query.render(listing.rows)

    def _stop(self, asked: Asked) -> Answer:
        runtime_id, key = unquote(asked.runtime_id), asked.headers.get("idempotency-key", "")
        with self._lock:
            row = self.found(runtime_id)
            if row is None:
                raise RuntimeNotFoundError
            outcome = self._act(row, key)
        headers = {"stop-request-id": key}
        if self.proves and asked.headers.get("prefer", "").startswith("wait="):
            headers |= {"preference-applied": asked.headers["prefer"], "stop-outcome": outcome}
        return 204, headers, b""

    def _act(self, row: Runtime, key: str) -> str:
        seen = self.keys.setdefault(row.id, set())
        if key in seen:
            return "post_processing" if row.in_external_stop else "pending"
        seen.add(key)
        self.acted[row.id] += 1
        if row.code in self.saying_goodbye and not row.in_external_stop:
            changed = replace(row, state=State.POST_PROCESSING, stoptype=StopType.STOP)
            self.store.write(WriteBatch(site=row.site, puts=(changed,), deletes=()))
            return "post_processing"
        self.ends(row.id)
        return "ended"


def _json(document: Mapping[str, Any]) -> Answer:
    return 200, {"content-type": "application/json"}, json.dumps(document).encode()


@contextmanager
def serving(api: ScriptedApi) -> Iterator[ScriptedApi]:
    """Serve the API on a free port of loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(api: ScriptedApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1" if api.keep_alive else "HTTP/1.0"
        disable_nagle_algorithm = True
        wbufsize = -1

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            path, _, query = self.path.partition("?")
            names = {name.lower(): value for name, value in self.headers.items()}
            status, headers, body = api.answer(Asked(self.command, path, query, names))
            self.send_response_only(status)
            if "date" not in headers:
                self.send_header("Date", self.date_time_string())
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = _answer  # the names that http.server calls  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
            """Log nothing."""

    return Handler
