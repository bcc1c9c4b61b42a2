"""docs/freeswitch.md and its samples: what they name is what the bridge is."""

import ast
import io
import json
import re
import tokenize
import tomllib
from pathlib import Path

import pytest

from emulators import ROOT
from esl.__main__ import sample_user
from esl.dialplan import Dialplan
from ivr_engine import connection, life, reconnect, stopids, stopping
from ivr_freeswitch import frames, link
from ivr_freeswitch.calls import STOP_IDS, STOPTYPES
from ivr_freeswitch.scripts import Rule, Scripts
from ivr_freeswitch.settings import Settings
from ivr_local.fleet import load as load_fleet

PAGE = (ROOT / "docs" / "freeswitch.md").read_text(encoding="utf-8")
SAMPLES = ROOT / "engines" / "freeswitch"


def table(heading: str) -> dict[str, str]:
    """Return the rows of the first table behind a line: the first cell without code marks, and the rest."""
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", PAGE.partition(heading)[2].partition("\n\n\n")[0], re.MULTILINE)
    return {name.strip("`"): rest for name, rest in rows}


def test_every_setting_has_its_entry_with_its_default() -> None:
    told = table("## Settings")
    for name, setting in Settings.model_fields.items():
        default = "required" if setting.is_required() else f"`{setting.default}`" if setting.default else "none"
        assert told[name].startswith(f"{default} | "), name


def test_every_member_of_a_rule_has_its_entry() -> None:
    told = table("A rule (`[[scripts]]`)")
    assert set(Rule.model_fields) <= set(told)


def test_every_hangup_cause_stands_beside_its_termination_type() -> None:
    rows = re.findall(
        r"^\| (.+) \| `(\w+)` \|$", PAGE.partition("| cause |")[2].partition("## Install")[0], re.MULTILINE
    )
    for cause, stoptype in STOPTYPES.items():
        assert [told for causes, told in rows if cause in causes] == [stoptype], cause


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("headers of a frame", f"{frames.MAX_HEAD // 1024} KiB"),
        ("body of a frame", f"{frames.MAX_BODY // 1024**2} MiB"),
        ("a command", f"{link.ANSWER_S:g} s"),
        ("commands under way", str(link.JOBS)),
        ("login and subscription", f"{connection.LOGIN_S:g} s each"),
    ],
)
def test_every_limit_is_the_programs(limit: str, value: str) -> None:
    assert table("## Limits")[limit].startswith(value)


@pytest.mark.parametrize(
    "words",
    [
        f"after {stopping.STOP_S:g} s it refuses",
        f"`{STOP_IDS}`, the newest {stopids.KEPT}",
        f"Every {life.Times().look_every_s:g} s it compares",
        f"After {life.Times().silent_s:g} s without one",
        f"comes back after {reconnect.FIRST_S:g} s, then after pauses that double up to {reconnect.LONGEST_S:g} s",
    ],
)
def test_every_duration_is_the_programs(words: str) -> None:
    assert words in re.sub(r"\s+", " ", PAGE)


def test_the_rights_of_the_page_are_the_samples_and_enough_for_what_the_bridge_asks() -> None:
    params = dict(Dialplan.params(SAMPLES / "directory.xml"))
    for name in ("esl-allowed-events", "esl-allowed-api"):
        assert f'<param name="{name}" value="{params[name]}"/>' in PAGE
    assert sample_user().events == set(link.SUBSCRIPTION.split())
    source = "".join(path.read_text() for path in (ROOT / "engines" / "ivr_freeswitch").glob("*.py"))
    asked = set(re.findall(r'f?"((?:show|uuid_\w+|xml_locate)) ', source))
    assert asked == sample_user().apis


def test_the_sample_settings_fit_the_sample_dialplan() -> None:
    told = tomllib.loads((SAMPLES / "h6.toml").read_text(encoding="utf-8"))
    scripts = Scripts(Settings(**told, password="x").scripts)
    dialplan = Dialplan(SAMPLES / "dialplan.xml")
    for number in ("welcome", "survey", "callback"):
        script = scripts.extension("ivr", number)
        assert script is not None
        assert dialplan.find("ivr", number)
        assert script.rule.catch_all
        assert dialplan.find(str(script.rule.post_processing), number), "a branch, or what takes everything"
    assert scripts.extension("ivr-player", "player")
    assert scripts.branch("ivr-external-stop", "welcome")


def test_the_sample_fleet_can_have_a_freeswitch_for_the_taking_off_of_comment_signs(tmp_path: Path) -> None:
    text = (ROOT / "samplesconfig.toml").read_text(encoding="utf-8")
    head, _, bridge = text.rpartition("# [[bridges]]\n")
    (config := tmp_path / "fleet.toml").write_text(head + "[[bridges]]\n" + re.sub(r"(?m)^# ", "", bridge))
    [one] = load_fleet(config).bridges
    environment = one.environment()
    assert one.program == "ivr_freeswitch"
    given = {name.removeprefix("IVR_FREESWITCH_").lower(): value for name, value in environment.items()}
    read = Settings(listen="unix:/a", agent="unix:/b", **(given | {"scripts": json.loads(given["scripts"])}))
    assert read.scripts[0].catch_all


def test_every_reason_of_the_troubleshooting_is_one_that_the_bridge_gives() -> None:
    source = "".join(
        path.read_text()
        for folder in ("ivr_freeswitch", "ivr_engine")
        for path in (ROOT / "engines" / folder).glob("*.py")
    )
    given = re.findall(r"^\| … `(.+?)`", PAGE, re.MULTILINE)
    assert len(given) > 4
    for reason in given:
        words = re.sub(r"^show |10 s$", "", reason).partition(":")[0]
        assert words in source, reason


@pytest.mark.parametrize(("package", "column"), [("ivr_asterisk", 1), ("ivr_freeswitch", 2)])
def test_the_lines_of_both_bridges_are_what_the_kits_page_says(package: str, column: int) -> None:
    told = re.search(
        r"\| lines of code \| (\d+) \| (\d+) \|", (ROOT / "docs" / "engine-kit.md").read_text(encoding="utf-8")
    )
    assert told
    lines = sum(lines_of_code(path) for path in (ROOT / "engines" / package).glob("*.py"))
    assert lines == int(told[column])


def lines_of_code(path: Path) -> int:
    """The lines of a module without blank ones, comments and docstrings."""
    source = path.read_text(encoding="utf-8")
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [one for one in tokenize.generate_tokens(io.StringIO(source).readline) if one.type not in skipped]
    lines = {line for one in tokens for line in range(one.start[0], one.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)
