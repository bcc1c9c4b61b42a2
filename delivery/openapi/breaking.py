"""`make openapi-check`: what in docs/openapi.json breaks programs made for docs/released/openapi.json.

Owns which differences break: of paths, operations, parameters, answers, headers, models and tokens; `inclusion` judges
the schemas. Ends with 1 if something breaks and the version does not say so (Semantic Versioning).
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from delivery.openapi.inclusion import Inclusion
from delivery.openapi.schema import Json

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
RELEASED: Final = DOCS / "released" / "openapi.json"
PRESENT: Final = DOCS / "openapi.json"

NAMES: Final = ("operationId", "tags")
"""What generators name functions and modules by."""


def breaks(released: Json, present: Json) -> list[str]:
    """Return what breaks programs made for the released document, each once."""
    return list(dict.fromkeys(_breaks(released, present)))


def may_break(released: str, present: str) -> bool:
    """Tell whether the version announces breaking changes: another first number, or another second one after 0."""
    before, now = (version.split(".") for version in (released, present))
    return before[0] != now[0] or (now[0] == "0" and before[1] != now[1])


def _breaks(released: Json, present: Json) -> Iterator[str]:
    for path, operations in released["paths"].items():
        for method, operation in operations.items():
            place = f"{method.upper()} {path}"
            now = present["paths"].get(path, {}).get(method)
            if now is None:
                yield f"{place}: is gone"
            else:
                yield from _Operation(released, present, place).breaks(operation, now)
    models, kept = (document["components"]["schemas"] for document in (released, present))
    yield from (f"model {name}: is gone" for name in models if name not in kept)
    for name, scheme in released["components"]["securitySchemes"].items():
        yield from _differs(f"security scheme {name}", ("type", "scheme"), scheme, _scheme(present, name))


def _scheme(document: Json, name: str) -> Json:
    found: Json = document["components"]["securitySchemes"].get(name, {})
    return found


def _differs(place: str, keys: tuple[str, ...], before: Json, now: Json) -> Iterator[str]:
    for key in keys:
        if before.get(key) != now.get(key):
            yield f"{place}: {key} was {before.get(key)}, is {now.get(key)}"


class _Operation:
    """One operation of both documents."""

    def __init__(self, released: Json, present: Json, place: str) -> None:
        self._asked = Inclusion(narrow=released, wide=present, answer=False)
        self._answered = Inclusion(narrow=present, wide=released, answer=True)
        self._place = place

    def breaks(self, before: Json, now: Json) -> Iterator[str]:
        yield from _differs(self._place, NAMES, before, now)
        if any(scheme not in now["security"] for scheme in before["security"]):
            yield f"{self._place}: tokens needed {before['security']}, need {now['security']}"
        yield from self._parameters(_by_name(before), _by_name(now))
        yield from self._answers(before["responses"], now["responses"])

    def _parameters(self, before: Json, now: Json) -> Iterator[str]:
        for name in now:
            if now[name].get("required") and not before.get(name, {}).get("required"):
                yield f"{self._place}: {name} is required"
        for name, parameter in before.items():
            place = f"{self._place}: {name}"
            if name not in now:
                yield f"{place}: is gone"
            else:
                yield from self._asked.misfits(parameter["schema"], now[name]["schema"], place)

    def _answers(self, before: Json, now: Json) -> Iterator[str]:
        for status in now:
            if status.startswith("2") and status not in before:
                yield f"{self._place}: {status}: is a success that was not known"
        for status, answer in before.items():
            place = f"{self._place}: {status}"
            if status not in now:
                yield f"{place}: is gone"
                continue
            yield from self._headers(answer.get("headers", {}), now[status].get("headers", {}), place)
            yield from self._content(answer.get("content", {}), now[status].get("content", {}), place)

    def _headers(self, before: Json, now: Json, place: str) -> Iterator[str]:
        for name, header in before.items():
            if name not in now:
                yield f"{place}: header {name}: is gone"
                continue
            if header["required"] and not now[name]["required"]:
                yield f"{place}: header {name}: may be absent"
            yield from self._answered.misfits(now[name]["schema"], header["schema"], f"{place}: header {name}")

    def _content(self, before: Json, now: Json, place: str) -> Iterator[str]:
        for kind, content in before.items():
            if kind not in now:
                yield f"{place}: {kind}: is gone"
            else:
                yield from self._answered.misfits(now[kind]["schema"], content["schema"], f"{place}: {kind}")


def _by_name(operation: Json) -> Json:
    return {f"{each['in']} {each['name']}": each for each in operation["parameters"]}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def main() -> int:
    """Print what breaks; return 1 if nothing announces it."""
    released, present = _read(RELEASED), _read(PRESENT)
    before, now = (document["info"]["version"] for document in (released, present))
    found = breaks(released, present)
    for each in found:
        sys.stdout.write(f"breaks programs made for {before}: {each}\n")
    return 1 if found and not may_break(before, now) else 0


if __name__ == "__main__":
    sys.exit(main())
