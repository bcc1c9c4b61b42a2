"""The layer's descriptions of services say of what is called what botocore's say: an update that differs fails here."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.regions import EndpointResolver
from delivery import descriptions

DATA = Path(botocore.__file__).parent / "data"
STORES = Path(__file__).resolve().parents[2] / "layers" / "core" / "ivr_runtimes" / "stores"
SERVICES = sorted(descriptions.OPERATIONS)


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for file in DATA.glob("*.json*"):
        shutil.copy(file, folder)
    for service in (*SERVICES, "sns"):
        shutil.copytree(DATA / service, folder / service)
    descriptions.cut(folder)
    return folder


def load(folder: Path, service: str, kind: str) -> Any:
    loader = Loader(extra_search_paths=[str(folder)], include_default_search_paths=False)
    return loader.load_service_model(service, kind)


def described(shape: Shape | None, seen: tuple[str, ...] = ()) -> Any:
    """All that botocore's serialisers, parsers and validators know of a shape, and of those that it consists of."""
    if shape is None or shape.name in seen:
        return shape and shape.name
    parts = {**getattr(shape, "members", {})}
    parts |= {
        name: getattr(shape, name)
        for name in ("member", "key", "value")
        if isinstance(shape, Shape) and hasattr(shape, name)
    }
    known = (
        shape.name,
        shape.type_name,
        shape.serialization,
        shape.metadata,
        shape.required_members if parts and hasattr(shape, "members") else None,
    )
    return known, {name: described(part, (*seen, shape.name)) for name, part in parts.items()}


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_called_is_described_as_botocore_describes_it(cut: Path, service: str) -> None:
    ours, botocores = (ServiceModel(load(folder, service, "service-2"), service) for folder in (cut, DATA))
    assert ours.metadata == botocores.metadata
    assert set(ours.operation_names) == descriptions.OPERATIONS[service]
    for name in ours.operation_names:
        mine, its = ours.operation_model(name), botocores.operation_model(name)
        assert (described(mine.input_shape), described(mine.output_shape)) == (
            described(its.input_shape),
            described(its.output_shape),
        )
        left = {key: of for key, of in its._operation_model.items() if not key.startswith("documentation")}
        assert mine._operation_model == json.loads(re.sub(r', "documentation": "[^"]*"', "", json.dumps(left)))
        assert [described(e) for e in mine.error_shapes] == [described(e) for e in its.error_shapes]


@pytest.mark.parametrize("service", SERVICES)
def test_every_error_of_a_service_is_known(cut: Path, service: str) -> None:
    """An answer may bring an error that no description of the operation names."""
    ours, botocores = (ServiceModel(load(folder, service, "service-2"), service) for folder in (cut, DATA))
    assert [described(shape) for shape in ours.error_shapes] == [described(shape) for shape in botocores.error_shapes]
    assert ours.error_shapes


@pytest.mark.parametrize("service", SERVICES)
def test_rules_of_endpoints_are_whole(cut: Path, service: str) -> None:
    assert load(cut, service, "endpoint-rule-set-1") == load(DATA, service, "endpoint-rule-set-1")


@pytest.mark.parametrize("service", SERVICES)
def test_endpoints_are_known_in_every_region_of_every_partition(cut: Path, service: str) -> None:
    ours, botocores = (
        EndpointResolver(
            Loader(extra_search_paths=[str(folder)], include_default_search_paths=False).load_data("endpoints")
        )
        for folder in (cut, DATA)
    )
    partitions = botocores.get_available_partitions()
    assert ours.get_available_partitions() == partitions
    for partition in partitions:
        regions = botocores.get_available_endpoints(service, partition, allow_non_regional=True)
        assert ours.get_available_endpoints(service, partition, allow_non_regional=True) == regions
        for region in [*regions, "eu-central-1", "nowhere-1"]:
            assert ours.construct_endpoint(service, region, partition) == botocores.construct_endpoint(
                service, region, partition
            )


def test_every_operation_that_the_stores_call_is_described() -> None:
    called = set(
        re.findall(r"client\.([a-z_]+)", "".join(file.read_text(encoding="utf-8") for file in STORES.glob("*.py")))
    )
    names = {xform_name(name) for operations in descriptions.OPERATIONS.values() for name in operations}
    assert called - {"meta"} == names


def test_nothing_else_is_left(cut: Path) -> None:
    assert {path.name for path in cut.iterdir() if path.is_dir()} == set(SERVICES)
    assert not list(cut.rglob("*.gz"))
    assert (cut / "endpoints.json").stat().st_size < 20_000 < (DATA / "endpoints.json").stat().st_size
    for model in cut.rglob("service-2.json"):
        assert model.stat().st_size < 30_000
