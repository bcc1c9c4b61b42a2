"""The state directory: fresh, private, held by one stack at a time."""

import json
import stat
from pathlib import Path

import pytest

from ivr_local.state import opened
from ivr_runtimes.errors import SettingsError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    with opened(tmp_path / "deep" / "3000") as state:
        state.write_private("issuer.pem", b"key")
        state.write({"url": "here"})
        assert mode(state.path) == 0o700
        assert mode(state.logs) == 0o700
        assert mode(state.sockets) == 0o700
        assert mode(state.path / "issuer.pem") == 0o600
        assert mode(state.path / "stack.json") == 0o600
        assert json.loads((state.path / "stack.json").read_text()) == {"url": "here"}


def test_it_is_fresh_at_every_start(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        state.write({"run": 1})
        (state.logs / "old.log").write_text("old")
    with opened(tmp_path) as state:
        assert list(state.logs.iterdir()) == []
        assert not (tmp_path / "stack.json").exists()


def test_logs_stay_and_the_sockets_go_when_a_stack_ends(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        (state.logs / "a.log").write_text("a")
        (state.sockets / "1a").touch()
    assert (tmp_path / "logs" / "a.log").exists()
    assert not state.sockets.exists()


def test_the_sockets_of_a_run_that_was_killed_are_removed_by_the_next(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        marker = (tmp_path / "run-directory").read_text()
        left = state.sockets
        (tmp_path / "run-directory").unlink()  # as if the process had ended here
    (tmp_path / "run-directory").write_text(marker)
    assert left.exists()
    with opened(tmp_path):
        assert not left.exists()


def test_a_marker_that_names_something_else_removes_nothing(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    home = tmp_path / "state"
    home.mkdir()
    (home / "run-directory").write_text(str(precious))
    with opened(home):
        assert precious.exists()


def test_socket_paths_fit_into_108_bytes_however_long_the_temporary_directory_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with opened(tmp_path / "state") as state:
        assert len(bytes(state.sockets / "12345e")) < 108


def test_two_stacks_do_not_share_one_and_the_first_loses_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as first:
        first.write({"run": 1})
        with pytest.raises(SettingsError, match="another stack runs there"), opened(tmp_path):
            pass
        assert first.sockets.exists()
        assert (tmp_path / "stack.json").exists()


def test_a_directory_with_other_peoples_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SettingsError, match=r"thesis\.txt"), opened(tmp_path):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_path_that_cannot_be_a_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="--state-dir"), opened(tmp_path / "file"):
        pass
