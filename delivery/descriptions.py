"""`make build`: cuts the SDK's descriptions of services to what is called, in the layer's copy of botocore.

A client's making reads the description of its service and the endpoints of all of them: megabytes of JSON, most of it
texts and operations that no function calls. Owns which services and operations are left; what is left says what it
said before (tests/iac/test_descriptions.py compares it with botocore's own). Run on the layer, by its path.
"""

import gzip
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

OPERATIONS: Final = {
    "dynamodb": {"BatchGetItem", "BatchWriteItem", "GetItem", "PutItem", "Query", "Scan"},
    "sqs": {"ChangeMessageVisibilityBatch", "DeleteMessageBatch", "ReceiveMessage", "SendMessage"},
}
"""What the core's stores call, by service."""


def cut(data: Path) -> None:
    """Cut a folder of botocore's data in its place. What is left is not packed: unpacking takes longer than reading."""
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in OPERATIONS:
            shutil.rmtree(folder)
    for packed in data.rglob("*.json.gz"):
        _write(packed.with_suffix(""), json.loads(gzip.decompress(packed.read_bytes())))
        packed.unlink()
    for service, operations in OPERATIONS.items():
        for model in data.glob(f"{service}/*/service-2.json"):
            _write(model, service_model(json.loads(model.read_bytes()), operations))
    _write(data / "endpoints.json", endpoints(json.loads((data / "endpoints.json").read_bytes())))


def service_model(whole: dict[str, Any], operations: set[str]) -> dict[str, Any]:
    """Return a service's description with these operations, the shapes that they reach, all errors, and no texts."""
    kept = {name: described for name, described in whole["operations"].items() if name in operations}
    shapes = whole["shapes"]
    wanted = [*_shapes_in(kept), *(name for name, shape in shapes.items() if shape.get("exception"))]
    reached: set[str] = set()
    while wanted:
        if (name := wanted.pop()) not in reached:
            reached.add(name)
            wanted += _shapes_in(shapes[name])
    left = {**whole, "operations": kept, "shapes": {name: shapes[name] for name in shapes if name in reached}}
    without_texts: dict[str, Any] = _without_texts(left)
    return without_texts


def endpoints(whole: dict[str, Any]) -> dict[str, Any]:
    """Return the endpoints of all partitions and regions, for our services."""
    return {**whole, "partitions": [{**each, "services": _ours(each["services"])} for each in whole["partitions"]]}


def _ours(services: dict[str, Any]) -> dict[str, Any]:
    return {name: described for name, described in services.items() if name in OPERATIONS}


def _shapes_in(described: Any) -> Iterator[str]:
    """Yield the names of the shapes that a part of a description refers to: `{"shape": "Name"}`, at any depth."""
    if isinstance(described, dict):
        if isinstance(name := described.get("shape"), str):
            yield name
        described = list(described.values())
    if isinstance(described, list):
        for part in described:
            yield from _shapes_in(part)


def _without_texts(described: Any) -> Any:
    """Leave documentation out. A member that is called so is no text, and stays."""
    if isinstance(described, dict):
        kept = {name: of for name, of in described.items() if name != "documentation" or not isinstance(of, str)}
        return {name: _without_texts(of) for name, of in kept.items()}
    return [_without_texts(of) for of in described] if isinstance(described, list) else described


def _write(path: Path, described: dict[str, Any]) -> None:
    path.write_text(json.dumps(described, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    cut(Path(sys.argv[1]))
