"""The scripts an engine knows: read from a folder of YAML files and checked against each other.

Owns reading and the checks that need all scripts at once (nested scripts). Called once, at start, so that no call
meets a script of a wrong form.
"""

from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml
from pydantic import ValidationError

from ivr_engine.settings import StartError
from ivr_engine.telling import place
from ivr_sandbox.script import RunScript, Script, walk

MAX_NESTING: Final = 8
"""How deep scripts may nest: enough for any menu tree; scripts that call each other in a loop are found at load."""

Library = Mapping[str, Script]
"""Scripts by code."""

REMEDIES: Final = {
    "missing": "add it",
    "extra_forbidden": "remove it or correct its spelling",
    "enum": "use one of the termination types",
    "string_type": "write text, in quotes where YAML would take it for something else",
    "string_pattern_mismatch": "use Latin letters, digits and `_` (in codes also `.` and `-`)",
}
"""Remedies for pydantic's own messages; ours contain theirs."""


class ScriptsError(StartError):
    """The scripts cannot be run; one line per fault: file, place in it, what is wrong, remedy."""

    what = "wrong scripts"


class _Loader(yaml.SafeLoader):
    """YAML that refuses a repeated key, where `SafeLoader` silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        if len(mapping) < len(node.value):
            raise yaml.constructor.ConstructorError(
                None, None, "the same key stands twice in one mapping; remove one", node.start_mark
            )
        return mapping


def load(folder: Path) -> Library:
    """Read every `*.yaml` of the folder; raises `ScriptsError` with all faults of form, or else between scripts."""
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ScriptsError(f"{folder}: no *.yaml file here; name the folder that holds the scripts")
    faults: list[str] = []
    read: dict[Path, Script] = {}
    for file in files:
        try:
            read[file] = parse(file.read_text("utf-8"))
        except (ValidationError, yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            faults.extend(f"{file.name}: {fault}" for fault in _explain(error))
    _raise_if(faults)
    _raise_if(list(_faults_between(read)))
    return MappingProxyType({script.code: script for script in read.values()})


def parse(text: str) -> Script:
    """Read one script; raises `yaml.YAMLError` or pydantic's `ValidationError`."""
    return Script.model_validate(yaml.load(text, Loader=_Loader))  # noqa: S506  # a stricter SafeLoader


def _raise_if(faults: list[str]) -> None:
    if faults:
        raise ScriptsError("\n".join(faults))


def _explain(error: Exception) -> Iterator[str]:
    if isinstance(error, ValidationError):
        for fault in error.errors():
            remedy = REMEDIES.get(fault["type"])
            loc = [part for part in fault["loc"] if part != "[key]"]
            yield f"{place(loc) or 'script'}: {fault['msg']}" + (f"; {remedy}" if remedy else "")
    elif isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        yield f"line {mark.line + 1}, column {mark.column + 1}: not YAML: {error.problem}"
    else:
        yield f"cannot be read as UTF-8 text with YAML in it: {error}"


def _faults_between(read: Mapping[Path, Script]) -> Iterator[str]:
    files: dict[str, Path] = {}
    for file, script in read.items():
        first = files.setdefault(script.code, file)
        if first != file:
            yield f"{file.name}: code: {script.code} is already the code of {first.name}; give each script its own"
    library = {script.code: script for script in read.values()}
    depths = _depths(library)
    for file, script in read.items():
        for path, code in _calls(script):
            if code not in library:
                yield f"{file.name}: {path}: no script has the code {code}; use one of: {', '.join(sorted(library))}"
            elif depths[code] >= MAX_NESTING:
                yield (
                    f"{file.name}: {path}: calling {code} nests more than {MAX_NESTING} scripts"
                    " (or without end); take a call out of the chain"
                )


def _calls(script: Script) -> Iterator[tuple[str, str]]:
    return ((f"{path}.run_script.code", step.code) for path, step in walk(script) if isinstance(step, RunScript))


def _depths(library: Library) -> dict[str, int]:
    """How deep each code nests, itself included; counted to just past the limit."""
    called = {code: {inner for _, inner in _calls(script)} for code, script in library.items()}
    depths = dict.fromkeys(library, 1)
    for _ in range(MAX_NESTING):
        depths = {code: 1 + max((depths.get(one, 0) for one in inner), default=0) for code, inner in called.items()}
    return depths
