"""`make screenshots` renders what the README shows, of the programs as they are."""

import os
import subprocess
import sys
from pathlib import Path

from emulators import ROOT


def test_the_three_pictures_are_rendered_and_ask_no_other_server_for_anything(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "delivery.screenshots", str(tmp_path)]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "tests" / "support")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    drawn = {file.stem: file.read_text(encoding="utf-8").replace("&#160;", " ") for file in tmp_path.glob("*.svg")}
    assert drawn.keys() == {file.stem for file in (ROOT / "docs" / "images").glob("*.svg")} >= {"list", "watch", "stop"}
    assert "STATE" in drawn["list"]
    assert "BY SCRIPT" in drawn["watch"]
    assert "47 %  19 of 40" in drawn["stop"]
    assert not [name for name, text in drawn.items() if "url(" in text.replace("url(#", "")]
