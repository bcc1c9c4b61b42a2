"""docs/asterisk.md is enough for who has nothing else: its tables are the code's, and its samples work as it says."""

import asyncio
import inspect
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

import virtual
from ami import Asterisk, Dialplan, Settings
from ami.calls import Order, hang_up, originate
from bridged import VARIABLES, Bridged
from emulators import ROOT
from ivr_asterisk.mapping import Scripts
from ivr_asterisk.settings import Settings as BridgeSettings
from ivr_engine import program, reconnect
from ivr_engine.model import State

PAGE = (ROOT / "docs" / "asterisk.md").read_text(encoding="utf-8")
SAMPLES = ROOT / "engines" / "asterisk"
CODE = ROOT / "engines" / "ivr_asterisk"


def block(kind: str) -> str:
    (text,) = re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading, without its head."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = section.partition("\n|")[2].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in lines[2:]]


@pytest.mark.parametrize(
    ("kind", "file"),
    [("ini manager", "manager.conf"), ("ini dialplan", "extensions.conf"), ("toml settings", "h6.toml")],
)
def test_its_samples_are_those_that_are_installed(kind: str, file: str) -> None:
    assert block(kind) == (SAMPLES / file).read_text(encoding="utf-8")


def test_every_setting_has_its_line_with_its_default() -> None:
    rows = {row[0].strip("`"): row[1].strip("`") for row in table("Settings")}
    assert set(rows) == set(BridgeSettings.model_fields)
    for name, field in BridgeSettings.model_fields.items():
        if field.is_required():
            assert rows[name] == "required", name
        elif field.default is not None:
            assert rows[name] == str(field.default), name


def test_every_action_of_the_log_has_its_line() -> None:
    told = {name for row in table("Log") for name in re.findall(r"`(\w+)`", row[0])}
    own = [path.read_text(encoding="utf-8") for path in CODE.glob("*.py")]
    kits = [inspect.getsource(part) for part in (program.join, reconnect)]
    found = re.findall(r'"action": (.+)', "".join(own + kits))
    assert told == {
        name for line in found for name in re.findall(r'"([a-z_]+)"', line.partition(", **")[0].partition(', "')[0])
    }


def test_the_sample_settings_are_right_and_the_secret_is_missing_on_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.findall(r"^(\w+)=(.*)$", (SAMPLES / "h6.env").read_text(encoding="utf-8"), re.MULTILINE) == [
        ("IVR_ASTERISK_SECRET", "")
    ]
    monkeypatch.setenv("IVR_ASTERISK_SECRET", "of-manager.conf")
    chosen = BridgeSettings.load(SAMPLES / "h6.toml")
    assert f"[{chosen.username}]" in block("ini manager")
    assert set(VARIABLES) == set(re.findall(r"^channelvars = (.*)$", block("ini manager"), re.MULTILINE)[0].split(","))


def test_its_commands_are_a_shells() -> None:
    subprocess.run(["/bin/sh", "-n", "-c", block("sh host")], check=True)


def test_what_it_copies_is_in_the_distribution() -> None:
    copied = re.findall(r"/opt/ivr-asterisk/current/(share/\S+)", block("sh host"))
    listed = (ROOT / "distributions" / "asterisk" / "pyproject.toml").read_text(encoding="utf-8")
    assert len(copied) == 3
    assert [name for name in copied if f'= "{name}"' not in listed] == []
    for source in re.findall(r'^"\.\./\.\./(\S+)" = "', listed, re.MULTILINE):
        assert Path(ROOT / source).exists()


def test_the_sample_dialplan_is_listed_and_stopped_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IVR_ASTERISK_SECRET", "of-manager.conf")
    chosen = BridgeSettings.load(SAMPLES / "h6.toml")
    scripts = Scripts(chosen.scripts, branches=chosen.stop_context)

    async def story() -> None:
        asterisk = Asterisk(Dialplan(block("ini dialplan")), Settings(channelvars=VARIABLES))
        world = Bridged(asterisk, scripts=scripts)
        world.start()
        await world.up()
        order = Order(dial="Local/100@phones", application="Wait", data="600")
        call = asyncio.get_running_loop().create_task(originate(asterisk, order))
        welcome = await world.shown("welcome")
        await world.until(lambda: world.runtimes["welcome"].name == "Main scenario")
        player = await world.shown("player")
        assert (player.id, player.rootcode, player.rootname) == (welcome.id, "welcome", "Main scenario")
        await world.bridge.external_stop(player.id, stop_id="one")
        await world.until(lambda: world.runtimes["player"].name == "TEST PLAY, goodbye")
        stopped = world.runtimes["player"]
        assert (stopped.state, stopped.rootcode) == (State.POST_PROCESSING, None)
        await world.bridge.terminate(player.id, stop_id="two")
        assert Counter(world.ends) == {"stop": 1}
        for channel in list(asterisk.channels.values()):
            hang_up(asterisk, channel, 16)
        await call
        await world.stop()
        await asterisk.close()

    virtual.run(story())
