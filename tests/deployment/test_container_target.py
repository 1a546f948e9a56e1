"""Images and containers, by Docker and by Compose, with a stand-in for `docker`."""

from __future__ import annotations

import importlib.metadata
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from msgspec.structs import replace

from nbci.deployment.container_target import ComposeTarget, ContainerTarget
from nbci.deployment.target import NotReady
from nbci.errors import InfrastructureError, UsageError
from nbci.pipeline.deploy_document import ImageOptions
from tests.deployment import fake_programs
from tests.deployment.bundles import make_bundle
from tests.deployment.target_contract import TOKEN, TargetContract, surroundings, version_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nbci.deployment.target import Surroundings, Target

OPTIONS = ImageOptions(base="python:3.12-slim@sha256:" + "0" * 64, image="example.com/linear")


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return with_program(surroundings(tmp_path), tmp_path, "docker")


class TestContainer(TargetContract):
    @pytest.fixture
    def around(self, tmp_path: Path) -> Surroundings:
        return with_program(surroundings(tmp_path), tmp_path, "docker")

    @pytest.fixture
    def open_target(self, around: Surroundings) -> Callable[[], Target]:
        return lambda: ContainerTarget(OPTIONS, around)


class TestCompose(TargetContract):
    @pytest.fixture
    def around(self, tmp_path: Path) -> Surroundings:
        return with_program(surroundings(tmp_path), tmp_path, "docker")

    @pytest.fixture
    def open_target(self, around: Surroundings) -> Callable[[], Target]:
        return lambda: ComposeTarget(OPTIONS, around)


def test_the_context_has_all_that_docker_needs(around: Surroundings, tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/nbci-0-py3-none-any.whl").write_bytes(b"a wheel")
    options = replace(OPTIONS, wheel="dist/nbci-0-py3-none-any.whl", push=True, workers=2)
    target = ComposeTarget(options, around)
    placed = target.put(make_bundle(tmp_path / "1", "v1.0.0+a"))

    context = around.folder / "context"
    text = (context / "Dockerfile").read_text()
    assert text.splitlines()[1] == f"FROM {OPTIONS.base}"
    for part in ("USER 10001:10001", "HEALTHCHECK", "/v2/health/ready", '"--workers", "2"'):
        assert part in text
    locked = dict(line.split("==") for line in (context / "requirements.txt").read_text().split())
    assert locked["onnxruntime"] == importlib.metadata.version("onnxruntime")
    # A wheel is installed as the file that it is, and no index is asked for it.
    assert "nbci" not in locked
    assert (context / "wheels/nbci-0-py3-none-any.whl").read_bytes() == b"a wheel"
    names = {path.name for path in (context / "release").iterdir()}
    assert names == {"linear.onnx", "sample.npz", "nbci-release.json"}
    service = yaml.safe_load((around.folder / "compose.yaml").read_text())["services"]["server"]
    assert service["image"] == "example.com/linear:v1.0.0-a"
    assert service["ports"] == ["127.0.0.1:8080:8080"]
    assert service["environment"] == ["NBCI_SERVE_TOKEN"]
    assert placed.notes == ()
    called = [call[1] for call in calls(around)]
    assert called.index("build") < called.index("push") < called.index("compose")


def test_no_value_of_a_secret_is_on_a_command_line(around: Surroundings, tmp_path: Path) -> None:
    ContainerTarget(OPTIONS, around).put(make_bundle(tmp_path / "1", "v1.0.0"))
    words = [word for call in calls(around) for word in call]
    assert "NBCI_SERVE_TOKEN" in words
    assert not [word for word in words if TOKEN in word]


def test_without_docker_the_context_is_written_and_said(
    around: Surroundings, tmp_path: Path
) -> None:
    bare = replace(around, environ={**around.environ, "PATH": str(tmp_path)})
    bundle = make_bundle(tmp_path / "1", "v1.0.0")
    placed = ContainerTarget(ImageOptions(), bare).put(bundle)
    assert placed.state == "written"
    assert "only the build context was written" in placed.notes[0]
    # What is not pinned is named.
    assert [note.split()[0] for note in placed.notes[1:]] == ["the", "nbci"]
    assert (around.folder / "context/Dockerfile").exists()

    fake_programs.say(programs(around), "docker version", "Cannot connect to the Docker daemon")
    assert ContainerTarget(ImageOptions(), around).put(bundle).state == "written"


@pytest.mark.parametrize("step", ["build", "push"])
def test_what_runs_stays_where_an_image_cannot_be_made(
    around: Surroundings, tmp_path: Path, step: str
) -> None:
    target = ContainerTarget(replace(OPTIONS, push=True), around)
    target.put(make_bundle(tmp_path / "1", "v1.0.0"))
    fake_programs.say(programs(around), f"docker {step}", "no space left on device")
    with pytest.raises(InfrastructureError, match=f"docker {step} failed: no space left"):
        target.put(make_bundle(tmp_path / "2", "v1.1.0"))
    assert version_of(target) == "v1.0.0"


def test_a_container_that_does_not_start_is_not_ready(around: Surroundings, tmp_path: Path) -> None:
    fake_programs.say(programs(around), "docker run", "port is already allocated")
    with pytest.raises(NotReady, match="already allocated"):
        ContainerTarget(OPTIONS, around).put(make_bundle(tmp_path / "1", "v1.0.0"))


def test_other_settings_are_seen_and_a_foreign_container_is_left_alone(
    around: Surroundings, tmp_path: Path
) -> None:
    bundle = make_bundle(tmp_path / "1", "v1.0.0")
    ContainerTarget(OPTIONS, around).put(bundle)
    there = ContainerTarget(replace(OPTIONS, port=9000), around).running()
    assert there is not None
    assert "settings" in there.outdated

    # Somebody has made a container of that name meanwhile.
    state = fake_programs.state_of(programs(around))
    state["containers"][around.label]["Config"]["Labels"] = None
    (programs(around) / "state.json").write_text(json.dumps(state))
    target = ContainerTarget(OPTIONS, around)
    with pytest.raises(InfrastructureError, match="did not make"):
        target.put(bundle)
    with pytest.raises(InfrastructureError, match="did not make"):
        target.take_out()


def test_a_server_for_everybody_is_asked_for_by_name(around: Surroundings, tmp_path: Path) -> None:
    bare = replace(around, environ={"PATH": around.environ["PATH"]})
    with pytest.raises(UsageError, match="would answer whoever asks"):
        ContainerTarget(OPTIONS, bare).put(make_bundle(tmp_path / "1", "v1.0.0"))
    options = replace(OPTIONS, open=True, wheel="gone.whl")
    with pytest.raises(UsageError, match="no wheel"):
        ContainerTarget(options, bare).put(make_bundle(tmp_path / "2", "v1.0.0"))


def with_program(around: Surroundings, folder: Path, *names: str) -> Surroundings:
    programs = fake_programs.install(folder / "programs", *names)
    path = f"{programs}:{around.environ['PATH']}"
    return replace(around, environ={**around.environ, "PATH": path})


def programs(around: Surroundings) -> Path:
    return around.project / "programs"


def calls(around: Surroundings) -> list[list[Any]]:
    found: list[list[Any]] = fake_programs.state_of(programs(around))["calls"]
    return found
