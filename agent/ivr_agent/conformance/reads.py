"""The checks that harm nothing: status, snapshot, and what must be refused.

Each is one coroutine whose name is the check's and whose docstring says what the protocol asks. They name runtimes and
sessions that never were, so an engine that runs real calls may be checked at any time.
"""

import asyncio
import json
from typing import Final

from ivr_agent.conformance.subject import Check, Failed, Skipped, Subject, excerpt, new_id, read, refused
from ivr_agent.wire import FullSnapshot
from ivr_runtimes.model import State

VERBS: Final = ("external_stop", "terminate")

BAD_BODIES: Final = (b"", b"rubbish", b"[]", b"{}", b'{"session": "%s"}', b'{"session": "%s", "stop_id": ""}')
BAD_STOP_IDS: Final = (b'{"session": "%s", "stop_id": 7}', b'{"session": "%s", "stop_id": "' + b"x" * 65 + b'"}')


async def status_is_readable(subject: Subject) -> None:
    """`GET /v1/status` answers within 2 s with session and seq."""
    await subject.status()


async def snapshot_is_readable(subject: Subject) -> None:
    """`GET /v1/runtimes` answers within 10 s with session, seq and rows of the schema."""
    await subject.snapshot()


async def ids_are_unique(subject: Subject) -> None:
    """No id stands twice in a snapshot."""
    ids = [row.id for row in (await subject.snapshot()).runtimes]
    if len(ids) != len(set(ids)):
        raise Failed(f"{len(ids) - len(set(ids))} ids stand there more than once")


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
        await asyncio.sleep(0.05)


async def states_fit_together(subject: Subject) -> None:
    """`stoptype` is set exactly while a branch runs; `rootcode` and `rootname` go together."""
    reply = await subject.ask("GET", "/v1/runtimes")
    read(FullSnapshot, reply)
    rows = json.loads(reply.body)["runtimes"]  # as sent: a termination type may be one that nobody knows yet
    for row in rows:
        state, stoptype = row["state"], row.get("stoptype")
        if (state == State.POST_PROCESSING) != (stoptype is not None):
            raise Failed(f"runtime {row['id']}: state {state} with stoptype {stoptype}")
        if (row.get("rootcode") is None) != (row.get("rootname") is None):
            raise Failed(f"runtime {row['id']}: only one of rootcode and rootname is set")


async def unknown_runtime_is_refused(subject: Subject) -> None:
    """A command for a runtime that is not there: 404 `unknown_runtime`, with the engine's session."""
    for verb in VERBS:
        problem = refused(await subject.command(verb, new_id(), stop_id=new_id()), 404, "unknown_runtime")
        if problem.session != (session := (await subject.status()).session):
            raise Failed(f"{verb}: the refusal names session {problem.session}, the engine's is {session}")


async def session_mismatch_is_refused(subject: Subject) -> None:
    """A command for another session: 409 `session_mismatch`, whatever the id, with the engine's own session."""
    for verb in VERBS:
        reply = await subject.command(verb, new_id(), stop_id=new_id(), session="never-was")
        problem = refused(reply, 409, "session_mismatch")
        if problem.session == "never-was":
            raise Failed(f"{verb}: the refusal repeats the session asked for instead of naming the engine's own")


async def invalid_command_is_refused(subject: Subject) -> None:
    """A body that is no command: 400 `invalid_command`."""
    session = (await subject.status()).session.encode()
    for verb in VERBS:
        for body in (*BAD_BODIES, *BAD_STOP_IDS):
            path = f"/v1/runtimes/{new_id()}/{verb}"
            refused(await subject.ask("POST", path, body=body.replace(b"%s", session)), 400, "invalid_command")


async def origin_is_refused(subject: Subject) -> None:
    """A request with an Origin header, even with the right token: 403 `origin_refused`."""
    headers = {"Origin": "https://scripts.example"}
    if subject.token:
        headers["Authorization"] = f"Bearer {subject.token}"
    refused(await subject.ask("GET", "/v1/status", headers=headers), 403, "origin_refused")
    path = f"/v1/runtimes/{new_id()}/terminate"
    body = {"session": (await subject.status()).session, "stop_id": new_id()}
    refused(await subject.ask("POST", path, body=body, headers=headers), 403, "origin_refused")


async def token_is_required(subject: Subject) -> None:
    """Over TCP a request without the node's token, or with another: 401 `unauthorized`."""
    if not subject.token:
        raise Skipped("no token was given: over a Unix socket there is none")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": subject.token}):
        for path in ("/v1/status", "/v1/runtimes"):
            refused(await subject.ask("GET", path, headers=headers), 401, "unauthorized")


async def connections_are_kept(subject: Subject) -> None:
    """HTTP/1.1 connections stay open between requests: commands must not wait for new ones."""
    reply = await subject.ask("GET", "/v1/status")
    if reply.headers.get("Connection", "").lower() == "close":
        raise Failed(f"the answer closes the connection: {excerpt(reply)}")


READS: Final[tuple[Check, ...]] = (
    status_is_readable,
    snapshot_is_readable,
    ids_are_unique,
    session_lasts_and_seq_never_falls,
    states_fit_together,
    unknown_runtime_is_refused,
    session_mismatch_is_refused,
    invalid_command_is_refused,
    origin_is_refused,
    token_is_required,
    connections_are_kept,
)
