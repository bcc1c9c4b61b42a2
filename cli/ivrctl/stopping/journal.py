"""The journal of a run of stops: what was shown and confirmed, each id's key, and each outcome as it came.

Owns the file's form: JSON lines, written before the first stop is sent, added to as stops end. With it `--resume` goes
on with the same ids and the same keys, so that nothing is stopped twice. A line that was cut short by a crash is left
out: its stop is repeated, with its key.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self, TextIO

from ivrctl.errors import UsageError
from ivrctl.stopping.course import Target, Wanted
from ivrctl.stopping.outcomes import OUTCOMES, Result

VERSION: Final = 1


class Journal:
    """An open journal, locked against a second run."""

    def __init__(
        self, path: str, opened: TextIO, *, wanted: Wanted, targets: list[Target], results: dict[str, Result]
    ) -> None:
        self.path = path
        self.wanted = wanted
        self.targets = targets
        self.results = results
        self._opened = opened

    @classmethod
    def begin(cls, path: str, *, url: str, wanted: Wanted, targets: Iterable[Target]) -> Self:
        """Write a new journal; raises `UsageError` if that is not possible or the file is there."""
        targets = list(targets)
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
            opened = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}", remedy="name another file with --journal") from None
        journal = cls(path, _locked(opened, path), wanted=wanted, targets=targets, results={})
        journal._line(version=VERSION, url=url, begun=datetime.now(UTC).isoformat(), wanted=wanted._asdict())
        for target in targets:
            journal._line(target=target._asdict())
        journal._line(confirmed=len(targets))
        os.fsync(opened.fileno())
        return journal

    @classmethod
    def resume(cls, path: str, *, url: str) -> Self:
        """Open the journal of an interrupted run; raises `UsageError` for what is none, or another API's."""
        try:
            opened = os.fdopen(os.open(path, os.O_RDWR), "r+", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}", remedy="name the journal that the run has told") from None
        try:
            head, *rest = _lines(_locked(opened, path))
            wanted, targets, results = _read(head, rest, url)
        except UsageError:
            opened.close()
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            opened.close()
            raise UsageError(f"{path}: is not the journal of a run that began ({error})") from None
        return cls(path, opened, wanted=wanted, targets=targets, results=results)

    def left(self) -> list[Target]:
        """Return what is not done yet."""
        return [each for each in self.targets if each.id not in self.results or not self.results[each.id].done]

    def record(self, result: Result) -> None:
        """Add an outcome."""
        self.results[result.id] = result
        self._line(outcome=result._asdict())

    def close(self, *, keep: bool) -> None:
        """Close the file; remove it unless it is to be kept."""
        self._opened.close()
        if not keep:
            os.unlink(self.path)

    def _line(self, **content: Any) -> None:
        self._opened.write(json.dumps(content) + "\n")
        self._opened.flush()


def _locked(opened: TextIO, path: str) -> TextIO:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        opened.close()
        raise UsageError(f"{path}: another run has it open", remedy="wait for that one to end") from None
    return opened


def _lines(opened: TextIO) -> list[dict[str, Any]]:
    """Return the lines, without a last one that was cut short; new ones will stand behind them."""
    text = opened.read()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        opened.seek(0)
        opened.truncate(len(whole.encode()))
        opened.seek(0, os.SEEK_END)
    return [json.loads(line) for line in whole.splitlines()]


def _read(
    head: Mapping[str, Any], rest: list[dict[str, Any]], url: str
) -> tuple[Wanted, list[Target], dict[str, Result]]:
    if head["version"] != VERSION:
        raise ValueError(f"it is of version {head['version']}")
    if head["url"] != url:
        raise UsageError(f"the journal is of {head['url']}, not of {url}", remedy="name that profile or --url")
    targets = [Target(**line["target"]) for line in rest if "target" in line]
    results = {line["outcome"]["id"]: Result(**line["outcome"]) for line in rest if "outcome" in line}
    if {"confirmed": len(targets)} not in rest or not all(each.outcome in OUTCOMES for each in results.values()):
        raise ValueError("it is not complete")
    return Wanted(**head["wanted"]), targets, results
