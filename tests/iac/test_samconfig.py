"""samconfig.toml: three environments that differ only where they should, and tell nobody's secrets."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).resolve().parents[2] / "samconfig.toml"
ENVIRONMENTS = ("default", "staging", "prod")


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return tomllib.loads(PATH.read_text(encoding="utf-8"))


def parameters(config: dict[str, Any], environment: str) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in config[environment]["global"]["parameters"]["parameter_overrides"])


def test_there_are_three_environments_of_one_shape(config: dict[str, Any]) -> None:
    assert set(config) == {"version", *ENVIRONMENTS}
    for environment in ENVIRONMENTS:
        assert set(config[environment]) == {"global", "validate", "build", "deploy"}


def test_every_environment_is_a_stack_of_its_own(config: dict[str, Any]) -> None:
    names = [config[environment]["global"]["parameters"]["stack_name"] for environment in ENVIRONMENTS]
    assert names == ["ivr-runtimes-dev", "ivr-runtimes-staging", "ivr-runtimes-prod"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_gives_what_the_template_needs(
    config: dict[str, Any], expanded_with: Any, environment: str
) -> None:
    given = parameters(config, environment)
    assert given.keys() >= {"JwtIssuer", "JwtAudience", "Sites"}
    expanded_with(**given)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_expands_loops_lints_and_may_make_roles(config: dict[str, Any], environment: str) -> None:
    assert config[environment]["global"]["parameters"]["language_extensions"] is True
    assert config[environment]["validate"]["parameters"]["lint"] is True
    capabilities = config[environment]["deploy"]["parameters"]["capabilities"]
    assert capabilities == ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]


def test_only_production_asks_before_it_changes(config: dict[str, Any]) -> None:
    asks = {
        environment: config[environment]["deploy"]["parameters"]["confirm_changeset"] for environment in ENVIRONMENTS
    }
    assert asks == {"default": False, "staging": False, "prod": True}


def test_no_account_and_no_credentials_are_written_down() -> None:
    text = PATH.read_text(encoding="utf-8")
    assert not re.search(r"\d{12}|AKIA|aws_secret|profile\s*=|region\s*=", text)
