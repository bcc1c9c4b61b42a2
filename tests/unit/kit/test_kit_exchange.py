"""Answers as engines of all kinds give them, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ivr_engine.address import Address
from ivr_engine.exchange import MAX_BODY, BadAnswerError, Exchange

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Other:
    """The other side: sends `answers` in turn, one per request; closes after those that end with None."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while self.answers:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            self.requests.append(head + await reader.readexactly(2))
            if (answer := self.answers.pop(0)) is not None:
                writer.write(answer)
            if self.answers and self.answers[0] is None:
                self.answers.pop(0)
                break
        writer.close()


@asynccontextmanager
async def talking_to(other: Other, folder: Path, **given: str) -> AsyncIterator[Exchange]:
    path = str(folder / "engine")
    server = await asyncio.start_unix_server(other.serve, path)
    exchange = Exchange(Address(path=path), **given)
    try:
        yield exchange
    finally:
        exchange.close()
        server.close()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OK, (200, b"{}")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, (200, b"{}")),
        (b"HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
         (404, b"abc0123456789")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nTrailer: t\r\n\r\n", (200, b"a")),
        (OK.replace(b"\r\n", b"\n"), (200, b"{}")),
        (b"HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n3\nabc\n0\n\n", (200, b"abc")),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive, x\r\nContent-Length: 2\r\n\r\n{}", (200, b"{}")),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}", (200, b"{}")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n{}", (200, b"{}")),
    ],
)  # fmt: skip
async def test_every_form_of_a_body_is_read_and_the_connection_kept(
    tmp_path: Path, answer: bytes, expected: tuple[int, bytes]
) -> None:
    other = Other(answer, answer)
    async with talking_to(other, tmp_path) as exchange:
        assert [await exchange.post("/v1/x", b"{}") for _ in range(2)] == [expected, expected]
    assert other.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\nwhole",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nwhole",
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 5\r\n\r\nwhole",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nwhole",
        b"HTTP/1.0 200 OK\n\nwhole",
    ],
)
async def test_a_connection_that_ends_with_the_answer_is_not_used_again(tmp_path: Path, answer: bytes) -> None:
    other = Other(answer, None, answer, None)
    async with talking_to(other, tmp_path) as exchange:
        assert [await exchange.post("/v1/x", b"{}") for _ in range(2)] == [(200, b"whole")] * 2
    assert other.connections == 2


async def test_a_header_that_comes_twice_is_one_list(tmp_path: Path) -> None:
    """The last one counted: what was to be closed was kept, and of two lengths one cut the body short."""
    answer = (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}"
    )
    other = Other(answer, answer)
    async with talking_to(other, tmp_path) as exchange:
        assert [await exchange.post("/v1/x", b"{}") for _ in range(2)] == [(200, b"{}")] * 2
    assert other.connections == 2


async def test_a_kept_connection_found_closed_costs_nothing_but_a_new_one(tmp_path: Path) -> None:
    other = Other(OK, None, OK)
    async with talking_to(other, tmp_path) as exchange:
        assert await exchange.post("/v1/x", b"{}") == (200, b"{}")
        assert await exchange.post("/v1/x", b"{}") == (200, b"{}"), "at once: the end may not have been seen yet"
    assert other.connections == 2


async def test_requests_at_the_same_time_have_connections_of_their_own(tmp_path: Path) -> None:
    other = Other(*[OK] * 10)
    async with talking_to(other, tmp_path) as exchange:
        assert await asyncio.gather(*(exchange.post("/v1/x", b"{}") for _ in range(5))) == [(200, b"{}")] * 5
    assert other.connections == 5


async def test_what_is_sent_is_whole_and_carries_the_token(tmp_path: Path) -> None:
    other = Other(OK)
    async with talking_to(other, tmp_path, token="node-token") as exchange:
        await exchange.post("/v1/x", b"{}")
    (request,) = other.requests
    assert request.startswith(b"POST /v1/x HTTP/1.1\r\nHost: engine\r\n")
    assert b"\r\nAuthorization: Bearer node-token\r\n" in request
    assert b"\r\nAccept-Encoding: identity\r\n" in request
    assert request.endswith(b"Content-Length: 2\r\n\r\n{}")


@pytest.mark.parametrize(
    "answer",
    [
        b"rubbish\r\n\r\n",
        b"HTTP/1.1 fine OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0_2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xa02\r\n\r\n{}",
        b"HTTP/1.1 20_0 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 17) + b"\r\n\r\n",
    ],
)
async def test_what_is_no_answer_is_an_error_and_bounded(tmp_path: Path, answer: bytes) -> None:
    async with talking_to(Other(answer, None), tmp_path) as exchange:
        with pytest.raises(BadAnswerError):
            await exchange.post("/v1/x", b"{}")


@pytest.mark.parametrize(
    "answer", [None, b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
)
async def test_an_answer_that_breaks_off_is_an_error(tmp_path: Path, answer: bytes | None) -> None:
    async with talking_to(Other(answer, None), tmp_path) as exchange:
        with pytest.raises(EOFError):
            await exchange.post("/v1/x", b"{}")


async def test_nobody_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await Exchange(Address(path=str(tmp_path / "nobody"))).post("/v1/x", b"{}")
