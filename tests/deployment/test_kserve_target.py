"""An InferenceService of KServe, with a stand-in for `kubectl`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from msgspec.structs import replace

from nbci.deployment.kserve_target import FILE, KServeTarget, check_service, inference_service
from nbci.errors import UsageError
from nbci.pipeline.deploy_document import KServeOptions
from tests.deployment import fake_programs
from tests.deployment.bundles import make_bundle
from tests.deployment.target_contract import TargetContract, surroundings
from tests.deployment.test_container_target import with_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nbci.deployment.target import Surroundings, Target

OPTIONS = KServeOptions(storage="s3://models/{model}/{version}", apply=True, namespace="ml")


class TestKServe(TargetContract):
    @pytest.fixture
    def around(self, tmp_path: Path) -> Surroundings:
        return with_program(surroundings(tmp_path), tmp_path, "kubectl")

    @pytest.fixture
    def open_target(self, around: Surroundings) -> Callable[[], Target]:
        return lambda: KServeTarget(OPTIONS, around)


def test_the_file_is_an_inference_service(tmp_path: Path) -> None:
    options = replace(
        OPTIONS, apply=False, canary="10%", min_replicas=0, max_replicas=3, service_account="reader"
    )
    around = surroundings(tmp_path)
    target = KServeTarget(options, around)
    placed = target.put(make_bundle(tmp_path / "1", "v1.0.0"))
    document = yaml.safe_load((around.folder / FILE).read_text())

    assert document["spec"]["predictor"] == {
        "minReplicas": 0,
        "maxReplicas": 3,
        "serviceAccountName": "reader",
        "canaryTrafficPercent": 10,
        "model": {
            "modelFormat": {"name": "onnx"},
            "protocolVersion": "v2",
            "storageUri": "s3://models/linear/v1.0.0",
        },
    }
    assert document["metadata"]["namespace"] == "ml"
    # What nbci did not do is said: nothing runs, and the files have to get there.
    assert placed.state == "written"
    assert "only its file was written" in placed.notes[0]
    assert "s3://models/linear/v1.0.0" in placed.notes[1]
    assert target.running() is None


def test_an_image_may_serve_it_and_without_kubectl_that_is_said(tmp_path: Path) -> None:
    around = replace(surroundings(tmp_path), environ={"PATH": str(tmp_path)})
    options = KServeOptions(image="example.com/linear:{version}", apply=True)
    placed = KServeTarget(options, around).put(make_bundle(tmp_path / "1", "v1.0.0"))
    document = yaml.safe_load((around.folder / FILE).read_text())
    (container,) = document["spec"]["predictor"]["containers"]
    assert container["image"] == "example.com/linear:v1.0.0"
    assert "kubectl is not here" in placed.notes[0]


def test_what_is_asked_of_the_cluster_names_the_namespace(tmp_path: Path) -> None:
    around = with_program(surroundings(tmp_path), tmp_path, "kubectl")
    target = KServeTarget(OPTIONS, around)
    target.put(make_bundle(tmp_path / "1", "v1.0.0"))
    calls = fake_programs.state_of(tmp_path / "programs")["calls"]
    assert [call[1] for call in calls] == ["get", "apply", "wait"]
    assert {call[-1] for call in calls} == {"--namespace=ml"}

    there = KServeTarget(replace(OPTIONS, canary="10%"), around).running()
    assert there is not None
    assert "settings" in there.outdated


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Linear"}, "metadata.name"),
        ({"min_replicas": 4, "max_replicas": 2}, "more than max_replicas"),
    ],
)
def test_what_kserve_refuses_is_refused_before(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    bundle = make_bundle(tmp_path / "1", "v1.0.0")
    with pytest.raises(UsageError, match=message):
        inference_service(replace(OPTIONS, **change), surroundings(tmp_path), bundle)


def test_two_implementations_of_a_predictor_are_none(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "1", "v1.0.0")
    document = inference_service(OPTIONS, surroundings(tmp_path), bundle)
    check_service(document)
    document["spec"]["predictor"]["containers"] = [{"name": "kserve-container"}]
    with pytest.raises(UsageError, match=r"spec\.predictor"):
        check_service(document)
