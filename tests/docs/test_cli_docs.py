"""docs/cli.md is what its generator makes of the program."""

import subprocess
import sys

from emulators import ROOT


def test_the_page_is_what_the_program_says() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "delivery.cli_page"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT,
    )
    assert made.stdout == (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), "run `make cli-docs`"
