from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_agent.aws.clock import Clock
from ivr_agent.engine.memory import ManualTime
from ivr_agent.peers import signature
from ivr_agent.peers.signature import NONCE, SIGNATURE, TIME, TOLERANCE_S, BadSignatureError, Request, Signer

SECRET = "x" * 32
ASKED = Request(method="POST", path="/v1/commands", body=b"{}", node="a@h", session="s-1")


@pytest.fixture
def signer(clock: Clock) -> Signer:
    return Signer(SECRET, clock)


def test_what_a_peer_signed_is_good(signer: Signer, clock: Clock) -> None:
    signer.verify(ASKED, Signer(SECRET, clock).sign(ASKED))


@pytest.mark.parametrize(
    "change",
    [{"method": "PUT"}, {"path": "/v1/other"}, {"body": b"{ }"}, {"node": "b@h"}, {"session": "s-2"}],
    ids=lambda change: next(iter(change)),
)
def test_nothing_that_is_signed_can_be_altered(signer: Signer, change: dict[str, str]) -> None:
    headers = signer.sign(ASKED)
    with pytest.raises(BadSignatureError, match="does not fit"):
        signer.verify(replace(ASKED, **change), headers)  # type: ignore[arg-type]  # one field each


@pytest.mark.parametrize("header", [TIME, NONCE, SIGNATURE])
@pytest.mark.parametrize("value", ["", "1572943000.000", "\udcff"])
def test_time_nonce_and_signature_can_be_neither_altered_nor_left_out(signer: Signer, header: str, value: str) -> None:
    headers = signer.sign(ASKED)
    with pytest.raises(BadSignatureError):
        signer.verify(ASKED, {**headers, header: value + "0"})
    headers.pop(header)
    with pytest.raises(BadSignatureError):
        signer.verify(ASKED, headers)


def test_another_secret_proves_nothing(signer: Signer, clock: Clock) -> None:
    with pytest.raises(BadSignatureError):
        signer.verify(ASKED, Signer("y" * 32, clock).sign(ASKED))


def test_a_request_is_good_only_once(signer: Signer) -> None:
    headers = signer.sign(ASKED)
    signer.verify(ASKED, headers)
    with pytest.raises(BadSignatureError, match="nonce"):
        signer.verify(ASKED, headers)


@given(ahead=st.booleans(), off_s=st.floats(0, 120))
def test_a_request_is_good_only_for_a_while(*, ahead: bool, off_s: float) -> None:
    time = ManualTime(1000.0)
    signer = Signer(SECRET, time.clock())
    theirs = ManualTime(1000.0 + (off_s if ahead else -off_s))
    headers = Signer(SECRET, theirs.clock()).sign(ASKED)
    if off_s < TOLERANCE_S - 0.01:
        signer.verify(ASKED, headers)
    elif off_s > TOLERANCE_S + 0.01:
        with pytest.raises(BadSignatureError, match="time"):
            signer.verify(ASKED, headers)


def test_nonces_are_remembered_as_long_as_they_could_be_used_and_no_longer(signer: Signer, time: ManualTime) -> None:
    for _ in range(100):
        signer.verify(ASKED, signer.sign(ASKED))
        time.pass_s(TOLERANCE_S)
    assert len(signer._nonces) <= 4


def test_more_requests_than_can_be_remembered_are_refused(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature, "MAX_NONCES", 3)
    for _ in range(3):
        signer.verify(ASKED, signer.sign(ASKED))
    with pytest.raises(BadSignatureError, match="too many"):
        signer.verify(ASKED, signer.sign(ASKED))
