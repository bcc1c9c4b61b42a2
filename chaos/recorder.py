"""The independent recorder: what really happened to every runtime, written by the engine's process as it happens.

Owns the files: JSON lines, one `os.write` each to a file opened for appending, so SIGKILL loses nothing that was
written before it. `engine` writes, `run` reads them back after the end.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from chaos.history import Before, Life, Session, Told


class Recorder:
    """Writes the file of one engine process, or of one life of an engine that lives in no process of its own.

    Without a session it writes what befell the runtimes of another file.
    """

    def __init__(self, folder: Path, *, node: str, session: str | None = None, life: int | None = None) -> None:
        pid = os.getpid() if life is None else life
        self._fd = os.open(folder / f"{node}-{pid}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if session is not None:
            self.note("session", session=session, node=node, pid=pid)

    def note(self, what: str, **fields: Any) -> None:
        """Write down that something happened now."""
        line = json.dumps({"at": time.time(), "what": what, **fields}) + "\n"
        os.write(self._fd, line.encode())


COUNTED: Final = frozenset({"slow", "refused"})
"""What is only counted: slow answers, and requests without the engine's token."""


def read(folder: Path, killed: dict[int, float]) -> tuple[dict[str, Session], dict[str, Life], Counter[str]]:
    """Read all files; return sessions, runtimes and what is only counted. `killed` maps pids to instants."""
    sessions: dict[str, Session] = {}
    lives: dict[str, Life] = {}
    counted: Counter[str] = Counter()
    told: list[dict[str, Any]] = []
    asked: dict[float, dict[str, Any]] = {}
    for file in sorted(folder.glob("*.jsonl")):
        session = ""
        for line in _lines(file):
            if line["what"] == "session":
                session = line["session"]
                sessions[session] = Session(
                    session=session,
                    node=line["node"],
                    pid=line["pid"],
                    began_at=line["at"],
                    killed_at=killed.get(line["pid"]),
                )
            elif line["what"] in COUNTED:
                counted[line["what"]] += 1
            elif line["what"] == "asked":
                asked[line["at"]] = line
            elif line["what"] in {"told", "away"}:
                asked.pop(line["at"], None)
                told += [line] if line["what"] == "told" else []
            else:
                _apply(line, session, lives)
    for line in told:  # of a bridge in another file than the lives
        _tell(line, lives)
    for line in asked.values():
        _tell_if_it_worked(line, lives)
    return sessions, lives, counted


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):  # a kill may cut the very last one
            yield json.loads(line)


def _apply(line: dict[str, Any], session: str, lives: dict[str, Life]) -> None:
    runtime, at = line["runtime"], line["at"]
    match line["what"]:
        case "began":
            lives[runtime] = Life(runtime=runtime, session=session, domain=line["domain"], began_at=at)
        case "branch":
            lives[runtime].branch_at = at
        case "ended":
            lives[runtime].ended_at = at


def _tell_if_it_worked(line: dict[str, Any], lives: dict[str, Life]) -> None:
    """Count a command that its bridge was killed over, if the engine began the branch since."""
    life = lives.get(line["runtime"])
    if life and life.branch_at is not None and life.branch_at >= line["at"]:
        _tell({**line, "ended": False}, lives)


def _tell(line: dict[str, Any], lives: dict[str, Life]) -> None:
    if (life := lives.get(line["runtime"])) is not None:
        life.told.append(
            Told(
                at=line["at"],
                runtime=line["runtime"],
                stop_id=line["stop_id"],
                verb=line["verb"],
                before=Before(line["before"]),
                branch=line["branch"],
                ended=line["ended"],
            )
        )
