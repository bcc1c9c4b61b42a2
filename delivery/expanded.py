"""`make lint-cloud`: prints template.yaml as JSON, for two sites, with its loops and functions expanded.

Template scanners neither expand `Fn::ForEach` nor evaluate conditions, so they would miss every queue and policy of a
site. Owns the stack that is scanned: production, the template's default, with the console.
"""

import json
from pathlib import Path

from ivr_local.template import expand

TEMPLATE = Path(__file__).resolve().parents[1] / "template.yaml"

GIVEN = {"JwtIssuer": "https://issuer.example", "JwtAudience": "ivr-runtimes", "Sites": "SITE1,SITE2", "Console": "on"}


def document(template: Path = TEMPLATE) -> str:
    """Return the expanded template."""
    stack = expand(template, parameters=GIVEN, stack_name="st", region="eu-central-1", account_id="0" * 12)
    transform = {"AWSTemplateFormatVersion": "2010-09-09", "Transform": "AWS::Serverless-2016-10-31"}
    return json.dumps({**transform, "Resources": stack.resources}, indent=1)


if __name__ == "__main__":
    print(document())  # noqa: T201
