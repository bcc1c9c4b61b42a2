"""Settings: a file or the environment is enough, and what is wrong is told with its place and its remedy."""

import json
from pathlib import Path

import pytest

from ivr_engine.settings import SettingsError
from ivr_freeswitch.settings import Settings

GOOD = """
listen = "unix:/run/engine.sock"
agent = "unix:/run/agent.sock"
password = "secret"
[[scripts]]
context = "ivr"
domain = "test.rootdomain.ru"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (file := tmp_path / "freeswitch.toml").write_text(GOOD)
    return file


def faults_of(file: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.load(file)
    return str(caught.value)


def test_a_file_is_enough(file: Path) -> None:
    read = Settings.load(file)
    assert (read.host, read.port, read.user, read.password.get_secret_value()) == ("127.0.0.1", 8021, None, "secret")
    [rule] = read.scripts
    assert (rule.context, rule.extension, rule.type, rule.post_processing, rule.catch_all) == (
        "ivr",
        ".*",
        "ivr",
        None,
        False,
    )


def test_the_environment_is_enough_and_wins(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "SCRIPTS": json.dumps([{"menu": "main"}, {"lua": "x\\.lua"}]),
        "USER": "bridge@test.rootdomain.ru",
        "PORT": "8121",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"IVR_FREESWITCH_{name}", value)
    read = Settings.load(file)
    assert (len(read.scripts), read.user, read.port) == (2, "bridge@test.rootdomain.ru", 8121)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('context = "ivr"', "", "scripts[0]: give exactly one of context, menu and lua"),
        ('context = "ivr"', 'context = "ivr"\nmenu = "m"', "scripts[0]: give exactly one of context, menu and lua"),
        ('context = "ivr"', 'context = "("', "scripts[0].context: not a regular expression"),
        ('domain = "test.rootdomain.ru"', 'domain = "тест.рф"', "scripts[0].domain"),
        ('domain = "test.rootdomain.ru"', 'post_processing = "a b"', "scripts[0].post_processing"),
        ('domain = "test.rootdomain.ru"', 'postprocessing = "a"', "scripts[0].postprocessing"),
        ('password = "secret"', 'password = ""', "password"),
        ('password = "secret"', 'password = "a\\nb"', "password: holds a control character"),
        ('password = "secret"', "", "password"),
        ('password = "secret"', 'password = "s"\nuser = "bridge"', "user"),
        ('password = "secret"', 'password = "s"\nuser = "a@b\\n\\napi x"', "user"),
        ('password = "secret"', 'password = "s"\nport = 0', "port"),
        ('password = "secret"', 'password = "s"\nhost = "a b"', "host"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_without_the_secret(
    file: Path, before: str, after: str, told: str
) -> None:
    file.write_text(GOOD.replace(before, after))
    faults = faults_of(file)
    assert told in faults
    assert "secret" not in faults.replace("esl-password", "").replace("password of", "")


def test_there_must_be_a_rule(file: Path) -> None:
    file.write_text(GOOD.partition("[[scripts]]")[0] + "scripts = []\n")
    assert "scripts" in faults_of(file)
