"""A task that hangs or dies shows up by its name: in asyncio's debug log, in `asyncio.all_tasks()`, in a traceback."""

import ast

import pytest

from emulators import ROOT

MODULES = [
    path for program in ("agent/ivr_agent", "local/ivr_local") for path in sorted((ROOT / program).rglob("*.py"))
]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_every_task_has_a_name(module) -> None:
    made = [
        node
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "create_task"
    ]
    assert not [node.lineno for node in made if "name" not in {keyword.arg for keyword in node.keywords}]
