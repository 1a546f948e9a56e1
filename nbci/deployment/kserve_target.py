"""An InferenceService of KServe: its file, and by kubectl where that is asked for.

https://kserve.github.io/website/latest/reference/api/
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from nbci.commands import checked_operand
from nbci.deployment.build_context import PORT
from nbci.deployment.programs import last_lines, run_program
from nbci.deployment.target import NotReady, Placed, Running
from nbci.errors import InfrastructureError, IntegrityError, UsageError
from nbci.schema import violations
from nbci.store.files import write_atomic

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    from nbci.deployment.target import Bundle, Surroundings
    from nbci.pipeline.deploy_document import KServeOptions

FILE = "inferenceservice.yaml"
_VERSION = "io.nbci.version"
_MODEL = "io.nbci.model"
_COMMIT = "io.nbci.commit"
_SECONDS = 120.0
_ALL = 100
_LAST_LINES = 5


class KServeTarget:
    """An InferenceService; without `apply`, its file alone, for whoever applies such files."""

    def __init__(self, options: KServeOptions, around: Surroundings) -> None:
        self._options = options
        self._around = around

    @property
    def _name(self) -> str:
        return self._options.name or self._around.label

    @property
    def _file(self) -> Path:
        return self._around.folder / FILE

    def running(self) -> Running | None:
        """What the cluster has; None where there is nothing, or where it is not asked."""
        if not self._options.apply or not self._has_kubectl():
            return None
        found = self._found()
        if found is None:
            return None
        annotations = found["metadata"].get("annotations") or {}
        status = found.get("status") or {}
        ready = [each for each in status.get("conditions") or [] if each.get("type") == "Ready"]
        outdated = ""
        if not ready or ready[0].get("status") != "True":
            outdated = "it is not ready"
        elif found["spec"] != _spec_of(self._options, found["spec"]):
            outdated = "its settings are others now"
        return Running(
            version=annotations.get(_VERSION),
            what=f"the InferenceService {self._name}",
            address=status.get("url"),
            outdated=outdated,
        )

    def put(self, bundle: Bundle) -> Placed:
        """Write the file, and apply it; NotReady where the cluster does not get it ready."""
        document = inference_service(self._options, self._around, bundle)
        _write(self._file, document)
        notes = []
        if self._options.storage is not None:
            uri = document["spec"]["predictor"]["model"]["storageUri"]
            notes.append(f"the files of the release have to be at {uri}: nbci models get")
        if not self._options.apply:
            notes.insert(0, f"only its file was written: {self._file}")
            return Placed(state="written", notes=tuple(notes))
        if not self._has_kubectl():
            notes.insert(0, f"kubectl is not here: only its file was written: {self._file}")
            return Placed(state="written", notes=tuple(notes))
        self._refuse_foreign()
        self._kubectl("apply", "--filename", str(self._file))
        seconds = int(self._around.ready_seconds)
        try:
            self._kubectl(
                "wait",
                "--for=condition=Ready",
                f"--timeout={seconds}s",
                f"inferenceservice/{self._name}",
                seconds=seconds + _SECONDS,
            )
        except InfrastructureError as error:
            raise NotReady(error.message) from error
        # The URL is of the cluster's own network, which this machine need not be in.
        return Placed(state="running", notes=tuple(notes))

    def take_out(self) -> bool:
        """Delete the InferenceService."""
        if not self._options.apply or not self._has_kubectl() or self._found() is None:
            return False
        self._refuse_foreign()
        self._kubectl("delete", "inferenceservice", self._name)
        return True

    def _found(self) -> dict[str, Any] | None:
        """The InferenceService as the cluster has it."""
        done = self._run(
            "get", "inferenceservice", self._name, "--ignore-not-found", "--output", "json"
        )
        if done.returncode != 0:
            raise InfrastructureError(f"kubectl get failed: {done.stderr.strip()}")
        if not done.stdout.strip():
            return None
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _refuse_foreign(self) -> None:
        """InfrastructureError where an InferenceService of that name is not nbci's."""
        found = self._found()
        if found is None:
            return
        annotations = found["metadata"].get("annotations") or {}
        if annotations.get(_MODEL) != self._around.model:
            raise InfrastructureError(
                f"there is an InferenceService {self._name} that nbci did not make",
                hint="nothing was changed; give the deployment another `name`",
            )

    def _has_kubectl(self) -> bool:
        return shutil.which("kubectl", path=self._around.environ.get("PATH")) is not None

    def _kubectl(self, *words: str, seconds: float = _SECONDS) -> str:
        done = self._run(*words, seconds=seconds)
        if done.returncode != 0:
            said = last_lines(done.stderr or done.stdout, _LAST_LINES)
            raise InfrastructureError(f"kubectl {words[0]} failed: {said}")
        return done.stdout

    def _run(self, *words: str, seconds: float = _SECONDS) -> subprocess.CompletedProcess[str]:
        command: Sequence[str] = ["kubectl", *words]
        if self._options.namespace is not None:
            command = [*command, f"--namespace={checked_operand(self._options.namespace)}"]
        return run_program(command, self._around.environ, seconds=seconds)


def inference_service(
    options: KServeOptions, around: Surroundings, bundle: Bundle
) -> dict[str, Any]:
    """The InferenceService of a release, held against what KServe takes."""
    model, version = bundle.model, bundle.version
    metadata: dict[str, Any] = {"name": options.name or around.label}
    if options.namespace is not None:
        metadata["namespace"] = options.namespace
    metadata["annotations"] = {_MODEL: model, _VERSION: version, _COMMIT: bundle.commit}

    predictor: dict[str, Any] = _extension(options)
    if options.storage is not None:
        # Not str.format, which would let a URI reach into what it is given.
        uri = options.storage.replace("{model}", model).replace("{version}", version)
        served: dict[str, Any] = {
            "modelFormat": {"name": "onnx"},
            "protocolVersion": "v2",
            "storageUri": uri,
        }
        if options.runtime is not None:
            served["runtime"] = options.runtime
        predictor["model"] = served
    else:
        image = str(options.image).replace("{version}", version.replace("+", "-"))
        # KServe sends requests to the first port of the container.
        predictor["containers"] = [
            {
                "name": "kserve-container",
                "image": image,
                "ports": [{"containerPort": PORT, "protocol": "TCP"}],
            }
        ]
    document = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata,
        "spec": {"predictor": predictor},
    }
    check_service(document)
    return document


def check_service(document: dict[str, Any]) -> None:
    """UsageError where KServe would refuse the InferenceService."""
    found = violations(document, "inferenceservice")
    if found:
        place = ".".join(map(str, found[0].path))
        raise UsageError(f"KServe takes no such InferenceService: {place}: {found[0]}")
    predictor = document["spec"]["predictor"]
    # The schema of the resource cannot compare the two; KServe's webhook does.
    most = predictor.get("maxReplicas", 0)
    if most and predictor.get("minReplicas", 1) > most:
        raise UsageError("min_replicas is more than max_replicas")


def _extension(options: KServeOptions) -> dict[str, Any]:
    values = {
        "minReplicas": options.min_replicas,
        "maxReplicas": options.max_replicas,
        "serviceAccountName": options.service_account,
        "canaryTrafficPercent": options.canary_percent,
    }
    # What is not said is the cluster's own default.
    return {key: value for key, value in values.items() if value is not None}


def _spec_of(options: KServeOptions, spec: dict[str, Any]) -> dict[str, Any]:
    """The spec as these options would have it, whatever the cluster has added to it."""
    predictor = {**spec.get("predictor", {}), **_extension(options)}
    # Left out of the file it means everything, and a rollout that is over.
    if options.canary_percent is None and predictor.get("canaryTrafficPercent", _ALL) != _ALL:
        del predictor["canaryTrafficPercent"]
    return {**spec, "predictor": predictor}


def _write(path: Path, document: dict[str, Any]) -> None:
    import yaml

    text = yaml.safe_dump(document, sort_keys=False)
    # What is read back has to be what was meant: versions may look like numbers.
    if yaml.safe_load(text) != document:
        raise IntegrityError(f"the file {path} would not say what it is to say")
    write_atomic(path, f"# Written by nbci deploy, which writes it anew each time.\n{text}")
