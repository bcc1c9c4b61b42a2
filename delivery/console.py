"""`make deploy`: puts the console's files into the bucket of the deployed stack, and makes CloudFront read them anew.

    python -m delivery.console default|staging|prod --deployed PARAMETERS [--samconfig FILE] [--stack-name NAME] ...

Owns the order: files under their hash first, then the configuration, the page last, so that no page leads to what is
not there yet. Files of earlier releases stay, for pages that are still open; of those, `KEPT_RELEASES` are kept. Does
nothing where the stack has no console, or does not run the release that was to be deployed: SAM ends well if somebody
declines its changeset. Called by the Makefile after `sam deploy`.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from delivery.release import ROOT, STACK_OPTIONS, settings_of
from ivr_local.console import CONFIG, PAGE, Published, configuration, published

NOT_DEPLOYED: Final = (
    "console: the stack does not run this release, as its changeset was not executed: nothing to upload"
)

KEPT_RELEASES: Final = 5
"""How many releases' files are kept, the new one among them."""


class UploadError(Exception):
    """What S3 did not do; its message is for people."""


def described(session: Any, stack_name: str) -> tuple[str, dict[str, str]]:
    """Return the release that a stack runs, and its outputs; raises `ClientError`."""
    (stack,) = session.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", ())}
    return parameters.get("Release", ""), {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}


def upload(bucket: Any, files: Mapping[str, Published]) -> list[str]:
    """Put the files into the bucket in their order; return the keys that were put."""
    assets = sorted(path for path in files if path not in {"", PAGE, CONFIG})
    keys = [*assets, CONFIG, PAGE]
    for key in keys:
        file = files[key]
        bucket.put_object(Key=key, Body=file.body, ContentType=file.content_type, CacheControl=file.cache_control)
    return keys


def prune(bucket: Any) -> list[str]:
    """Delete the files of all releases but the last few; return their folders; raises `UploadError`."""
    latest: dict[str, float] = {}
    for item in bucket.objects.filter(Prefix="assets/"):
        folder = item.key.rpartition("/")[0]
        latest[folder] = max(latest.get(folder, 0.0), item.last_modified.timestamp())
    old = sorted(latest, key=latest.__getitem__, reverse=True)[KEPT_RELEASES:]
    for folder in old:
        for answer in bucket.objects.filter(Prefix=f"{folder}/").delete():
            if errors := answer.get("Errors"):  # S3 answers 200 all the same
                raise UploadError(f"{errors[0]['Key']} cannot be deleted: {errors[0]['Code']}, {errors[0]['Message']}")
    return old


def invalidate(session: Any, distribution: str) -> None:
    """Have CloudFront forget the page and its configuration; what stands under a hash never changes."""
    paths = ["/", f"/{PAGE}", f"/{CONFIG}"]
    batch = {"Paths": {"Quantity": len(paths), "Items": paths}, "CallerReference": f"{time.time_ns()}"}
    session.client("cloudfront").create_invalidation(DistributionId=distribution, InvalidationBatch=batch)


def publish(session: Any, found: Mapping[str, str], folder: Path = ROOT / "console") -> str:
    """Bring the console of a stack with these outputs up to date; return what to tell."""
    if "PageBucket" not in found:
        return "console: off in this stack (parameter Console), nothing to upload"
    bucket = session.resource("s3").Bucket(found["PageBucket"])
    keys = upload(bucket, published(folder, configuration(found)))
    old = prune(bucket)
    invalidate(session, found["PageDistribution"])
    url = found["PageUrl"]
    return f"console: {len(keys)} files put, {len(old)} old releases deleted; {url} is the redirect URI of its client"


def main() -> None:
    """Publish the console of an environment's stack."""
    options = _options()
    given = {name: getattr(options, name) for name in STACK_OPTIONS if getattr(options, name)}
    settings = settings_of(options.environment, options.samconfig) | given
    try:
        session = boto3.Session(profile_name=settings.get("profile"), region_name=settings.get("region"))
        release, outputs = described(session, settings["stack_name"])
        print(publish(session, outputs) if release == options.deployed else NOT_DEPLOYED)  # noqa: T201  # its output
    except (BotoCoreError, ClientError, UploadError) as error:
        sys.exit(f"console: the stack is deployed, but its console is not up to date: {error}; repeat `make deploy`")


def _release(parameters: str) -> str:
    """Return the value of `Release` among parameters as SAM takes them."""
    return dict(one.partition("=")[::2] for one in parameters.split()).get("Release", "")


def _options() -> argparse.Namespace:
    """Read the arguments. Those of `sam deploy` may follow; of these, only the ones that select the stack are read."""
    parser = argparse.ArgumentParser(description="Upload the console of a deployed stack.", allow_abbrev=False)
    parser.add_argument("environment", choices=["default", "staging", "prod"])
    parser.add_argument("--deployed", required=True, type=_release, help="the parameters that SAM was given")
    parser.add_argument("--samconfig", type=Path, default=ROOT / "samconfig.toml", help="the settings of SAM")
    for name in STACK_OPTIONS:
        parser.add_argument(f"--{name.replace('_', '-')}")
    options, _ = parser.parse_known_args()
    return options


if __name__ == "__main__":
    main()
