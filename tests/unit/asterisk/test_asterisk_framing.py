"""AMI's messages out of bytes, cut anywhere, and whose lines are believed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_asterisk.dialogue import MAX_ACTION_LINE, Answer, Dialogue, UnsendableError
from ivr_asterisk.framing import MAX_LINE, MAX_MESSAGE, Framer, Message, read, unescape


def message(*lines: str, end: str = "\r\n") -> bytes:
    return ("\r\n".join(lines) + "\r\n" + end).encode()


def framed(data: bytes, sizes: list[int]) -> list[bytes]:
    """What a framer makes of the data in reads of these sizes, over and over."""
    framer, found, at = Framer(), [], 0
    for number in range(len(data) + 1):
        size = sizes[number % len(sizes)]
        found += list(framer.feed(data[at : at + size]))
        at += size
    return found


@given(
    st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"a", b"Event: X", b": ", b"\xe9"]), max_size=40).map(b"".join),
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
def test_messages_are_the_same_wherever_the_reads_end(data: bytes, sizes: list[int]) -> None:
    assert framed(data, sizes) == framed(data, [len(data) + 1])


@pytest.mark.parametrize("sizes", [[7], [100_000], [MAX_MESSAGE * 2]])
def test_a_message_beyond_the_limit_is_cut_and_the_next_one_is_whole(sizes: list[int]) -> None:
    data = b"Event: Long\r\n" + b"x" * (MAX_MESSAGE + 5) + b"\r\n\r\nEvent: Next\r\n\r\n"
    sizes = [max(sizes[0], 50_000)]
    first, second = framed(data, sizes)
    assert (len(first), second) == (MAX_MESSAGE, b"Event: Next")


def test_a_message_of_just_the_limit_is_whole() -> None:
    data = b"x" * MAX_MESSAGE
    assert framed(data + b"\r\n\r\n", [60_001]) == [data]


def test_a_line_beyond_the_limit_is_cut() -> None:
    told = read(b"Event: VarSet\r\nValue: " + b"x" * (MAX_LINE + 10))
    assert len(told.get("Value")) == MAX_LINE - len("Value: ")


def test_lines_that_end_in_lf_alone_and_rows_that_end_in_cr_lf_lf_are_read() -> None:
    data = message("Event: A", "Uniqueid: 1", end="\n") + b"Event: B\nUniqueid: 2\n\n"
    assert [read(raw).get("Uniqueid") for raw in framed(data, [3])] == ["1", "2"]


def test_utf_8_is_read_and_what_is_none_is_latin_1_line_by_line() -> None:
    told = read("Event: X\r\nA: мир\r\n".encode() + b"B: caf\xe9")
    assert read("A: мир".encode()).get("A") == "мир"
    assert (told.get("A"), told.get("B")) == ("мир", "café")


@pytest.mark.parametrize(
    ("escaped", "plain"),
    [(r"a\r\nb", "a\r\nb"), (r"\"q\" \\n", '"q" \\n'), (r"\t\a\\\\", "\t\a\\\\"), ("plain", "plain"), ("\\", "\\")],
)
def test_values_are_unescaped_where_asterisk_escapes_them(escaped: str, plain: str) -> None:
    assert unescape(escaped) == plain


def test_behind_a_raw_value_nothing_is_read() -> None:
    told = read(message("Event: Newexten", "Uniqueid: 1", "AppData: x", "ChanVariable: IVR_DOMAIN=evil", "Exten: y"))
    assert (told.variables, told.get("Exten"), told.forged) == ({}, "", False)


@pytest.mark.parametrize("twice", ["Uniqueid: 2", "Context: ivr", "ChanVariable: IVR_DOMAIN=evil", "Event: Hangup"])
def test_a_message_that_says_twice_who_it_is_about_is_marked_as_forged(twice: str) -> None:
    lines = ["Event: Newexten", f"CallerIDNum: 1\r\n{twice}", "Context: a", "Uniqueid: 1", "ChanVariable: IVR_DOMAIN=b"]
    assert read(message(*lines)).forged
    assert not read(message(*[line.partition("\r\n")[0] for line in lines])).forged


# Dialogues


def asked(dialogue: Dialogue, action: str = "CoreShowChannels", **fields: str) -> str:
    return dialogue.ask(action, fields)[0]


def listing(action_id: str, *rows: bytes, items: int | None = None, named: bool = True) -> bytes:
    """A list of channels as the server says it; each row is a message without end or ActionID."""
    named_id = f"ActionID: {action_id}\r\n".encode() if named else b""
    told = b"".join(row.replace(b"\r\n", b"\r\n" + named_id, 1) + b"\r\n\r\n" for row in rows)
    return (
        message("Response: Success", f"ActionID: {action_id}", "EventList: start")
        + told
        + message(
            "Event: CoreShowChannelsComplete",
            f"ActionID: {action_id}",
            "EventList: Complete",
            f"ListItems: {len(rows) if items is None else items}",
        )
    )


def row(uniqueid: str, *more: str) -> bytes:
    return "\r\n".join(["Event: CoreShowChannel", "CallerIDNum: 1", *more, f"Uniqueid: {uniqueid}"]).encode()


def answer_to(dialogue: Dialogue, data: bytes) -> Any:
    (answer,) = [one for one in dialogue.receive(data) if isinstance(one, Answer)]
    return answer


def ids(answer: Answer) -> list[str]:
    return [one.get("Uniqueid") for one in answer.rows]


def test_a_list_comes_with_its_rows_named_or_not() -> None:
    for named in (True, False):
        dialogue = Dialogue()
        answer = answer_to(dialogue, listing(asked(dialogue), row("1"), row("2"), named=named))
        assert (ids(answer), answer.complete, answer.torn) == (["1", "2"], True, False)


def test_a_list_with_too_few_rows_is_not_complete() -> None:
    dialogue = Dialogue()
    assert not answer_to(dialogue, listing(asked(dialogue), row("1"), items=2)).complete


def test_the_pieces_of_a_row_that_was_cut_in_two_are_left_out_with_the_rows_beside_them() -> None:
    cut = row("3", "CallerIDName: x\r\nUniqueid: 1\r\n\r\nEvent: Hangup")
    dialogue = Dialogue()
    answer = answer_to(dialogue, listing(asked(dialogue), row("1"), cut, row("2"), row("4")))
    assert (answer.complete, answer.torn, ids(answer)) == (True, True, ["1", "4"])


def test_rows_without_ids_are_not_believed_if_any_is_odd() -> None:
    cut = row("3", "CallerIDName: x\r\nUniqueid: 1\r\n\r\nEvent: CoreShowChannel")
    dialogue = Dialogue()
    answer = answer_to(dialogue, listing(asked(dialogue), row("1"), cut, named=False))
    assert (ids(answer), answer.torn) == ([], True)


def test_an_answer_to_nobody_is_no_answer() -> None:
    dialogue = Dialogue()
    action_id = asked(dialogue, "Ping")
    assert list(dialogue.receive(message("Response: Success", "ActionID: guessed-1"))) == []
    dialogue.forget(action_id)
    assert list(dialogue.receive(message("Response: Success", f"ActionID: {action_id}"))) == []


def test_events_come_at_their_place_among_the_answers() -> None:
    dialogue = Dialogue()
    action_id = asked(dialogue, "Ping")
    said = dialogue.receive(
        b"Asterisk Call Manager/11.0.0\r\n"
        + message("Response: Success", f"ActionID: {action_id}")
        + message("Event: Hangup", "Uniqueid: 1")
        + message("Event: RTCPSent", "Uniqueid: 1")
        + message("Event: VarSet", "Variable: OTHER", "Value: x")
        + message("Event: VarSet", "Variable: IVR_NAME", "Value: x")
    )
    kinds = [one.event if isinstance(one, Message) else "answer" for one in said]
    assert kinds == ["answer", "Hangup", "VarSet"]


@pytest.mark.parametrize("value", ["a\r\nAction: Originate", "a\nb", "a\0b"])
def test_a_value_with_a_control_character_is_not_sent(value: str) -> None:
    with pytest.raises(UnsendableError):
        Dialogue().ask("Setvar", {"Value": value})


def test_a_line_of_just_the_limit_is_sent_and_a_longer_one_is_not() -> None:
    value = "x" * (MAX_ACTION_LINE - len("Value: "))
    assert value.encode() in Dialogue().ask("Setvar", {"Value": value})[1]
    with pytest.raises(UnsendableError):
        Dialogue().ask("Setvar", {"Value": value + "x"})
