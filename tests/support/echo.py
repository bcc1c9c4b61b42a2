"""A server that breaks every request in another way and quotes the request's head wherever an answer has room for it.

Whoever logs what such a server says logs the credentials it was sent.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Final

Break = Callable[[str], bytes]


def answer(status: str, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close"])
    return head.encode() + b"\r\n\r\n" + body


def aws_error(code: str, status: str = "400 Bad Request") -> Break:
    def broken(head: str) -> bytes:
        return answer(status, json.dumps({"__type": f"com.amazonaws#{code}", "message": head}).encode())

    return broken


def flat(head: str) -> str:
    return head.replace("\r\n", " ")


BREAKS: Final[dict[str, Break]] = {
    "wrong signature": aws_error("InvalidSignatureException"),
    "denied": aws_error("AccessDeniedException"),
    "incomplete": aws_error("IncompleteSignatureException"),
    "invalid": aws_error("ValidationException"),
    "unknown code": aws_error("Quite some Error"),
    "throttled": aws_error("ThrottlingException"),
    "broken": aws_error("InternalServerError", "500 Internal Server Error"),
    "page": lambda head: answer("502 Bad Gateway", f"<html>{head}</html>".encode()),
    "nonsense": lambda head: answer("200 OK", f"nonsense {head}".encode()),
    "no HTTP": lambda head: f"HTTP/1.1 {flat(head)}\r\n\r\n".encode(),
    "bad header": lambda head: f"HTTP/1.1 200 OK\r\n{flat(head)}\r\nContent-Length: {flat(head)}\r\n\r\n".encode(),
    "redirect": lambda head: answer("302 Found", b"", f"Location: http://127.0.0.1:9/?{flat(head)}"),
    "cut short": lambda head: answer("200 OK", head.encode())[:-1],
    "silent": lambda _: b"",
}


class Echo:
    """The server: its URL, and the heads of all requests it got."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.port: int = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.heads: list[str] = []
        self._turn = count()

    def serve(self) -> None:
        with suppress(OSError):  # the listener is closed: the end
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(5)
            head = connection.recv(65536).decode("latin-1").partition("\r\n\r\n")[0]
            if not head:
                return
            self.heads.append(head)
            connection.sendall(list(BREAKS.values())[next(self._turn) % len(BREAKS)](head))
            connection.shutdown(socket.SHUT_WR)


@contextmanager
def echo() -> Iterator[Echo]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        server = Echo(listener)
        threading.Thread(target=server.serve, daemon=True).start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
