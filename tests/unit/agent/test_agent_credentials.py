"""Credentials that come late, fail, end or are rotated: looked for anew, by both clients, without holding up a loop."""

import itertools
import os
import stat
import subprocess
import sys
import threading
import time as real_time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.credentials
import pytest

from ivr_agent.aws import credentials, sources
from ivr_agent.aws.clock import Clock
from ivr_agent.aws.credentials import AHEAD_S, MOST_REST_S, REFUSED_REST_S, Credentials, MissingCredentialsError
from ivr_agent.aws.denial import Denials
from ivr_agent.aws.remedy import cause_of
from ivr_agent.aws.sources import look
from ivr_agent.engine.memory import ManualTime
from ivr_agent.process.repeats import MOST_S

SECRET = "planted-secret"


def kept(
    key: str, *, ends_in_s: float | None = None, time: Callable[[], float] = lambda: 0.0
) -> botocore.credentials.Credentials:
    """Return credentials as botocore finds them: of a host's role if they end, as `time` passes, else of a file."""
    if ends_in_s is None:
        return botocore.credentials.Credentials(key, SECRET, method="shared-credentials-file")
    now = datetime.now(UTC)
    return botocore.credentials.RefreshableCredentials(
        key,
        SECRET,
        "token",
        now + timedelta(seconds=time() + ends_in_s),
        lambda: None,
        "iam-role",
        time_fetcher=lambda: now + timedelta(seconds=time()),
    )


class Source:
    """A source of credentials: brings `found`, or fails with it; counts the looks."""

    def __init__(self, found: Any = None) -> None:
        self.found = found
        self.looks = 0
        self.answers = threading.Event()
        self.answers.set()

    def __call__(self) -> Any:
        self.looks += 1
        self.answers.wait(10)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def late(source: Source, time: ManualTime) -> Credentials:
    return Credentials(source, monotonic=time, chance=lambda: 0.0)


def key_of(late: Credentials) -> str:
    return str(late.get_frozen_credentials().access_key)


def settled(late: Credentials) -> None:
    """Wait until the look under way has ended."""
    with late._changed:
        assert late._changed.wait_for(lambda: not late._looking, 10)


def test_what_was_not_there_at_the_start_is_found_later(late: Credentials, source: Source, time: ManualTime) -> None:
    """A host's metadata service answered 6 s after the agent's start: the agent never asked again."""
    with pytest.raises(MissingCredentialsError, match="none found"):
        late.get_frozen_credentials()
    source.found = kept("AKLATE")
    time.pass_s(MOST_REST_S)
    assert key_of(late) == "AKLATE"


def test_a_source_that_fails_is_not_asked_by_every_request(late: Credentials, source: Source, time: ManualTime) -> None:
    waits = []
    for _ in range(480):
        looks = source.looks
        with pytest.raises(MissingCredentialsError):
            late.get_frozen_credentials()
        if source.looks > looks:
            waits.append(time.at_s)
        time.pass_s(0.125)
    pauses = [later - earlier for earlier, later in itertools.pairwise(waits)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


def test_a_source_that_hangs_holds_up_no_request_for_long(
    late: Credentials, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "WAIT_S", 0.05)
    source.answers.clear()
    for _ in range(3):
        with pytest.raises(MissingCredentialsError, match="no answer yet"):
            late.get_frozen_credentials()
    assert source.looks == 1
    source.found = kept("AKSLOW")
    source.answers.set()
    settled(late)
    assert key_of(late) == "AKSLOW"


def test_many_requests_at_once_wait_for_one_look(late: Credentials, source: Source) -> None:
    source.answers.clear()
    source.found = kept("AKONE")
    keys: list[str] = []
    threads = [threading.Thread(target=lambda: keys.append(key_of(late))) for _ in range(8)]
    for thread in threads:
        thread.start()
    source.answers.set()
    for thread in threads:
        thread.join(10)
    assert (keys, source.looks) == (["AKONE"] * 8, 1)


def test_credentials_near_their_end_are_replaced_beside_the_requests(
    late: Credentials, source: Source, time: ManualTime, caplog: pytest.LogCaptureFixture
) -> None:
    source.found = kept("AKOLD", ends_in_s=AHEAD_S + 1, time=time)
    assert key_of(late) == "AKOLD"
    time.pass_s(2)
    source.found = OSError("the source is away: " + SECRET)
    for _ in range(3):
        time.pass_s(MOST_REST_S)
        assert key_of(late) == "AKOLD", "they are good until their end"
        settled(late)
    assert [record.getMessage() for record in caplog.records] == ["credentials_not_renewed"]
    source.found = kept("AKNEW", ends_in_s=6 * 3600)
    time.pass_s(MOST_REST_S)
    late.get_frozen_credentials()
    settled(late)
    assert key_of(late) == "AKNEW"
    assert SECRET not in caplog.text


def test_a_source_of_short_lived_credentials_is_not_asked_all_the_time(
    late: Credentials, source: Source, time: ManualTime
) -> None:
    source.found = kept("AKSHORT", ends_in_s=300)
    source.found._advisory_refresh_timeout = source.found._mandatory_refresh_timeout = 0
    for _ in range(20):
        late.get_frozen_credentials()
        settled(late)
        time.pass_s(REFUSED_REST_S)
    assert source.looks == 1


def test_credentials_that_have_ended_sign_nothing_more(late: Credentials, source: Source, time: ManualTime) -> None:
    source.found = kept("AKOLD", ends_in_s=1, time=time)
    source.found._advisory_refresh_timeout = source.found._mandatory_refresh_timeout = 0
    assert key_of(late) == "AKOLD"
    time.pass_s(2)
    source.found = None
    time.pass_s(MOST_REST_S)
    with pytest.raises(MissingCredentialsError):
        late.get_frozen_credentials()
    source.found = kept("AKNEW", ends_in_s=3600)
    time.pass_s(MOST_REST_S)
    assert key_of(late) == "AKNEW"


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId"])
def test_what_aws_refuses_is_read_again_from_its_source(
    late: Credentials, source: Source, time: ManualTime, code: str
) -> None:
    """Keys were rotated in the file: botocore held on to the old ones, and only a restart helped."""
    source.found = kept("AKOLD")
    assert key_of(late) == "AKOLD"
    source.found = kept("AKNEW")
    time.pass_s(REFUSED_REST_S)
    assert key_of(late) == "AKOLD", "without a reason nothing is read again"
    late.note_answer({"Error": {"Code": "ProvisionedThroughputExceededException"}})
    assert key_of(late) == "AKOLD"
    late.note_answer({"Error": {"Code": code}})
    assert key_of(late) == "AKOLD", "while the look goes on"
    settled(late)
    assert key_of(late) == "AKNEW"


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_line_ends_around_credentials_are_none_of_them(late: Credentials, source: Source, ending: str) -> None:
    source.found = botocore.credentials.Credentials(f"AK{ending}", SECRET + ending, f"token{ending}", method="env")
    assert late.get_frozen_credentials()[:3] == ("AK", SECRET, "token")


@pytest.mark.parametrize(
    ("key", "secret", "token"),
    [
        ("AK\nIA", SECRET, None),
        ("AK", f"{SECRET}\nX-Evil: 1", None),
        ("AK", SECRET, "to\x00ken"),
        ("AK", "s\u00e9cret", None),
        ("AK", "se cret", None),
    ],
)
def test_credentials_that_no_header_can_carry_are_told_and_not_quoted(
    late: Credentials, source: Source, key: str, secret: str, token: str | None
) -> None:
    source.found = botocore.credentials.Credentials(key, secret, token, method="env")
    with pytest.raises(MissingCredentialsError, match="of env holds") as caught:
        late.get_frozen_credentials()
    assert secret not in str(caught.value) + str(caught.value.cause)


def test_the_log_tells_a_cause_once_whoever_meets_it(
    clock: Clock, time: ManualTime, said: Callable[[], list[dict[str, Any]]]
) -> None:
    denials = Denials(clock)
    for _ in range(30):
        for service in ("dynamodb", "sqs"):
            told = denials.note(service, MissingCredentialsError(cause_of(TimeoutError())))
        time.pass_s(0.3)
    denials.note("sqs", MissingCredentialsError(cause_of(OSError(SECRET))))
    time.pass_s(MOST_S)
    denials.note("sqs", MissingCredentialsError(cause_of(TimeoutError())))
    assert [line["cause"] for line in said()] == ["no answer yet", "OSError", "no answer yet"]
    assert said()[0]["remedy"] in told


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any credentials, and nothing of the shell's."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    values = {
        "HOME": tmp_path,
        "AWS_CONFIG_FILE": tmp_path / "config",
        "AWS_SHARED_CREDENTIALS_FILE": tmp_path / "credentials",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    return tmp_path


def process(home: Path, text: str) -> str:
    """Write a `credential_process` and return a profile that runs it."""
    script = home / "process"
    script.write_text(f"#!{sys.executable}\n{text}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return f"[default]\ncredential_process = {script}\n"


SSO = "[default]\nsso_start_url = https://x\nsso_region = eu-central-1\nsso_account_id = 0\nsso_role_name = r\n"
BREAKS: dict[str, tuple[Callable[[Path], dict[str, str]], str, str]] = {
    "nothing": (lambda _: {}, "none found", "AWS_ACCESS_KEY_ID"),
    "half": (lambda _: {"AWS_ACCESS_KEY_ID": "AK"}, "PartialCredentialsError of env", "source"),
    "no profile": (lambda _: {"AWS_PROFILE": "ivr"}, "ProfileNotFound", "AWS_PROFILE"),
    "no profile, but keys": (
        lambda _: {"AWS_PROFILE": "ivr", "AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": SECRET},
        "ProfileNotFound",
        "AWS_PROFILE",
    ),
    "half a file": (
        lambda _: {"config": f"[default\naws_secret_access_key={SECRET}"},
        "ConfigParseError",
        "AWS_CONFIG_FILE",
    ),
    "process fails": (
        lambda home: {"config": process(home, f"raise SystemExit('{SECRET}')")},
        "CredentialRetrievalError of custom-process",
        "by hand",
    ),
    "process prints no JSON": (
        lambda home: {"config": process(home, f"print('{SECRET}')")},
        "JSONDecodeError",
        "program",
    ),
    "process prints a list": (lambda home: {"config": process(home, "print('[]')")}, "AttributeError", "program"),
    "no process": (lambda _: {"config": "[default]\ncredential_process = /no/such\n"}, "FileNotFoundError", "program"),
    "no sign-in": (lambda _: {"config": SSO}, "SSOTokenLoadError", "aws sso login"),
    "no token file": (
        lambda _: {"AWS_WEB_IDENTITY_TOKEN_FILE": "/no/such", "AWS_ROLE_ARN": "arn:aws:iam::000000000000:role/r"},
        "FileNotFoundError of AWS_WEB_IDENTITY_TOKEN_FILE",
        "file",
    ),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_what_is_missing_is_named_with_its_remedy_and_nothing_is_quoted(
    home: Path, monkeypatch: pytest.MonkeyPatch, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Real sources, each broken in its own way. One that fails at boot ended the agent: `wrong settings`, exit 2."""
    given, what, remedy = BREAKS[broken]
    for name, value in given(home).items():
        if name == "config":
            (home / "config").write_text(value)
        else:
            monkeypatch.setenv(name, value)
    late = Credentials(look)
    monkeypatch.setattr(credentials, "WAIT_S", 20.0)
    with pytest.raises(MissingCredentialsError) as caught:
        late.get_frozen_credentials()
    assert caught.value.cause.what == what
    assert remedy in caught.value.cause.remedy
    assert SECRET not in f"{caught.value!r} {caught.value.cause}"
    assert caught.value.__cause__ is None
    made = sources.client_session()
    assert made.create_client("sqs").meta.region_name == "eu-central-1", "no wrong setting: the clients can be made"


def test_every_look_reads_the_files_anew(home: Path) -> None:
    (home / "credentials").write_text(f"[default]\naws_access_key_id = AKOLD\naws_secret_access_key = {SECRET}\n")
    assert look().access_key == "AKOLD"
    (home / "credentials").write_text(f"[default]\naws_access_key_id = AKNEW\naws_secret_access_key = {SECRET}\n")
    assert look().access_key == "AKNEW"


def test_a_process_that_hangs_is_killed_with_all_it_started(home: Path) -> None:
    """botocore waits for a `credential_process` without end: one that hung once hung the agent's credentials."""
    asleep = [sys.executable, "-c", "import subprocess; subprocess.run(['sleep', '60'])"]
    hung = sources._Process(asleep, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    begun_s = real_time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        hung.communicate(timeout=0.3)
    assert real_time.monotonic() - begun_s < 30, "it would sleep for a minute"
    assert hung.returncode is not None


def test_a_look_runs_such_a_process(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "config").write_text(process(home, "import time; time.sleep(60)"))
    monkeypatch.setattr(sources._Process.communicate, "__defaults__", (None, 0.3))
    with pytest.raises(subprocess.TimeoutExpired):
        look()
