"""When Lambda publishes no new version of a function.

Pages: "Manage Lambda function versions" of the Lambda developer guide ("Lambda doesn't publish a version if the
function's configuration and code haven't changed since the last version") and `AWS::Lambda::Version` of CloudFormation,
whose handler takes the version that Lambda then returns for an error.
"""

from collections.abc import Mapping
from typing import Any, Final

HELD: Final = frozenset({
    "Architectures", "CodeSha256", "DeadLetterConfig", "Description", "Environment", "EphemeralStorage",
    "FileSystemConfigs", "Handler", "ImageConfigResponse", "KMSKeyArn", "Layers", "LoggingConfig", "MemorySize",
    "PackageType", "Role", "Runtime", "Timeout", "TracingConfig", "VpcConfig",
})  # fmt: skip
"""The code and the configuration in what GetFunctionConfiguration answers; the rest says when and how it was made."""


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two versions are the same code and configuration, whenever they were made."""
    return _held(one) == _held(other)


def _held(configuration: Mapping[str, Any]) -> dict[str, Any]:
    snap_start = configuration.get("SnapStart") or {}
    return {**{name: configuration.get(name) for name in HELD}, "SnapStart": snap_start.get("ApplyOn")}
