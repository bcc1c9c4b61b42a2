"""The engine protocol's JSON Schema, made from the models with which the agent reads and writes it.

Owns docs/engine-protocol.schema.json: `python -m ivr_agent.protocol.schema > docs/engine-protocol.schema.json` writes
it anew; a test compares the two. Never used by the running agent.
"""

import json
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ivr_agent.protocol.wire import AgentProblem, Answer, Batch, Changed, FullSnapshot, Problem, Status, Stop

BODIES: Final[tuple[type[BaseModel], ...]] = (Changed, Batch, Status, FullSnapshot, Stop, Answer, Problem, AgentProblem)
"""Every body, in either direction. `DELETE` of a runtime has none: its fields are in the query."""


def schema() -> dict[str, Any]:
    """Return the schema: a body of the protocol is valid against exactly its own member of `$defs`."""
    _, definitions = models_json_schema([(model, "validation") for model in BODIES])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:ivr-runtimes:engine-protocol:v1",
        "title": "Engine protocol, version 1",
        "description": "The bodies of docs/engine-protocol.md. Members that are not named here are ignored.",
        "anyOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in BODIES],
        "$defs": definitions["$defs"],
    }


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))  # noqa: T201  # what this program is for
