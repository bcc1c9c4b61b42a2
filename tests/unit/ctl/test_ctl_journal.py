"""The journal: what it keeps, what a crash leaves of it, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivrctl.errors import UsageError
from ivrctl.stopping import Journal, Result, Target, Wanted

URL = "http://127.0.0.1:3000"
TARGETS = [Target(f"id{number}", f"k{number}", "SITE1", in_branch=number == 2) for number in range(5)]
WANTED = Wanted(wait_s=3.0, grace_s=20.0, reason="Änderung\n4711")


def begun(path: Path) -> Journal:
    return Journal.begin(str(path), url=URL, wanted=WANTED, targets=TARGETS)


def resumed(path: Path) -> Journal:
    return Journal.resume(str(path), url=URL)


def test_a_run_goes_on_with_the_same_ids_keys_and_wishes(tmp_path: Path) -> None:
    journal = begun(tmp_path / "j")
    journal.record(Result("id0", "ended"))
    journal.record(Result("id1", "throttled", "busy"))
    journal.close(keep=True)
    again = resumed(tmp_path / "j")
    assert (again.wanted, again.targets) == (WANTED, TARGETS)
    assert [each.id for each in again.left()] == ["id1", "id2", "id3", "id4"]
    again.record(Result("id1", "ended"))
    again.close(keep=True)
    third = resumed(tmp_path / "j")
    assert [each.id for each in third.left()] == ["id2", "id3", "id4"]
    third.close(keep=False)
    assert not (tmp_path / "j").exists()


def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    begun(tmp_path / "deep" / "j").close(keep=True)
    assert (tmp_path / "deep" / "j").stat().st_mode & 0o777 == 0o600


@given(cut=st.integers(1, 400))
def test_a_crash_in_the_middle_of_a_line_loses_that_line_alone(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "j"
    journal = begun(path)
    head = path.stat().st_size
    for target in TARGETS:
        journal.record(Result(target.id, "ended"))
    journal.close(keep=True)
    whole = path.read_bytes()
    kept = whole[: max(head, len(whole) - cut)]
    path.write_bytes(kept)
    again = resumed(path)
    done = kept[head:].count(b"\n")
    assert [each.id for each in again.left()] == [each.id for each in TARGETS[done:]]
    again.record(Result("id4", "ended"))
    again.close(keep=True)
    last = resumed(path)
    assert "id4" not in [each.id for each in last.left()]
    last.close(keep=True)


@pytest.mark.parametrize(
    "text", ["", "\n", "{}\n", "[]\n", "no json\n", '{"version": 2, "url": "http://127.0.0.1:3000", "wanted": {}}\n']
)
def test_what_is_no_journal_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "j").write_text(text)
    with pytest.raises(UsageError):
        resumed(tmp_path / "j")


def test_a_run_that_did_not_begin_is_refused(tmp_path: Path) -> None:
    """Between the head and the mark that all ids stand there, nothing was sent: the run is simply started again."""
    begun(tmp_path / "j").close(keep=True)
    lines = (tmp_path / "j").read_text().splitlines(keepends=True)
    (tmp_path / "j").write_text("".join(lines[:-1]))
    with pytest.raises(UsageError, match="not complete"):
        resumed(tmp_path / "j")


def test_another_apis_journal_is_refused(tmp_path: Path) -> None:
    begun(tmp_path / "j").close(keep=True)
    with pytest.raises(UsageError, match="the journal is of"):
        Journal.resume(str(tmp_path / "j"), url="https://api.example.com")


def test_two_runs_never_share_a_journal(tmp_path: Path) -> None:
    first = begun(tmp_path / "j")
    with pytest.raises(UsageError, match="another run has it open"):
        resumed(tmp_path / "j")
    with pytest.raises(UsageError):
        begun(tmp_path / "j")
    first.close(keep=True)


@pytest.mark.parametrize("path", ["gone/j", "."])
def test_a_journal_that_cannot_be_opened_is_told(tmp_path: Path, path: str) -> None:
    with pytest.raises(UsageError):
        resumed(tmp_path / path)
