"""The borders of the core: names, commands, claims, settings, errors."""

import inspect
import json
from typing import Literal

import msgspec
import pytest

from ivr_runtimes import errors
from ivr_runtimes.command import Command
from ivr_runtimes.errors import ApiError, IvrRuntimesError, SettingsError, UnreadableCommandError
from ivr_runtimes.http.caller import SUBJECT_LENGTH, caller_of
from ivr_runtimes.identifiers import fold_domain, fold_id, host_of, is_runtime_id, is_stop_id, stop_id_of
from ivr_runtimes.model import Verb
from ivr_runtimes.ports import MAX_SITES
from ivr_runtimes.settings import FunctionSettings, ListSettings, StopSettings, load
from rows import PLAYER

ENVIRONMENT = {
    "RUNTIMES_TABLE": "x-runtimes",
    "NODES_TABLE": "x-nodes",
    "SITES": "SITE1,SITE2",
    "STOP_QUEUE_URL_PREFIX": "https://sqs.eu-central-1.amazonaws.com/000000000000/x-stop-",
}


def body(**changes):
    values = {
        "v": 1,
        "stop_id": "key-1",
        "verb": "external_stop",
        "site": PLAYER.site,
        "node": PLAYER.node,
        "session": PLAYER.session,
        "runtime_id": PLAYER.id,
        "domain": PLAYER.domain,
        "accepted_at_s": 1.0,
        "deadline_s": 2.0,
    }
    return json.dumps({**values, **changes})


def test_a_command_survives_its_journey():
    command = Command.from_body(body(requested_by="operator", reason="the caller asked for it: тест"))
    assert Command.from_body(command.to_body()) == command


def test_a_command_of_a_function_that_knows_no_reasons_has_none():
    assert Command.from_body(body()).reason == ""


class CommandBefore(msgspec.Struct, frozen=True, kw_only=True):
    """A command as agents read it before there were reasons."""

    v: Literal[1] = 1
    stop_id: str
    verb: Verb
    requested_by: str = ""


def test_an_agent_that_knows_no_reasons_reads_a_command_that_has_one():
    sent = Command.from_body(body(reason="the caller asked for it")).to_body()
    assert msgspec.json.decode(sent, type=CommandBefore).verb is Verb.EXTERNAL_STOP


@pytest.mark.parametrize(
    "wrong",
    [
        {"verb": "kill"},
        {"v": 2},
        {"site": "1SITE"},
        {"node": "no-host"},
        {"stop_id": ""},
        {"deadline_s": None},
        {"reason": "x" * 257},
        {"reason": None},
    ],
)
def test_an_unreadable_command_names_the_wrong_field(wrong):
    with pytest.raises(UnreadableCommandError, match=next(iter(wrong))):
        Command.from_body(body(**wrong))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\ud800"])
def test_what_is_no_command_at_all_is_unreadable(text):
    with pytest.raises(UnreadableCommandError):
        Command.from_body(text)


def test_fields_of_later_versions_of_the_function_are_let_through():
    assert Command.from_body(body(colour="red")).stop_id == "key-1"


@pytest.mark.parametrize(
    ("claim", "domain"),
    [
        ("Test.Rootdomain.RU", "test.rootdomain.ru"),
        ("a", "a"),
        ("x" * 253, "x" * 253),
        ("x" * 254, None),
        ("", None),
        ("[a.ru b.ru]", None),
        ("a.ru b.ru", None),
        ("a.ru\n", None),
        (".a", None),
        ("a.", None),
        ("\u212a.ru", None),
        ("\u0130.ru", None),
        ("\uff41.ru", None),
        ("\u00e9.ru", None),
        ("a\u00a0", None),
        ("\u0661.ru", None),
    ],
)
def test_a_domain_is_one_folded_name(claim, domain):
    assert fold_domain(claim) == domain


def test_no_letter_outside_ascii_folds_into_anothers_name():
    """`"\u212a".lower()` is `k`: a tenant of that name listed and stopped the scripts of the one spelled with k."""
    outside = [chr(code) for code in range(0x80, 0x110000)]
    assert [letter for letter in outside if letter.lower().isascii()] == ["\u212a"], "the ones to think of"
    assert all(fold_domain(f"{letter}.example") is None for letter in outside)


def test_ids_and_keys_are_what_they_claim_to_be():
    assert is_runtime_id(PLAYER.id)
    assert not is_runtime_id(PLAYER.id + "\n")
    assert not is_runtime_id("../" + PLAYER.id)
    assert is_stop_id("k")
    assert not is_stop_id("k\n")


def test_ids_are_folded_after_they_were_checked():
    assert fold_id(PLAYER.id.upper()) == PLAYER.id
    assert fold_id(PLAYER.id.replace("a", "\uff41")) is None
    assert stop_id_of('"' + "k" * 64 + '"') == "k" * 64
    assert stop_id_of("k\n") is None


def test_the_host_of_a_node_may_be_an_ipv6_address():
    assert host_of("a@192.168.0.12") == "192.168.0.12"
    assert host_of("a@[::1]") == "::1"


def test_a_long_subject_is_cut_so_that_it_cannot_swell_messages_and_logs():
    claims = {"domain": "a.ru", "sub": "s" * 1000}
    event = {"requestContext": {"authorizer": {"jwt": {"claims": claims}}}}
    assert caller_of(event, domain_claim="domain").subject == "s" * SUBJECT_LENGTH


@pytest.mark.parametrize(
    "odd",
    ["\uffff", "\ufffe", "\x00", "\x1b", "\ud800", "\n", "\r", "\t", "\x7f", "\x9b", "\u2028", "\u202e", "\U0001ffff"],
)
def test_a_subject_that_sqs_would_not_take_does_not_spoil_the_stop(odd):
    """U+FFFF in the subject made SQS refuse the command, and the caller got a 500 for every stop.

    Others reach terminals by the logs: an escape sequence, a line end, a switch of the writing direction.
    """
    event = {
        "requestContext": {"authorizer": {"jwt": {"claims": {"domain": "a.example", "sub": f"anna{odd}\U0001f4f0"}}}}
    }
    assert caller_of(event, domain_claim="domain").subject == "anna\ufffd\U0001f4f0"


@pytest.mark.parametrize("scope", ["x", "n" * 64, "calls/numbers", "!#[]~"])
def test_the_scope_of_numbers_is_one_scope(scope):
    assert load(ListSettings, ENVIRONMENT).scope_numbers == "ivrscript_runtimes:numbers"
    assert load(ListSettings, {**ENVIRONMENT, "SCOPE_NUMBERS": scope}).scope_numbers == scope


@pytest.mark.parametrize("scope", ["", "n" * 65, "two scopes", 'a"b', "a\\b", "é", "a\n"])
def test_a_scope_that_no_token_can_carry_keeps_the_function_from_starting(scope):
    with pytest.raises(SettingsError, match="SCOPE_NUMBERS"):
        load(ListSettings, {**ENVIRONMENT, "SCOPE_NUMBERS": scope})


def test_settings_are_read_from_the_environment():
    settings = load(StopSettings, ENVIRONMENT)
    assert settings.sites == ("SITE1", "SITE2")
    assert settings.domain_claim == "domain"


@pytest.mark.parametrize("name", ["RUNTIMES_TABLE", "NODES_TABLE", "SITES", "STOP_QUEUE_URL_PREFIX"])
def test_a_missing_setting_is_named(name):
    with pytest.raises(SettingsError, match=name):
        load(StopSettings, {key: value for key, value in ENVIRONMENT.items() if key != name})


@pytest.mark.parametrize("count", [0, MAX_SITES + 1])
def test_sites_are_one_to_a_hundred(count):
    sites = ",".join(f"S{n}" for n in range(count))
    with pytest.raises(SettingsError, match="SITES"):
        load(FunctionSettings, {**ENVIRONMENT, "SITES": sites})


def test_a_hundred_sites_fit():
    sites = ",".join(f"S{n}" for n in range(MAX_SITES))
    assert len(load(FunctionSettings, {**ENVIRONMENT, "SITES": sites}).sites) == MAX_SITES


def test_the_error_tree_is_drawn_as_it_is():
    classes = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, IvrRuntimesError)]
    assert errors.__doc__
    for cls in classes:
        assert cls.__name__ in errors.__doc__
    answered = [cls for cls in classes if issubclass(cls, ApiError) and cls is not ApiError]
    for cls in answered:
        assert f"{cls.status} {cls.code}" in errors.__doc__
    assert len({cls.code for cls in answered}) == len(answered)
