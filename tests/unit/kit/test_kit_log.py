import json
import logging
import ssl
import sys

from ivr_engine.log import JsonLines
from ivr_engine.telling import told


def line(record: logging.LogRecord) -> dict[str, object]:
    text = JsonLines().format(record)
    assert "\n" not in text
    parsed: dict[str, object] = json.loads(text)
    return parsed


def record(message: str, **extra: object) -> logging.LogRecord:
    return logging.getLogger("ivr_sandbox").makeRecord(
        "ivr_sandbox", logging.INFO, "file.py", 1, message, (), None, extra=extra
    )


def test_a_line_holds_time_level_action_and_what_came_with_it() -> None:
    written = line(record("the engine runs", action="started", node="n@h"))
    assert str(written.pop("time")).endswith("+00:00")
    assert written == {"level": "info", "action": "started", "detail": "the engine runs", "node": "n@h"}


def test_a_record_without_an_action_has_one_all_the_same() -> None:
    assert line(record("from a library"))["action"] == "log"


def test_control_characters_leave_escaped() -> None:
    assert "\x1b" not in JsonLines().format(record("a\x1b[2Jb", name_of_script="x\ny"))


def test_an_exception_stays_on_the_line() -> None:
    failed = record("failed")
    try:
        int("boom")
    except ValueError:
        failed.exc_info = sys.exc_info()
    trace = str(line(failed)["exception"])
    assert "Traceback" in trace
    assert trace.endswith("ValueError")


def test_a_failed_handshake_is_told_by_the_reason_of_tls_not_by_a_number_of_the_system() -> None:
    refused = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    refused.reason = "CERTIFICATE_VERIFY_FAILED"
    assert told(refused) == "SSLCertVerificationError: CERTIFICATE_VERIFY_FAILED"
    assert told(ssl.SSLError(1, "text of a library")) == "SSLError"
