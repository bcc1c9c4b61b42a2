"""`make deploy`: puts the console's files into the bucket of the deployed stack, and makes CloudFront read them anew.

    python -m delivery.console default|staging|prod [--samconfig FILE] [--stack-name NAME] [--region R] [--profile P]

Owns the order: files under their hash first, then the configuration, the page last, so that no page leads to what is
not there yet. Files of earlier releases stay, for pages that are still open; of those, `KEPT_RELEASES` are kept. Does
nothing where the stack has no console. Called by the Makefile after `sam deploy`.
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

KEPT_RELEASES: Final = 5
"""How many releases' files are kept, the new one among them."""


def outputs(session: Any, stack_name: str) -> dict[str, str]:
    """Return a stack's outputs; raises `ClientError`."""
    (stack,) = session.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}


def upload(bucket: Any, files: Mapping[str, Published]) -> list[str]:
    """Put the files into the bucket in their order; return the keys that were put."""
    assets = sorted(path for path in files if path not in {"", PAGE, CONFIG})
    keys = [*assets, CONFIG, PAGE]
    for key in keys:
        file = files[key]
        bucket.put_object(Key=key, Body=file.body, ContentType=file.content_type, CacheControl=file.cache_control)
    return keys


def prune(bucket: Any) -> list[str]:
    """Delete the files of all releases but the last few; return their folders."""
    latest: dict[str, float] = {}
    for item in bucket.objects.filter(Prefix="assets/"):
        folder = item.key.rpartition("/")[0]
        latest[folder] = max(latest.get(folder, 0.0), item.last_modified.timestamp())
    old = sorted(latest, key=latest.__getitem__, reverse=True)[KEPT_RELEASES:]
    for folder in old:
        bucket.objects.filter(Prefix=f"{folder}/").delete()
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
        print(publish(session, outputs(session, settings["stack_name"])))  # noqa: T201  # its output
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"console: the stack is deployed, but its console is not up to date: {error}; repeat `make deploy`")


def _options() -> argparse.Namespace:
    """Read the arguments. Those of `sam deploy` may follow; of these, only the ones that select the stack are read."""
    parser = argparse.ArgumentParser(description="Upload the console of a deployed stack.", allow_abbrev=False)
    parser.add_argument("environment", choices=["default", "staging", "prod"])
    parser.add_argument("--samconfig", type=Path, default=ROOT / "samconfig.toml", help="the settings of SAM")
    for name in STACK_OPTIONS:
        parser.add_argument(f"--{name.replace('_', '-')}")
    options, _ = parser.parse_known_args()
    return options


if __name__ == "__main__":
    main()
