"""Framing: whatever the network cuts and however long a frame is, frames come out as they were sent."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_freeswitch.frames import MAX_BODY, MAX_HEAD, Frame, FrameError, Frames

EVENT = '{"Event-Name":"CHANNEL_EXECUTE","variable_ivr_name":"Главный сценарий ☎ 中文"}'.encode()
STREAM = (
    b"Content-Type: auth/request\n\n"
    b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
    b"Content-Type: api/response\nContent-Length: 17\n\n" + b'{"row_count": 0}\n'
    b"Content-Length: %d\nContent-Type: text/event-json\n\n" % len(EVENT) + EVENT
)
FRAMES = [
    ("auth/request", b""),
    ("command/reply", b""),
    ("api/response", b'{"row_count": 0}\n'),
    ("text/event-json", EVENT),
]


def read(*parts: bytes) -> list[Frame]:
    frames = Frames()
    return [frame for part in parts for frame in frames.feed(part)]


def test_several_frames_come_in_one_read() -> None:
    assert [(frame.kind, frame.body) for frame in read(STREAM)] == FRAMES


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_a_frame_comes_in_several_reads_cut_anywhere_even_inside_of_a_character(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    parts = [STREAM[begin:end] for begin, end in itertools.pairwise(edges)]
    assert [(frame.kind, frame.body) for frame in read(*parts)] == FRAMES


def test_byte_by_byte() -> None:
    assert [(frame.kind, frame.body) for frame in read(*(bytes([one]) for one in STREAM))] == FRAMES


def test_a_body_may_hold_empty_lines_and_what_looks_like_a_frame() -> None:
    body = b"\n\nContent-Type: text/event-json\nContent-Length: 2\n\n{}"
    assert read(b"Content-Type: api/response\nContent-Length: %d\n\n" % len(body) + body)[0].body == body


def test_headers_have_a_limit() -> None:
    longest = b"X: " + b"y" * (MAX_HEAD - 3)
    assert read(longest + b"\n\n")[0].headers == {"X": "y" * (MAX_HEAD - 3)}
    with pytest.raises(FrameError, match="headers"):
        read(longest + b"y\n\n")
    with pytest.raises(FrameError, match="headers"):
        read(longest, b"yy")


@pytest.mark.parametrize("length", ["-1", "1.5", "", "x", str(MAX_BODY + 1), "9" * 5000, "\u0661"])
def test_a_length_that_is_none_or_too_long_ends_the_stream(length: str) -> None:
    with pytest.raises(FrameError, match="body"):
        read(f"Content-Length: {length}\n\n".encode())


def test_the_longest_body_is_waited_for() -> None:
    frames = Frames()
    assert list(frames.feed(b"Content-Length: %d\n\nx" % MAX_BODY)) == []
