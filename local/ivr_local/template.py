"""template.yaml as the embedded stack sees it: the tables, queues, functions and routes that AWS would make of it.

Owns the meaning of the resource types that have a local counterpart, and the names that AWS gives to resources. Creates
nothing (`provision` does) and serves nothing (the gateway does). Both use the `Stack` that `expand` returns, so local
and cloud cannot differ. A property without a local meaning is an error, unless it is listed as such here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ivr_local.intrinsics import Scope, TemplateError, Tree, load, parameter_values, resolve, unroll


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """A DynamoDB table: `create` holds the arguments of CreateTable, `ttl_attribute` what UpdateTimeToLive needs."""

    logical_id: str
    name: str
    create: dict[str, Any]
    ttl_attribute: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSpec:
    """An SQS queue: `attributes` for SetQueueAttributes, except the redrive policy.

    A message received more than `max_receive_count` times goes to the queue named `dead_letter`.
    """

    name: str
    attributes: dict[str, str]
    dead_letter: str | None = None
    max_receive_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSpec:
    """A Lambda function: `code_path` is its folder, `handler` is `module.function` in it."""

    logical_id: str
    code_path: Path
    handler: str
    environment: dict[str, str]
    timeout_s: int
    memory_mb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route of the HTTP API; a token that carries any one of `scopes` may use it."""

    method: str
    path: str
    scopes: tuple[str, ...]
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizer:
    """The API's JWT authorizer: issuer, audiences, and the source of the token (`$request.header.Authorization`)."""

    issuer: str
    audience: tuple[str, ...]
    identity_source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """An expanded template. `queues` has dead-letter queues before the queues that name them.

    `resources` and `outputs` are the whole of it, for checks of the template itself.
    """

    tables: tuple[TableSpec, ...]
    queues: tuple[QueueSpec, ...]
    functions: tuple[FunctionSpec, ...]
    routes: tuple[Route, ...]
    authorizer: Authorizer
    resources: dict[str, dict[str, Any]]
    outputs: dict[str, str]


def expand(path: Path, *, parameters: Mapping[str, str], stack_name: str, region: str, account_id: str) -> Stack:
    """Expand a template as CloudFormation would for a stack of that name.

    `parameters` are as on a command line (lists joined by commas). Raises `TemplateError`.
    """
    document = load(path)
    pseudo = {"AWS::StackName": stack_name, "AWS::Region": region, "AWS::AccountId": account_id}
    pseudo |= {"AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"}
    values = {**parameter_values(document.get("Parameters", {}), parameters), **pseudo}
    return _Expansion(document, values).stack(path.parent)


_NAME_PROPERTY: Final = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::Logs::LogGroup": "LogGroupName",
}

_ATTRIBUTES: Final = {
    ("AWS::DynamoDB::Table", "Ref"): "{name}",
    ("AWS::DynamoDB::Table", "Arn"): "arn:aws:dynamodb:{region}:{account}:table/{name}",
    ("AWS::SQS::Queue", "QueueUrl"): "https://sqs.{region}.amazonaws.com/{account}/{name}",
    ("AWS::SQS::Queue", "Arn"): "arn:aws:sqs:{region}:{account}:{name}",
    ("AWS::SQS::Queue", "QueueName"): "{name}",
    ("AWS::Logs::LogGroup", "Ref"): "{name}",
    ("AWS::Logs::LogGroup", "Arn"): "arn:aws:logs:{region}:{account}:log-group:{name}:*",
    ("AWS::IAM::Role", "Arn"): "arn:aws:iam::{account}:role/{name}",
    ("AWS::IAM::ManagedPolicy", "PolicyArn"): "arn:aws:iam::{account}:policy/{name}",
    ("AWS::Serverless::LayerVersion", "Ref"): "arn:aws:lambda:{region}:{account}:layer:{name}:1",
    ("AWS::Serverless::Function", "Ref"): "{name}",
    ("AWS::Serverless::HttpApi", "Ref"): "{name}",
    ("AWS::S3::Bucket", "Ref"): "{name}",
    ("AWS::S3::Bucket", "Arn"): "arn:aws:s3:::{name}",
    ("AWS::S3::Bucket", "RegionalDomainName"): "{name}.s3.{region}.amazonaws.com",
    ("AWS::CloudFront::OriginAccessControl", "Id"): "{name}",
    ("AWS::CloudFront::ResponseHeadersPolicy", "Ref"): "{name}",
    ("AWS::CloudFront::Distribution", "Ref"): "{name}",
    ("AWS::CloudFront::Distribution", "DomainName"): "{name}.cloudfront.net",
}
"""What `Ref` and `Fn::GetAtt` yield, by resource type: the "Return values" of each type's page in the CloudFormation
template reference. Where AWS generates a name, ours is `<stack>-<logical id>`."""


class _Expansion:
    """One expansion: the resources with loops unrolled, and the scope that gives names their meaning."""

    def __init__(self, document: Mapping[str, Tree], values: Mapping[str, str | list[str]]) -> None:
        self._values = values
        self._scope = Scope(values=values, attribute=self._attribute, conditions=document.get("Conditions", {}))
        self._unrolled: dict[str, dict[str, Tree]] = {
            name: body for name, body in unroll(document["Resources"], self._scope).items() if self._is_made(body)
        }
        merged = _merge(document.get("Globals", {}), self._unrolled)
        self.resources: dict[str, dict[str, Tree]] = resolve(merged, self._scope)
        outputs = unroll(document.get("Outputs", {}), self._scope)
        self.outputs = {
            name: resolve(output["Value"], self._scope) for name, output in outputs.items() if self._is_made(output)
        }

    def stack(self, root: Path) -> Stack:
        return Stack(
            tables=tuple(_table(*entry) for entry in self._of_type("AWS::DynamoDB::Table")),
            queues=_in_order([_queue(*entry) for entry in self._of_type("AWS::SQS::Queue")]),
            functions=tuple(_function(*entry, root) for entry in self._of_type("AWS::Serverless::Function")),
            routes=tuple(self._routes()),
            authorizer=self._authorizer(),
            resources=self.resources,
            outputs=self.outputs,
        )

    def _is_made(self, body: Mapping[str, Tree]) -> bool:
        return "Condition" not in body or self._scope.holds(body["Condition"])

    def _attribute(self, logical_id: str, attribute: str) -> str:
        """Return an attribute of a resource; `Ref` is what a reference to it yields."""
        if logical_id not in self._unrolled:
            raise TemplateError(f"the template has no parameter or resource {logical_id}")
        resource = self._unrolled[logical_id]
        kind = resource["Type"]
        if (kind, attribute) not in _ATTRIBUTES:
            raise TemplateError(f"cannot tell {attribute} of {logical_id}, a resource of type {kind}")
        given = resource.get("Properties", {}).get(_NAME_PROPERTY.get(kind, ""))
        name = f"{self._values['AWS::StackName']}-{logical_id}" if given is None else resolve(given, self._scope)
        region, account = self._values["AWS::Region"], self._values["AWS::AccountId"]
        return _ATTRIBUTES[kind, attribute].format(name=name, region=region, account=account)

    def _of_type(self, kind: str) -> list[tuple[str, dict[str, Tree]]]:
        return [(key, body.get("Properties", {})) for key, body in self.resources.items() if body["Type"] == kind]

    def _auth(self) -> dict[str, Tree]:
        apis = self._of_type("AWS::Serverless::HttpApi")
        if len(apis) != 1:
            raise TemplateError(f"the template has {len(apis)} HTTP APIs; the gateway serves exactly one")
        auth: dict[str, Tree] = apis[0][1].get("Auth", {})
        if auth.get("DefaultAuthorizer") not in auth.get("Authorizers", {}):
            raise TemplateError("the HTTP API has no default authorizer: its routes would be open to everybody")
        return auth

    def _authorizer(self) -> Authorizer:
        jwt = self._auth()["Authorizers"][self._auth()["DefaultAuthorizer"]]
        issuer, audience = jwt["JwtConfiguration"]["issuer"], jwt["JwtConfiguration"]["audience"]
        return Authorizer(issuer=issuer, audience=tuple(audience), identity_source=jwt["IdentitySource"])

    def _routes(self) -> Iterator[Route]:
        default = self._auth()["DefaultAuthorizer"]
        for logical_id, properties in self._of_type("AWS::Serverless::Function"):
            for event in properties.get("Events", {}).values():
                yield _route(logical_id, event, default)


def _route(function: str, event: Mapping[str, Tree], default_authorizer: str) -> Route:
    if event["Type"] != "HttpApi":
        raise TemplateError(f"{function} has an event of type {event['Type']}, which has no local counterpart")
    properties = event["Properties"]
    auth = properties.get("Auth", {})
    if auth.get("Authorizer", default_authorizer) != default_authorizer:
        raise TemplateError(
            f"{function}: {properties['Path']} has an authorizer of its own, or none; the gateway knows one"
        )
    scopes = tuple(auth.get("AuthorizationScopes", ()))
    return Route(method=properties["Method"].upper(), path=properties["Path"], scopes=scopes, function=function)


def _merge(defaults: Mapping[str, Tree], resources: Mapping[str, dict[str, Tree]]) -> dict[str, dict[str, Tree]]:
    """Merge SAM's `Globals` into the resources that they apply to."""
    if unknown := sorted(set(defaults) - {"Function"}):
        raise TemplateError(f"Globals of {', '.join(unknown)} are not supported")
    return {
        name: {**body, "Properties": _under(defaults["Function"], body.get("Properties", {}))}
        if body["Type"] == "AWS::Serverless::Function" and "Function" in defaults
        else body
        for name, body in resources.items()
    }


def _under(default: Tree, own: Tree) -> Tree:
    """Merge as SAM does: mappings key by key, lists one after the other, scalars from the resource."""
    if isinstance(default, dict) and isinstance(own, dict):
        return {**default, **{key: _under(default[key], own[key]) if key in default else own[key] for key in own}}
    if isinstance(default, list) and isinstance(own, list):
        return [*default, *own]
    return own


_CREATE_TABLE: Final = frozenset({
    "TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"
})  # fmt: skip
_NOT_LOCAL: Final = frozenset({
    "DeletionProtectionEnabled", "PointInTimeRecoverySpecification", "ResourcePolicy", "SSESpecification", "Tags"
})  # fmt: skip
"""Properties of tables that protect data in the cloud, and have no meaning for an emulator's temporary data."""


def _table(logical_id: str, properties: Mapping[str, Tree]) -> TableSpec:
    ttl = properties.get("TimeToLiveSpecification", {})
    if unknown := sorted(set(properties) - _CREATE_TABLE - _NOT_LOCAL - {"TimeToLiveSpecification"}):
        raise TemplateError(f"{logical_id}: {', '.join(unknown)} of tables has no local counterpart yet")
    return TableSpec(
        logical_id=logical_id,
        name=properties["TableName"],
        create={key: value for key, value in properties.items() if key in _CREATE_TABLE},
        ttl_attribute=ttl["AttributeName"] if ttl.get("Enabled") else None,
    )


_QUEUE_ATTRIBUTES: Final = frozenset({"MessageRetentionPeriod", "VisibilityTimeout", "SqsManagedSseEnabled"})


def _queue(logical_id: str, properties: Mapping[str, Tree]) -> QueueSpec:
    if unknown := sorted(set(properties) - _QUEUE_ATTRIBUTES - {"QueueName", "RedrivePolicy", "Tags"}):
        raise TemplateError(f"{logical_id}: {', '.join(unknown)} of queues has no local counterpart yet")
    redrive = properties.get("RedrivePolicy", {})
    dead_letter = redrive["deadLetterTargetArn"].rpartition(":")[2] if redrive else None
    return QueueSpec(
        name=properties["QueueName"],
        attributes={key: str(properties[key]).lower() for key in sorted(_QUEUE_ATTRIBUTES & properties.keys())},
        dead_letter=dead_letter,
        max_receive_count=redrive.get("maxReceiveCount"),
    )


def _in_order(queues: list[QueueSpec]) -> tuple[QueueSpec, ...]:
    """Put dead-letter queues first: a redrive policy can name only a queue that exists."""
    if lost := {queue.dead_letter for queue in queues} - {queue.name for queue in queues} - {None}:
        raise TemplateError(f"a redrive policy names {', '.join(map(str, lost))}, which the template does not make")
    return tuple(sorted(queues, key=lambda queue: queue.dead_letter is not None))


def _function(logical_id: str, properties: Mapping[str, Tree], root: Path) -> FunctionSpec:
    variables = properties.get("Environment", {}).get("Variables", {})
    return FunctionSpec(
        logical_id=logical_id,
        code_path=root / properties["CodeUri"],
        handler=properties["Handler"],
        environment={name: str(value) for name, value in variables.items()},
        timeout_s=properties["Timeout"],
        memory_mb=properties["MemorySize"],
    )
