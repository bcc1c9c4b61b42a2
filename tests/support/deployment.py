"""A stack that `make deploy` makes in an emulated CloudFormation, and the API that comes out of it."""

import http.client
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import boto3
import yaml

from builds import built
from emulators import REGION, ROOT, free_port, wait_until_up
from ivr_local.fleet import ClientConfig
from rows import DOMAIN
from runtime import machine
from stack import Answer, eventually

PYTHON: Final = ROOT / ".venv-deploy" / "bin" / "python"
STACK: Final = "ivr-runtimes-dev"
CAPABILITIES: Final = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
KEYS: Final = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}

READ, STOP = "ivrscript_runtimes:read", "ivrscript_runtimes:stop"
OPERATOR: Final = ClientConfig(id="operator", secret="operators-secret", domain=DOMAIN, scopes=(READ, STOP))
WATCHER: Final = ClientConfig(id="watcher", secret="watchers-secret", domain=DOMAIN, scopes=(READ,))

Ran = subprocess.CompletedProcess[str]


@contextmanager
def cloud(log: Path) -> Iterator[str]:
    """Run the emulated AWS; yield its endpoint."""
    port = free_port()
    own = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "MINISTACK_REGION": REGION, "LAMBDA_EXECUTOR": "local"}
    own |= {"PYTHONPATH": str(ROOT / "tests" / "support"), "PATH": os.environ["PATH"], "HOME": str(log.parent)}
    endpoint = f"http://127.0.0.1:{port}"
    with log.open("w") as said:
        process = subprocess.Popen([PYTHON, "-m", "cloud"], env=own | KEYS, stdout=said, stderr=said)
        try:
            wait_until_up(endpoint, within_s=60)
            yield endpoint
        finally:
            process.terminate()
            process.wait(30)


class Deployment:
    """The stack of samconfig.toml's `dev`, as one who installs it has it: a file of settings, `make`, and AWS."""

    def __init__(self, endpoint: str, folder: Path) -> None:
        self.endpoint = endpoint
        self.samconfig = folder / "samconfig.toml"
        self.build = built(machine())
        self._session: Any = boto3.Session(
            aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION
        )
        self._clients: dict[str, Any] = {}

    def settle(self, **parameters: str) -> None:
        """Edit samconfig.toml: give parameters of `dev` another value, or add them."""
        current = self.samconfig if self.samconfig.exists() else ROOT / "samconfig.toml"
        dev, staging, others = current.read_text(encoding="utf-8").partition("[staging.")
        for name, value in parameters.items():
            dev = re.sub(rf' *"{name}=.*",\n', "", dev)
            dev = dev.replace("parameter_overrides = [\n", f'parameter_overrides = [\n    "{name}={value}",\n')
        self.samconfig.write_text(dev + staging + others, encoding="utf-8")

    def planned(self) -> str:
        """Return what `make deploy ENV=dev` runs after the build, which is the same for every deployment here."""
        make = f"make -n deploy ENV=dev BUILD_DIR={self.build} SAMCONFIG={self.samconfig}"
        return "set -e\nparameters=" + self.run(make).stdout.partition("\nparameters=")[2]

    def asked_for(self) -> dict[str, str]:
        """Return the parameters that it would deploy with."""
        given = self.run(f"{self.planned().partition('&&')[0]} && echo $parameters").stdout.split()
        return dict(pair.split("=", 1) for pair in given)

    def deploy(self) -> Ran:
        """Deploy."""
        return self.run(self.planned())

    def update(self, **parameters: str) -> None:
        """Update the stack with other parameters alone, by CloudFormation's own means, and wait for the end."""
        given = [
            {"ParameterKey": name, "ParameterValue": value} for name, value in (self.parameters | parameters).items()
        ]
        self.client("cloudformation").update_stack(
            StackName=STACK, TemplateBody=self.template, Parameters=given, Capabilities=CAPABILITIES
        )
        eventually(lambda: not self.stack["StackStatus"].endswith("IN_PROGRESS"), within_s=60)

    def run(self, command: str, **variables: str) -> Ran:
        """Run a line of a shell in the project's folder, as somebody whose AWS is the emulated one."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "AWS_"))}
        nobody = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        there = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_EC2_METADATA_DISABLED": "true", "SAM_CLI_TELEMETRY": "0"}
        return subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=ROOT,
            env=mine | nobody | there | KEYS | variables,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    def client(self, service: str) -> Any:
        """Return a boto3 client of the emulated AWS, the same one each time: each is dear to make."""
        if service not in self._clients:
            self._clients[service] = self._session.client(service, endpoint_url=self.endpoint)
        return self._clients[service]

    @property
    def stack(self) -> dict[str, Any]:
        """What CloudFormation says of the stack."""
        (found,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        stack: dict[str, Any] = found
        return stack

    @property
    def template(self) -> str:
        """The template as it was deployed, its transforms still to come; without blanks, so that a request may hold it.

        CloudFormation takes 51,200 bytes in a request (page "CloudFormation quotas"); SAM hands larger ones over in S3.
        """
        body = self.client("cloudformation").get_template(StackName=STACK, TemplateStage="Original")["TemplateBody"]
        document = yaml.safe_load(body) if isinstance(body, str) else body
        return json.dumps(document, separators=(",", ":"))

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters it was deployed with."""
        return {one["ParameterKey"]: one["ParameterValue"] for one in self.stack["Parameters"]}

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs."""
        return {one["OutputKey"]: one["OutputValue"] for one in self.stack["Outputs"]}

    @property
    def resources(self) -> dict[str, str]:
        """Each resource's status by its logical id."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
        found = [one for page in pages for one in page["StackResourceSummaries"]]
        return {one["LogicalResourceId"]: one["ResourceStatus"] for one in found}

    @property
    def queues(self) -> set[str]:
        """The names of all queues there are."""
        urls = self.client("sqs").list_queues().get("QueueUrls", [])
        return {url.rpartition("/")[2] for url in urls}

    def live(self, function: str) -> dict[str, Any]:
        """Return the configuration that the API calls: of the version behind the alias."""
        configuration = self.client("lambda").get_function_configuration(FunctionName=function, Qualifier="live")
        found: dict[str, Any] = configuration
        return found

    def last_version(self, function: str) -> dict[str, Any]:
        """Return the configuration of the version that was published last."""
        (page,) = self.client("lambda").get_paginator("list_versions_by_function").paginate(FunctionName=function)
        published = [one for one in page["Versions"] if one["Version"] != "$LATEST"]
        return max(published, key=lambda one: int(one["Version"]))

    @property
    def api_host(self) -> str:
        """The API's name, as it leads to the emulator."""
        api = self.outputs["ApiUrl"].removeprefix("https://").partition(".")[0]
        return f"{api}.execute-api.localhost"

    def request(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request to the API."""
        connection = http.client.HTTPConnection(self.endpoint.removeprefix("http://"), timeout=30)
        try:
            connection.request(method, path, headers={"Host": self.api_host, **(headers or {})})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()
