"""The README keeps its word: its links lead somewhere, its targets exist, and its lines run as they stand."""

import re
import subprocess
from pathlib import Path

import pytest

from emulators import ROOT
from stack import Stack, eventually

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_to_a_file(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert not [link for link in links if not (document.parent / link).exists()]


def test_every_target_named_is_a_target_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+)[a-z -]*:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for document in DOCUMENTS:
        named = set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", document.read_text(), flags=re.MULTILINE))
        assert named <= targets, document.name


@pytest.mark.e2e
def test_a_stranger_who_pastes_its_lines_lists_scripts_and_stops_one(stack: Stack) -> None:
    token = stack.token(stack.domains[0])
    eventually(lambda: stack.rows(token, filter='{"code":"survey"}'), within_s=40)
    pasted = [block for block in BLOCKS if "curl" in block]
    assert len(pasted) == 3
    script = "set -eu\n" + "\n".join(pasted).replace("127.0.0.1:3000", f"127.0.0.1:{stack.port}")
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "HTTP/1.1 204 No Content" in done.stdout
    assert "stop-outcome: post_processing" in done.stdout.lower()
    last = done.stdout.strip().splitlines()[-1]
    assert '"state":"post_processing","stoptype":"stop"' in last
