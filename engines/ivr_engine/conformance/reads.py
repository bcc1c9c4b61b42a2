"""The checks that harm nothing: status, snapshot, and what must be refused.

Each is one coroutine whose name is the check's and whose docstring says what the protocol asks. They name runtimes and
sessions that never existed, so an engine with real calls may be checked at any time.
"""

import asyncio
import json
import re
from collections import Counter
from typing import Final

from ivr_engine.conformance.bodies import FullSnapshot
from ivr_engine.conformance.door import GoneError
from ivr_engine.conformance.subject import NOBODY, Check, Failed, Gone, Skipped, Subject, new_id, read, refused
from ivr_engine.model import State

VERBS: Final = ("external_stop", "terminate")

BAD_BODIES: Final = (b"", b"rubbish", b"[]", b"{}", b'{"session": "%s"}', b'{"session": "%s", "stop_id": ""}')
BAD_STOP_IDS: Final = tuple(b'{"session": "%s", "stop_id": ' + value + b"}" for value in (b"7", b"null", b'"a b"'))
TOO_LONG: Final = b'{"session": "%s", "stop_id": "' + b"x" * 65 + b'"}'
BAD_SESSIONS: Final = (b'{"session": 7, "stop_id": "x"}', b'{"session": "", "stop_id": "x"}')

ODD_STOP_IDS: Final = ("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "x" * 64)
"""Stop ids are what callers sent as their Idempotency-Key: any visible ASCII."""

STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 [0-9]{3}(?: [^\r\n]*)?\r\n")


async def status_is_readable(subject: Subject) -> None:
    """`GET /v1/status` answers within 2 s with session and seq."""
    await subject.status()


async def snapshot_is_readable(subject: Subject) -> None:
    """`GET /v1/runtimes` answers within 10 s with session, seq and rows of the schema."""
    await subject.snapshot()


async def commands_are_answered(subject: Subject) -> None:
    """Commands are answered within 4 s, by at most 64 KiB that the agent's own client can read."""
    for verb in VERBS:
        await subject.command(verb, new_id(), stop_id=new_id(), session=NOBODY)


async def answers_are_http_1_1(subject: Subject) -> None:
    """Answers are HTTP/1.1: lines end in CRLF, a body has a length or comes in chunks, and is not compressed."""
    command = f"POST /v1/runtimes/{new_id()}/terminate"
    stop = json.dumps({"session": NOBODY, "stop_id": new_id()}).encode()
    for request, body in (("GET /v1/status", b""), ("GET /v1/runtimes", b""), (command, stop)):
        try:
            head = await subject.door.head(
                request, headers=subject.own_headers(), body=body, within_s=subject.limits.snapshot_s
            )
        except GoneError as error:
            raise Gone(f"no connection for {request}: {error}") from None
        if wrong := _wrong(head):
            raise Failed(f"{request}: {wrong}; the answer begins with {head[:120]!r}")


async def connections_are_kept(subject: Subject) -> None:
    """Connections stay open between requests: commands must not wait for new ones."""
    reply = await subject.ask("GET", "/v1/status")
    if reply.headers.get("Connection", "").lower() == "close":
        raise Failed("the answer to GET /v1/status says Connection: close")
    opened = subject.commands.opened
    for _ in range(3):
        await subject.command("terminate", new_id(), stop_id=new_id(), session=NOBODY)
        await asyncio.sleep(subject.limits.look_every_s / 10)
    if (needed := subject.commands.opened - opened) > 1:
        raise Failed(f"3 commands, one after the other, took {needed} connections")


async def ids_are_unique(subject: Subject) -> None:
    """No id stands twice in a snapshot, in whatever letter case."""
    times = Counter(row.id for row in (await subject.snapshot()).runtimes)
    if twice := [id_ for id_, count in times.items() if count > 1]:
        raise Failed(f"{len(twice)} ids stand there more than once, such as {twice[0]}")


async def session_lasts_and_seq_never_falls(subject: Subject) -> None:
    """Session is the same in every answer of one life; seq only grows."""
    session, seq = None, -1
    for _ in range(5):
        for told in (await subject.status(), await subject.snapshot()):
            if session not in (None, told.session):
                raise Failed(f"session {told.session} after {session}")
            if told.seq < seq:
                raise Failed(f"seq {told.seq} after {seq}")
            session, seq = told.session, told.seq
        await asyncio.sleep(subject.limits.look_every_s / 2)


async def seq_counts_every_start(subject: Subject) -> None:
    """seq starts at 0 and grows with each start: a snapshot has no more runtimes than its seq says."""
    snapshot = await subject.snapshot()
    if snapshot.seq < (started := len({row.id for row in snapshot.runtimes})):
        raise Failed(f"seq is {snapshot.seq}, and {started} runtimes have started")


async def states_fit_together(subject: Subject) -> None:
    """`stoptype` is set exactly while a branch runs; `rootcode` and `rootname` go together."""
    reply = await subject.ask("GET", "/v1/runtimes")
    read(FullSnapshot, reply)
    rows = json.loads(reply.body)["runtimes"]  # as sent: a termination type may be an unknown one
    for row in rows:
        state, stoptype = row["state"], row.get("stoptype")
        if (state == State.POST_PROCESSING) != (stoptype is not None):
            raise Failed(f"runtime {row['id']}: state {state} with stoptype {stoptype}")
        if (row.get("rootcode") is None) != (row.get("rootname") is None):
            raise Failed(f"runtime {row['id']}: only one of rootcode and rootname is set")


async def domain_and_start_last(subject: Subject) -> None:
    """A runtime keeps its `domain` and `starttime` for life: lists are kept by them."""
    before = {row.id: row for row in (await subject.snapshot()).runtimes}
    await asyncio.sleep(subject.limits.look_every_s / 2)
    for row in (await subject.snapshot()).runtimes:
        was = before.get(row.id, row)
        if (row.domain, row.starttime) != (was.domain, was.starttime):
            told = f"{row.domain}, {row.starttime} after {was.domain}, {was.starttime}"
            raise Failed(f"runtime {row.id}: {told}")


async def unknown_runtime_is_refused(subject: Subject) -> None:
    """A command for a runtime that is not there: 404 `unknown_runtime`, with the engine's session."""
    session = (await subject.status()).session
    for verb in VERBS:
        reply = await subject.command(verb, new_id(), stop_id=new_id(), session=session)
        refused(reply, 404, "unknown_runtime", session=session)


async def any_command_of_the_protocol_is_read(subject: Subject) -> None:
    """Any visible ASCII is a stop id, up to 64 characters; members that the protocol does not name are ignored."""
    session = (await subject.status()).session
    for verb in VERBS:
        for stop_id in ODD_STOP_IDS:
            reply = await subject.command(verb, new_id(), stop_id=stop_id, session=session)
            refused(reply, 404, "unknown_runtime")
        reply = await subject.command(verb, new_id(), stop_id=new_id(), session=session, later={"member": [1]})
        refused(reply, 404, "unknown_runtime")


async def session_mismatch_is_refused(subject: Subject) -> None:
    """A command for another session: 409 `session_mismatch`, whatever the id, with the engine's own session."""
    session = (await subject.status()).session
    for verb in VERBS:
        reply = await subject.command(verb, new_id(), stop_id=new_id(), session=NOBODY)
        refused(reply, 409, "session_mismatch", session=session)


async def invalid_command_is_refused(subject: Subject) -> None:
    """A body that is no command: 400 `invalid_command`, with the engine's session."""
    session = (await subject.status()).session
    for verb in VERBS:
        for body in (*BAD_BODIES, *BAD_STOP_IDS, TOO_LONG, *BAD_SESSIONS):
            sent = body.replace(b"%s", session.encode())
            reply = await subject.send(f"/v1/runtimes/{new_id()}/{verb}", sent)
            try:
                refused(reply, 400, "invalid_command", session=session)
            except Failed as failure:
                raise Failed(f"{verb} with the body {sent[:60]!r}: {failure}") from None


async def origin_is_refused(subject: Subject) -> None:
    """A request with an Origin header, even with the right token: 403 `origin_refused`."""
    headers = {"Origin": "https://scripts.example", **subject.own_headers()}
    for path in ("/v1/status", "/v1/runtimes"):
        refused(await subject.ask("GET", path, headers=headers), 403, "origin_refused")
    body = {"session": (await subject.status()).session, "stop_id": new_id()}
    for verb in VERBS:
        reply = await subject.ask("POST", f"/v1/runtimes/{new_id()}/{verb}", body=body, headers=headers)
        refused(reply, 403, "origin_refused")


async def token_is_required(subject: Subject) -> None:
    """Over TCP a request without the node's token, or with another: 401 `unauthorized`."""
    if not subject.token:
        raise Skipped("over a Unix socket there is none: the file's permissions protect it")
    bare = subject.token
    wrong = ("", "Bearer ", "Bearer wrong", bare, f"Bearer {bare[:-1]}", f"Bearer {bare}x", f"Bearer x {bare}")
    commands = [("POST", f"/v1/runtimes/{new_id()}/{verb}") for verb in VERBS]
    body = {"session": NOBODY, "stop_id": new_id()}
    for method, path in (("GET", "/v1/status"), ("GET", "/v1/runtimes"), *commands):
        for given in wrong:
            headers = {"Authorization": given} if given else {}
            reply = await subject.ask(method, path, headers=headers, body=body if method == "POST" else None)
            try:
                refused(reply, 401, "unauthorized")
            except Failed as failure:
                shown = given.replace(bare, "<the token>").replace(bare[:-1], "<part of the token>")
                raise Failed(f"{method} {path} with Authorization {shown!r}: {failure}") from None


def _wrong(head: bytes) -> str:
    """Say what is wrong with the head of an answer."""
    if not STATUS_LINE.match(head):
        return "the status line is not one of HTTP/1.1"
    if head.count(b"\n") != head.count(b"\r\n") or not head.endswith(b"\r\n\r\n"):
        return "a line of the head does not end in CRLF"
    names = {name.strip().lower() for name, _, _ in (line.partition(b":") for line in head.split(b"\r\n")[1:])}
    if b"content-encoding" in names:
        return "the body is compressed, which nobody asked for"
    if not names & {b"content-length", b"transfer-encoding"}:
        return "the body has no length, and is not sent in chunks"
    return ""


READS: Final[tuple[Check, ...]] = (
    status_is_readable,
    snapshot_is_readable,
    commands_are_answered,
    answers_are_http_1_1,
    connections_are_kept,
    ids_are_unique,
    session_lasts_and_seq_never_falls,
    seq_counts_every_start,
    states_fit_together,
    domain_and_start_last,
    unknown_runtime_is_refused,
    any_command_of_the_protocol_is_read,
    session_mismatch_is_refused,
    invalid_command_is_refused,
    origin_is_refused,
    token_is_required,
)
"""The checks, in order."""
