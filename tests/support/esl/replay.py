"""Recorded sessions as the bridge reads them: streams of bytes, or the JSON events in them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from emulators import ROOT
from ivr_freeswitch.frames import Frame, Frames
from recordings import said

FOLDER: Final = ROOT / "tests" / "recordings" / "freeswitch"
FILES: Final = sorted(FOLDER.glob("1.*/*.txt.gz"), key=lambda file: file.name)
"""The recordings in the order of their numbers; the folders are versions of FreeSWITCH."""
CUT_SHORT: Final = "15-slow-reader"
"""The recording whose middle was left out: there its stream is none."""


def streams(name: str) -> list[bytes]:
    """Return what the engine sent on each connection of the recording whose name begins so."""
    (file,) = [path for path in FILES if path.name.startswith(name)]
    return list(said(file).values())


def frames(stream: bytes) -> Iterator[Frame]:
    """Yield the frames of a stream."""
    return Frames().feed(stream)


def events(name: str, uuid: str = "") -> list[dict[str, Any]]:
    """Return the JSON events of a recording, of one channel or of all whose id ends so."""
    found = [json.loads(frame.body) for stream in streams(name) for frame in frames(stream) if frame.kind == JSON]
    return [event for event in found if str(event.get("Unique-ID", "")).endswith(uuid)]


def path_of(name: str) -> Path:
    """Return the file of a recording."""
    return next(path for path in FILES if path.name.startswith(name))


JSON: Final = "text/event-json"
