"""samplesconfig.toml: what it may say, and how it is refused."""

import json
import re
from pathlib import Path

import pytest

from ivr_local.fleet import Fleet, load
from ivr_local.nodes import domains_of_one_node
from ivr_runtimes.errors import SettingsError

ROOT = Path(__file__).resolve().parents[3]

GOOD = """
[[sites]]
code = "SITE1"
nodes = ["a@127.0.0.1", "b@127.0.0.2"]
[[domains]]
name = "one.example"
scripts = ["player"]
calls_per_minute = 30
[[clients]]
id = "operator"
secret = "sample-secret"
domain = "one.example"
scopes = ["read", "stop"]
"""


def loaded(tmp_path: Path, text: str) -> Fleet:
    file = tmp_path / "fleet.toml"
    file.write_text(text, encoding="utf-8")
    return load(file)


def test_a_fleet_is_read_as_it_is_written(tmp_path: Path) -> None:
    fleet = loaded(tmp_path, GOOD + "[sandbox]\nexternal_stop_delay_ms = 250\n")
    assert fleet.sites[0].nodes == ("a@127.0.0.1", "b@127.0.0.2")
    assert fleet.clients[0].scopes == ("read", "stop")
    assert fleet.sandbox.external_stop_delay_ms == 250


def test_the_engines_start_their_branches_at_once_unless_told_otherwise(tmp_path: Path) -> None:
    assert loaded(tmp_path, GOOD).sandbox.external_stop_delay_ms == 0


def test_every_node_gets_an_equal_share_of_a_domains_calls(tmp_path: Path) -> None:
    share = json.loads(domains_of_one_node(loaded(tmp_path, GOOD)))
    assert share == [{"name": "one.example", "scripts": ["player"], "calls_per_minute": 15.0}]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('code = "SITE1"', 'code = "1SITE"', "sites[0].code"),
        ('"b@127.0.0.2"', '"b@10.0.0.1"', "sites[0].nodes[1]: b@10.0.0.1: the host must be a loopback address"),
        ('"b@127.0.0.2"', '"b@elsewhere"', "sites[0].nodes[1]"),
        ('"b@127.0.0.2"', '"a@127.0.0.1"', "'a@127.0.0.1' stands there twice"),
        ("calls_per_minute = 30", "calls_per_minute = -1", "domains[0].calls_per_minute"),
        ("calls_per_minute = 30", "calls_per_minute = nan", "domains[0].calls_per_minute"),
        ("calls_per_minute = 30", "calls_per_second = 1", "domains[0].calls_per_second: no such setting"),
        ('scripts = ["player"]', "scripts = []", "domains[0].scripts"),
        ('name = "one.example"', 'name = "One Example"', "domains[0].name"),
        (
            'domain = "one.example"',
            'domain = "two.example"',
            "clients[0].domain: no such domain; name one of one.example",
        ),
        ('scopes = ["read", "stop"]', 'scopes = "read stop"', "clients[0].scopes"),
        ('scopes = ["read", "stop"]', 'scopes = ["read stop"]', "clients[0].scopes[0]"),
        ('id = "operator"', "", "clients[0].id: missing"),
        ("[[clients]]", "[[clients]", "not TOML"),
    ],
)
def test_a_mistake_is_told_with_file_place_and_remedy(tmp_path: Path, old: str, new: str, place: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, GOOD.replace(old, new, 1))
    assert str(tmp_path / "fleet.toml") in str(caught.value)
    assert place in str(caught.value)


def test_a_wrong_secret_is_not_repeated_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, GOOD.replace("sample-secret", "short"))
    assert "clients[0].secret" in str(caught.value)
    assert "short" not in str(caught.value).replace("should", "")


@pytest.mark.parametrize("end", ["\\n", "\\r\\n"])
def test_the_line_end_of_a_secret_is_no_part_of_it(tmp_path: Path, end: str) -> None:
    assert loaded(tmp_path, GOOD.replace("sample-secret", f"sample-secret{end}")).clients[0].secret == "sample-secret"


@pytest.mark.parametrize("inside", ["\\n", "\\t", "\\u001b", " "])
def test_a_secret_that_no_header_carries_is_refused_and_not_quoted(tmp_path: Path, inside: str) -> None:
    with pytest.raises(SettingsError, match=r"clients\[0\]\.secret: .*correct it") as caught:
        loaded(tmp_path, GOOD.replace("sample-secret", f"planted{inside}secret"))
    assert "planted" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml: cannot be read"):
        load(tmp_path / "nowhere.toml")


class TestTheSampleFleet:
    """What other programs and the README rely on."""

    @pytest.fixture
    def fleet(self) -> Fleet:
        return load(ROOT / "samplesconfig.toml")

    def test_it_has_two_sites_of_two_nodes_and_two_domains(self, fleet: Fleet) -> None:
        assert [site.code for site in fleet.sites] == ["SITE1", "SITE2"]
        assert all(len(site.nodes) == 2 for site in fleet.sites)
        assert "test.rootdomain.ru" in {domain.name for domain in fleet.domains}
        assert len(fleet.domains) == 2

    def test_each_domain_has_a_client_that_may_stop_and_one_that_may_only_read(self, fleet: Fleet) -> None:
        for domain in fleet.domains:
            scopes = {len(client.scopes) for client in fleet.clients if client.domain == domain.name}
            assert {1, 2} <= scopes

    def test_each_domain_runs_scripts_with_and_without_an_external_stop_branch(self, fleet: Fleet) -> None:
        for domain in fleet.domains:
            texts = [(ROOT / "samples" / f"{code}.yaml").read_text("utf-8") for code in domain.scripts]
            with_branch = sum("\n  stop:\n" in text for text in texts)
            assert 0.25 <= with_branch / len(texts) <= 0.75

    def test_its_rates_keep_some_forty_scripts_of_each_domain_running(self, fleet: Fleet) -> None:
        mean_life_s = 35
        for domain in fleet.domains:
            assert 30 <= domain.calls_per_minute / 60 * mean_life_s <= 50


BRIDGED = """
[[bridges]]
node = "a@127.0.0.1"
program = "ivr_asterisk"
settings = { ami = "tcp://127.0.0.1:5038", audit_s = 30, scripts = [{ context = "ivr" }] }
"""


def test_the_engine_of_a_node_may_be_a_real_one_behind_a_bridge(tmp_path: Path) -> None:
    fleet = loaded(tmp_path, GOOD + BRIDGED)
    (bridge,) = fleet.bridges
    assert bridge.environment() == {
        "IVR_ASTERISK_AMI": "tcp://127.0.0.1:5038",
        "IVR_ASTERISK_AUDIT_S": "30",
        "IVR_ASTERISK_SCRIPTS": '[{"context": "ivr"}]',
    }
    (share,) = json.loads(domains_of_one_node(fleet))
    assert share["calls_per_minute"] == 30, "the other node's sandbox has all calls"


def test_the_samples_bridges_are_right_once_their_comment_signs_are_off(tmp_path: Path) -> None:
    text = (ROOT / "samplesconfig.toml").read_text(encoding="utf-8")
    blocks = re.findall(r"^# \[\[bridges\]\]\n(?:# .*\n)+", text, re.MULTILINE)
    bare = "".join(line.removeprefix("# ") for block in blocks for line in block.splitlines(keepends=True))
    bridges = {bridge.program: bridge for bridge in loaded(tmp_path, text + bare).bridges}
    assert len(bridges) == len(blocks)
    assert set(bridges["ivr_asterisk"].settings) == {"ami", "username", "secret", "scripts"}


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        (BRIDGED.replace("a@", "z@"), "bridges[0].node: no such node; name one of a@127.0.0.1, b@127.0.0.2"),
        (BRIDGED.replace("ami =", "listen ="), "settings.listen: the stack sets it"),
        (BRIDGED + BRIDGED, "bridges: node 'a@127.0.0.1' stands there twice"),
        (BRIDGED.replace("ivr_asterisk", "ivr_other"), "bridges[0].program"),
    ],
)
def test_a_wrong_bridge_is_named_with_its_place(tmp_path: Path, wrong: str, place: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(place)):
        loaded(tmp_path, GOOD + wrong)
