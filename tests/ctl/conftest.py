"""The program in this process, against an API that does what the test says."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ivrctl.program import main
from scripted_api import ScriptedApi, serving


class Told(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with serving(ScriptedApi()) as api:
        yield api


@pytest.fixture
def environment(api: ScriptedApi, tmp_path: Path) -> dict[str, str]:
    """What a user of that API has in the environment, and nothing of the developer's own."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "IVRCTL_URL": api.url,
        "IVRCTL_CACHE": str(tmp_path / "cache"),
        "IVRCTL_STATE": str(tmp_path / "state"),
    }


@pytest.fixture
def ctl(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Told]:
    for name in [name for name in os.environ if name.startswith("IVRCTL_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def called(*arguments: str) -> Told:
        code = main(arguments)
        told = capsys.readouterr()
        return Told(code, told.out, told.err)

    return called
