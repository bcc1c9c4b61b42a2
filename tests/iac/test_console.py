"""The console in the cloud: off unless asked for, private, the local stack's headers, the API behind the same name."""

from collections.abc import Callable
from typing import Any

import pytest

from emulators import ROOT
from ivr_local import console
from ivr_local.template import Stack

ExpandedWith = Callable[..., Stack]


@pytest.fixture(scope="module")
def on(expanded_with: ExpandedWith) -> Stack:
    return expanded_with(Console="on", JwtIssuer="https://issuer.example/realms/one")


def properties(stack: Stack, name: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.resources[name]["Properties"]
    return found


def test_without_it_nothing_of_it_is_made(stack: Stack) -> None:
    kinds = {body["Type"] for body in stack.resources.values()}
    assert not any(kind.startswith(("AWS::CloudFront", "AWS::S3")) for kind in kinds)
    assert not {"PageUrl", "PageBucket", "PageDistribution"} & set(stack.outputs)


def test_the_bucket_is_read_by_the_distribution_alone(on: Stack) -> None:
    bucket = properties(on, "ConsoleBucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    allow, deny = properties(on, "ConsoleBucketPolicy")["PolicyDocument"]["Statement"]
    assert (allow["Principal"], allow["Action"]) == ({"Service": "cloudfront.amazonaws.com"}, "s3:GetObject")
    assert allow["Condition"]["StringEquals"]["aws:SourceArn"].endswith(":distribution/st-ConsoleDistribution")
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert properties(on, "ConsoleAccess")["OriginAccessControlConfig"]["SigningBehavior"] == "always"


def test_the_headers_are_those_of_the_local_stack(on: Stack) -> None:
    config = properties(on, "ConsoleHeaders")["ResponseHeadersPolicyConfig"]
    security = config["SecurityHeadersConfig"]
    sent = {
        "Content-Security-Policy": security["ContentSecurityPolicy"]["ContentSecurityPolicy"],
        "X-Content-Type-Options": "nosniff" if "ContentTypeOptions" in security else "",
        "X-Frame-Options": security["FrameOptions"]["FrameOption"],
        "Referrer-Policy": security["ReferrerPolicy"]["ReferrerPolicy"],
    } | {item["Header"]: item["Value"] for item in config["CustomHeadersConfig"]["Items"]}
    assert sent == console.headers(["https://issuer.example/realms/one"])
    assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 31_536_000
    assert all(part["Override"] for part in [*security.values(), *config["CustomHeadersConfig"]["Items"]])


def test_other_origins_that_the_console_may_speak_to_are_added(expanded_with: ExpandedWith) -> None:
    stack = expanded_with(Console="on", ConsoleConnects="https://one.example,https://two.example:8443")
    security = properties(stack, "ConsoleHeaders")["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
    others = ["https://issuer.example", "https://one.example", "https://two.example:8443"]
    wanted = console.headers(others)["Content-Security-Policy"]
    assert security["ContentSecurityPolicy"]["ContentSecurityPolicy"] == wanted


def test_the_api_is_behind_the_same_name_uncached_and_without_the_hosts_name(on: Stack) -> None:
    distribution = properties(on, "ConsoleDistribution")["DistributionConfig"]
    (api,) = distribution["CacheBehaviors"]
    assert api["PathPattern"] == "/rest/*"
    assert {"GET", "DELETE"} <= set(api["AllowedMethods"])
    # The ids of managed policies, as CloudFront's developer guide has them.
    assert api["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "CachingDisabled"
    assert api["OriginRequestPolicyId"] == "b689b0a8-53d0-40ab-baf2-68738e2966ac", "AllViewerExceptHostHeader"
    origins = {origin["Id"]: origin for origin in distribution["Origins"]}
    assert origins[api["TargetOriginId"]]["DomainName"] == "st-Api.execute-api.eu-central-1.amazonaws.com"
    assert origins[api["TargetOriginId"]]["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"


CACHED_ERRORS = {400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504}
"""Whose caching CloudFront lets one set (API reference, `CustomErrorResponse`)."""


def test_no_refusal_of_the_api_is_kept_at_the_edge_or_replaced(on: Stack) -> None:
    """The token is in no cache key, so a kept refusal would reach others. CachingDisabled keeps none, too."""
    errors = properties(on, "ConsoleDistribution")["DistributionConfig"]["CustomErrorResponses"]
    assert {one["ErrorCode"] for one in errors} == CACHED_ERRORS
    assert all(one == {"ErrorCode": one["ErrorCode"], "ErrorCachingMinTTL": 0} for one in errors)


def test_stacks_of_two_regions_may_both_have_a_console(on: Stack) -> None:
    """CloudFront's names are of the account, whatever the region."""
    for name, config in (
        ("ConsoleAccess", "OriginAccessControlConfig"),
        ("ConsoleHeaders", "ResponseHeadersPolicyConfig"),
    ):
        assert properties(on, name)[config]["Name"] == "st-eu-central-1"


def test_files_are_compressed_and_come_over_https_alone(on: Stack) -> None:
    distribution = properties(on, "ConsoleDistribution")["DistributionConfig"]
    files = distribution["DefaultCacheBehavior"]
    assert (files["Compress"], files["ViewerProtocolPolicy"]) == (True, "redirect-to-https")
    assert distribution["DefaultRootObject"] == console.PAGE


def test_the_outputs_hold_all_of_the_configuration(on: Stack) -> None:
    config = console.configuration(on.outputs)
    assert config == {
        "issuer": "https://issuer.example/realms/one",
        "client_id": "console",
        "audience": "ivr",
        "scopes": ["openid", "ivrscript_runtimes:read", "ivrscript_runtimes:stop"],
        "scope_stop": "ivrscript_runtimes:stop",
        "scope_numbers": "ivrscript_runtimes:numbers",
        "domain_claim": "domain",
        "api": "/rest/v1/uc/ivrscript_runtimes",
    }
    assert {"PageUrl", "PageBucket", "PageDistribution"} <= set(on.outputs)


def test_another_content_has_another_address_and_the_page_leads_there() -> None:
    files = console.published(ROOT / "console", {"a": 1})
    page = files[""].body.decode()
    (folder,) = {path.rpartition("/")[0] for path in files if path.startswith("assets/")}
    assert f'src="{folder}/app.js"' in page
    assert '"./' not in page
    assert files[""] == files["index.html"]
    assert {file.cache_control for path, file in files.items() if path.startswith("assets/")} == {console.KEPT}
    assert files["config.json"].body == b'{\n  "a": 1\n}\n'
