"""Profiles: the file, the environment, the command line, and what is refused."""

import tomllib
from pathlib import Path

import pytest

from emulators import ROOT
from ivrctl import profiles
from ivrctl.errors import UsageError
from ivrctl.profiles import LOCAL, LOCAL_SECRET, resolve

FILE = """
default = "prod"
[profiles.prod]
url = "https://api.example.com/base/"
issuer = "https://issuer.example.com"
client_id = "night"
zone = "local"
[profiles.other]
url = "https://other.example.com"
login = "device"
"""


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def write(home: dict[str, str], text: str) -> Path:
    file = Path(home["XDG_CONFIG_HOME"], "ivrctl", "config.toml")
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    return file


def test_without_anything_it_is_the_local_stack_and_its_sample_client(home: dict[str, str]) -> None:
    profile = resolve({}, home)
    sample = tomllib.loads((ROOT / "samplesconfig.toml").read_text(encoding="utf-8"))["clients"]
    assert (profile.url, profile.issuer, profile.login) == ("http://127.0.0.1:3000", "http://127.0.0.1:3000", "client")
    assert {"id": profile.client_id, "secret": profile.secret} in [
        {"id": one["id"], "secret": one["secret"]} for one in sample
    ]
    assert profile.cache == f"{home['XDG_CACHE_HOME']}/ivrctl"


@pytest.mark.parametrize("url", ["https://api.example.com", "https://127.0.0.1.example.com"])
def test_the_sample_secret_goes_to_this_machine_alone(home: dict[str, str], url: str) -> None:
    assert resolve({"url": url}, home).secret is None
    assert resolve({"url": "http://localhost:3100"}, home).secret == LOCAL_SECRET
    assert resolve({}, {**home, "IVRCTL_ISSUER": url}).secret is None


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(home: dict[str, str]) -> None:
    write(home, FILE)
    assert resolve({}, home).name == "prod"
    assert resolve({}, home).url == "https://api.example.com/base"
    assert resolve({}, home).zone == "local"
    assert resolve({"zone": "utc"}, home).zone == "utc"
    assert resolve({}, {**home, "IVRCTL_PROFILE": "other"}).login == "device"
    assert resolve({"profile": "local"}, {**home, "IVRCTL_PROFILE": "other"}).name == "local"
    assert resolve({}, {**home, "IVRCTL_CLIENT_ID": "day"}).client_id == "day"
    both = {**home, "IVRCTL_URL": "https://b.example.com"}
    assert resolve({"url": "https://a.example.com"}, both).url == "https://a.example.com"


def test_a_secret_comes_from_a_file_or_the_environment(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret-of-prod\n")
    write(
        home,
        FILE + f'[profiles.filed]\nurl = "https://a.b"\nclient_id = "c"\nclient_secret_file = "{tmp_path}/secret"\n',
    )
    assert resolve({"profile": "filed"}, home).secret == "s3cret-of-prod"
    assert resolve({"profile": "filed"}, home).login == "client"
    assert resolve({"profile": "filed"}, {**home, "IVRCTL_CLIENT_SECRET": "other"}).secret == "other"
    assert resolve({"profile": "prod"}, home).login == "browser"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("default = 1", "default"),
        ("defalt = 'a'", "defalt"),
        ("[profiles.local]\nurll = 'x'", "profiles.local.urll"),
        ("[profiles.local]\nurl = 1", "profiles.local.url"),
        ("[profiles.local]\nurl = ''", "profiles.local.url"),
        ("[profiles.local]\nurl = 'http://api.example.com'", "url"),
        ("[profiles.local]\nurl = 'api.example.com'", "url"),
        ("[profiles.local]\nurl = 'https://user:pass@api.example.com'", "url"),
        ("[profiles.local]\nurl = 'https://api.example.com?x=1'", "url"),
        ("[profiles.local]\nurl = 'https://api.example.com:port'", "url"),
        ("[profiles.local]\nissuer = 'http://issuer.example.com'", "issuer"),
        ("[profiles.local]\nlogin = 'magic'", "login"),
        ("[profiles.local]\nzone = 'mars'", "zone"),
        ("[profiles.local]\nclient_secret_file = '/nowhere/secret'", "client_secret_file"),
        ("default = 'gone'", "gone"),
        ("profiles = 1\ndefault = 'a'", "a"),
        ("default = 'x'\n[profiles.x]\nclient_id = 'a'", "url"),
        ("[", "TOML"),
    ],
)
def test_a_wrong_file_is_refused_by_the_place_in_it(home: dict[str, str], text: str, place: str) -> None:
    write(home, text)
    with pytest.raises(UsageError, match=place):
        resolve({}, home)


def test_a_file_that_was_named_must_be_there(home: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        resolve({"config": str(tmp_path / "gone.toml")}, home)
    (tmp_path / "latin.toml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="cannot be read"):
        resolve({"config": str(tmp_path / "latin.toml")}, home)


def test_every_setting_has_its_variable_and_the_page_names_all_of_them() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert {f"IVRCTL_{key.upper()}" for key in profiles.KEYS} <= profiles.VARIABLES.keys()
    assert not [name for name in (*profiles.KEYS, *profiles.VARIABLES) if f"| `{name}` |" not in page]
    assert LOCAL["url"] == "http://127.0.0.1:3000"
