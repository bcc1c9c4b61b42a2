"""`make deploy`'s last step: the console's files in the bucket, in an order that never breaks a page."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from delivery import console as upload
from moto import mock_aws

from emulators import ROOT
from ivr_local import console

OUTPUTS = {
    "TokenIssuer": "https://issuer.example",
    "SignInClient": "console",
    "TokenAudiences": "ivr,other",
    "SignInScopes": "openid,r:read",
    "StopScope": "r:stop",
    "NumbersScope": "r:numbers",
    "TokenDomainClaim": "domain",
    "PageUrl": "https://d111111abcdef8.cloudfront.net/",
    "PageBucket": "st-console",
    "PageDistribution": "E1",
}


@pytest.fixture
def session() -> Iterator[Any]:
    with mock_aws():
        session = boto3.Session(region_name="eu-central-1")
        session.client("s3").create_bucket(
            Bucket="st-console", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield session


def distribution(session: Any) -> str:
    """Make a distribution; return its id."""
    origin = {
        "Id": "files",
        "DomainName": "st-console.s3.amazonaws.com",
        "S3OriginConfig": {"OriginAccessIdentity": ""},
    }
    config = {
        "CallerReference": "1",
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": {"TargetOriginId": "files", "ViewerProtocolPolicy": "https-only"},
        "Comment": "",
        "Enabled": True,
    }
    made = session.client("cloudfront").create_distribution(DistributionConfig=config)
    found: str = made["Distribution"]["Id"]
    return found


def test_the_files_are_there_with_their_types_and_how_long_they_may_be_kept(session: Any) -> None:
    told = upload.publish(session, OUTPUTS | {"PageDistribution": distribution(session)})
    bucket = session.resource("s3").Bucket("st-console")
    found = {item.key: bucket.Object(item.key).get() for item in bucket.objects.all()}
    files = console.published(ROOT / "console", console.configuration(OUTPUTS))
    assert {key: one["Body"].read() for key, one in found.items()} == {k: f.body for k, f in files.items() if k}
    kinds = {Path(key).name: (one["ContentType"], one["CacheControl"]) for key, one in found.items()}
    assert kinds["index.html"] == ("text/html; charset=utf-8", "no-cache")
    assert kinds["config.json"] == ("application/json", "no-cache")
    assert kinds["app.js"] == ("text/javascript; charset=utf-8", "public, max-age=31536000, immutable")
    assert OUTPUTS["PageUrl"] in told


def test_only_what_may_change_is_asked_for_anew(session: Any) -> None:
    made = distribution(session)
    upload.publish(session, OUTPUTS | {"PageDistribution": made})
    client = session.client("cloudfront")
    (summary,) = client.list_invalidations(DistributionId=made)["InvalidationList"]["Items"]
    batch = client.get_invalidation(DistributionId=made, Id=summary["Id"])["Invalidation"]["InvalidationBatch"]
    assert sorted(batch["Paths"]["Items"]) == ["/", "/config.json", "/index.html"]


class Recording:
    """A bucket that notes the order of what is put, and can break."""

    def __init__(self, breaks_at: int = 99) -> None:
        self.put: list[str] = []
        self.breaks_at = breaks_at

    def put_object(self, *, Key: str, **_: object) -> None:  # noqa: N803  # boto3's name
        if len(self.put) == self.breaks_at:
            raise ConnectionError
        self.put.append(Key)


@pytest.mark.parametrize("breaks_at", range(12))
def test_an_upload_that_breaks_leaves_no_page_that_leads_nowhere(breaks_at: int) -> None:
    files = console.published(ROOT / "console", console.configuration(OUTPUTS))
    bucket = Recording(breaks_at)
    with pytest.raises(ConnectionError):
        upload.upload(bucket, files)
    assert "index.html" not in bucket.put
    whole = Recording()
    upload.upload(whole, files)
    assert whole.put[-2:] == ["config.json", "index.html"]


def test_pages_still_open_find_their_files_and_old_releases_go(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "KEPT_RELEASES", 2)
    outputs = OUTPUTS | {"PageDistribution": distribution(session)}
    for release in range(4):
        time.sleep(1.1 if release else 0)  # the emulator's times are whole seconds
        (tmp_path / "index.html").write_text('<script src="./app.js"></script>')
        (tmp_path / "app.js").write_text(f"// {release}")
        upload.publish(session, outputs, tmp_path)
    bucket = session.resource("s3").Bucket("st-console")
    bodies = [item.get()["Body"].read() for item in bucket.objects.filter(Prefix="assets/")]
    assert sorted(bodies) == [b"// 2", b"// 3"]


def test_files_that_s3_does_not_delete_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 answers a deletion of many with 200, and says in it which were not deleted."""

    class Denied(list[SimpleNamespace]):
        def delete(self) -> list[dict[str, Any]]:
            errors = [{"Key": "assets/old/app.js", "Code": "AccessDenied", "Message": "not allowed"}]
            return [{"Deleted": [], "Errors": errors}]

    monkeypatch.setattr(upload, "KEPT_RELEASES", 0)
    one = SimpleNamespace(key="assets/old/app.js", last_modified=datetime(2026, 11, 26, tzinfo=UTC))
    bucket = SimpleNamespace(objects=SimpleNamespace(filter=lambda **_: Denied([one])))
    with pytest.raises(upload.UploadError, match=r"assets/old/app\.js cannot be deleted: AccessDenied"):
        upload.prune(bucket)


def test_a_stack_without_a_console_is_left_alone(session: Any) -> None:
    assert (
        upload.publish(session, {"ApiUrl": "https://api.example"})
        == "console: off in this stack (parameter Console), nothing to upload"
    )


def described(outputs: list[dict[str, str]]) -> Any:
    """Return a session in which the stack `st` runs the release 1a2b, with these outputs."""
    client = boto3.client("cloudformation", region_name="eu-central-1")
    made = {"StackName": "st", "CreationTime": "2026-11-26T00:00:00Z", "StackStatus": "CREATE_COMPLETE"}
    parameters = [{"ParameterKey": "Release", "ParameterValue": "1a2b"}]
    stubber = Stubber(client)
    answer = {"Stacks": [made | {"Outputs": outputs, "Parameters": parameters}]}
    stubber.add_response("describe_stacks", answer, {"StackName": "st"})
    stubber.activate()
    return SimpleNamespace(client=lambda _: client)


def test_a_stacks_outputs_are_read_as_they_are() -> None:
    session = described([{"OutputKey": "PageUrl", "OutputValue": "https://one.example/"}])
    assert upload.described(session, "st") == ("1a2b", {"PageUrl": "https://one.example/"})


@pytest.mark.parametrize(("release", "told"), [("1a2b", "off in this stack"), ("3c4d", "changeset was not executed")])
def test_nothing_is_uploaded_if_somebody_has_declined_the_changeset(
    release: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sam deploy` ends well then."""
    session = described([])
    monkeypatch.setattr(boto3, "Session", lambda **_: session)
    given = ["--stack-name", "st", "--deployed", f"Sites=SITE1,SITE2 Release={release}", "--no-confirm-changeset"]
    monkeypatch.setattr("sys.argv", ["console", "default", *given])
    upload.main()
    assert told in capsys.readouterr().out
