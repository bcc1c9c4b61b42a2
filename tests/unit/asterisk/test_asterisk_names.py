"""What outlives the bridge (session, ids, seq, accepted stops), which dialplan is a script, and the settings."""

import json
import re
import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridged import SCRIPTS
from ivr_asterisk.accepted import MAX_TEXT, Accepted
from ivr_asterisk.mapping import MAX_KNOWN, Rule, Scripts
from ivr_asterisk.naming import Life, began_s, rfc3339, runtime_id
from ivr_asterisk.settings import Settings
from ivr_engine.rules import domain_of
from ivr_engine.settings import SettingsError

LIFE = Life("ivr-node-1", "00:00:5e:00:53:01", "2026-11-25 23:24:52")
SESSION = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def test_the_session_is_of_the_system_and_its_start() -> None:
    assert LIFE.session == Life("ivr-node-1", "00:00:5e:00:53:01", "2026-11-25 23:24:52").session
    others = {
        Life("ivr-node-1", "00:00:5e:00:53:01", "2026-11-25 23:24:53").session,
        Life("ivr-node-1", "00:00:5e:00:53:02", "2026-11-25 23:24:52").session,
        Life("ivr-node-2", "00:00:5e:00:53:01", "2026-11-25 23:24:52").session,
    }
    assert len({LIFE.session, *others}) == 4


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_name_makes_a_session_that_the_protocol_takes(system: str, entity: str) -> None:
    assert SESSION.fullmatch(Life(system, entity, "2026-11-25 23:24:52").session)


def test_a_life_without_a_start_is_none() -> None:
    with pytest.raises(ValueError, match="no start time"):
        Life("a", "b", " ")


@given(st.integers(0, 10**15), st.integers(1, 10**12))
def test_seq_goes_on_above_all_earlier_numbers(first_us: int, later_us: int) -> None:
    now_us = 1_795_649_092_000_000 + first_us
    assert 0 <= LIFE.seq_at(now_us) < LIFE.seq_at(now_us + later_us)


def test_seq_is_positive_in_every_zone() -> None:
    """The start is told in local time: 14 hours ahead of UTC it looks as if it were still to come."""
    assert Life("a", "b", "2026-11-26 14:00:00").seq_at(1_795_651_200_000_000) > 0


def test_an_id_is_a_uuid_of_session_and_uniqueid() -> None:
    first = runtime_id("s", "1.1")
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", first)
    assert first == runtime_id("s", "1.1")
    assert len({first, runtime_id("s", "1.2"), runtime_id("t", "1.1")}) == 3


@pytest.mark.parametrize(
    ("uniqueid", "began"),
    [("1795649108.16", 1795649108), ("ivr-node-1-1795649108.16", 1795649108), ("call-a-1", None), ("1.1", None)],
)
def test_a_uniqueid_of_asterisks_own_tells_when_the_channel_began(uniqueid: str, began: int | None) -> None:
    assert began_s(uniqueid) == began


def test_times_are_whole_seconds_in_utc() -> None:
    assert rfc3339(1795649108.9) == "2026-11-25T23:25:08Z"


# Accepted stops

IDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)


@given(st.lists(IDS, max_size=40), st.booleans())
def test_what_is_kept_in_the_channel_is_read_as_it_was_and_fits_a_line(ids: list[str], done: bool) -> None:
    kept = Accepted(done=done)
    for stop_id in ids:
        kept = kept.with_id(stop_id, done=done)
    text = kept.as_text()
    assert len(text.encode()) <= MAX_TEXT
    assert kept.merged(text) == kept
    fresh = Accepted().merged(text)
    assert fresh.ids == kept.ids[: len(fresh.ids)]
    assert len(fresh.ids) >= min(14, len(kept.ids))
    assert (fresh.done, fresh.latest) == (done, kept.latest)


def test_the_last_id_is_repeated_as_long_as_its_command_was_not_seen_to_work() -> None:
    kept = Accepted().with_id("one", done=False)
    assert not kept.settled("one")
    kept = kept.with_id("one", done=True)
    assert (kept.settled("one"), kept.settled("two"), kept.ids) == (True, False, ("one",))


def test_somebody_elses_text_in_the_variable_is_left_alone() -> None:
    kept = Accepted(("one",))
    assert (kept.merged("5f0c,7a11"), kept.merged("")) == (kept, kept)


# Scripts


@pytest.mark.parametrize(
    ("place", "code"),
    [
        (("ivr", "welcome"), "welcome"),
        (("ivr", "s"), "ivr"),
        (("ivr", "t"), "ivr"),
        (("ivr-player", "s"), "player"),
        (("ivr-external-stop", "welcome"), "welcome"),
        (("xivr", "welcome"), None),
        (("ivr", "h"), None),
        (("ivr", ""), None),
        (("outside", "s"), None),
    ],
)
def test_a_place_is_the_script_of_the_first_rule_that_fits(place: tuple[str, str], code: str | None) -> None:
    script = SCRIPTS.find(*place)
    assert (script and script.code) == code
    assert bool(script and script.branch) == (place[0] == "ivr-external-stop")


def test_extensions_that_callers_dial_do_not_fill_the_memory() -> None:
    scripts = Scripts((Rule(context="ivr"),), branches="stop")
    for number in range(MAX_KNOWN + 10):
        scripts.find("ivr", str(number))
    assert len(scripts._known) <= MAX_KNOWN


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("Test.Example", "test.example"),
        ("a" * 253, "a" * 253),
        ("", None),
        ("a b", None),
        ("a" * 254, None),
        ("\u212aelvin.example", None),  # the sign folds to a plain k
    ],
)
def test_a_domain_is_judged_as_it_was_told_and_then_folded(name: str, domain: str | None) -> None:
    assert domain_of(name) == domain


# Settings

GIVEN = {
    "listen": "unix:/run/a/e.sock",
    "agent": "unix:/run/a/a.sock",
    "node": "a@127.0.0.1",
    "username": "ivr-bridge",
    "secret": "of-manager.conf",
    "scripts": '[{"context": "ivr"}]',
}


def load(monkeypatch: pytest.MonkeyPatch, **changes: str | None) -> Settings:
    for name, value in {**GIVEN, **changes}.items():
        if value is not None:
            monkeypatch.setenv(f"IVR_ASTERISK_{name.upper()}", value)
    return Settings.load(None)


def test_rules_come_from_json_or_from_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rules = [{"context": "ivr-(?P<s>.+)", "exten": "s", "code": "x-{s}", "name": "N", "domain": "a.example"}]
    (rule,) = load(monkeypatch, scripts=json.dumps(rules)).scripts
    script = rule.script("ivr-player", "s")
    assert script
    assert (script.code, script.name, script.domain) == ("x-player", "N", "a.example")
    monkeypatch.delenv("IVR_ASTERISK_SCRIPTS")
    file = tmp_path / "a.toml"
    file.write_text('[[scripts]]\ncontext = "ivr"\n', encoding="utf-8")
    assert len(Settings.load(file).scripts) == 1


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("ami", "127.0.0.1:5038", "write tcp://"),
        ("ami", "tcp://127.0.0.1", "write tcp://"),
        ("ami", "tcp://127.0.0.1:99999", "write tcp://"),
        ("ami", "tcp://10.0.0.1:5038", "in clear; write tls://"),
        ("ami_ca", "/nowhere.pem", "PEM"),
        ("scripts", "[]", "at least 1"),
        ("scripts", "{", "not JSON"),
        ("scripts", '[{"context": "("}]', "scripts[0].context: not a regular expression"),
        ("scripts", '[{"context": "ivr", "code": "{other}"}]', "{context}, {exten}"),
        ("scripts", '[{"context": "ivr", "domain": "a b"}]', "scripts[0].domain"),
        ("scripts", '[{"contexts": "ivr"}]', "scripts[0].context"),
        ("stop_context", "a b", "stop_context"),
        ("hangup_cause", "0", "hangup_cause"),
        ("hangup_cause", "128", "hangup_cause"),
        ("audit_s", "4", "audit_s"),
        ("audit_s", "3601", "audit_s"),
        ("node", "a", "node"),
        ("username", "a b", "username"),
        ("secret", "", "secret"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, remedy: str
) -> None:
    with pytest.raises(SettingsError, match=f"IVR_ASTERISK_{name.upper()}") as wrong:
        load(monkeypatch, **{name: value})
    assert remedy in str(wrong.value)
    assert GIVEN["secret"] not in str(wrong.value)


@pytest.mark.parametrize(("name", "value"), [("audit_s", "5"), ("audit_s", "3600"), ("hangup_cause", "127")])
def test_the_edges_of_the_limits_are_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert str(getattr(load(monkeypatch, **{name: value}), name)).removesuffix(".0") == value


def test_over_tls_asterisk_must_prove_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    context = load(monkeypatch, ami="tls://pbx.example.com:5039").tls()
    assert context
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert load(monkeypatch, ami="tcp://[::1]:5038").tls() is None


def test_the_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert GIVEN["secret"] not in repr(load(monkeypatch))
