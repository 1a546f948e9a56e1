"""An image that serves a release, and a container that is made of it, by Docker or by Compose."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from nbci.deployment.build_context import (
    MODEL_LABEL,
    PORT,
    SETTINGS_LABEL,
    VERSION_LABEL,
    settings_of,
    write_context,
)
from nbci.deployment.docker import Docker
from nbci.deployment.target import TOKEN, NotReady, Placed, Running
from nbci.errors import InfrastructureError, UsageError
from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.deployment.build_context import Image
    from nbci.deployment.target import Bundle, Surroundings
    from nbci.pipeline.deploy_document import ImageOptions

COMPOSE_FILE = "compose.yaml"
_POLL_SECONDS = 0.2
_OVER = ("exited", "dead", "removing")


class ContainerTarget:
    """A container of Docker; where Docker does not answer, the build context alone."""

    def __init__(self, options: ImageOptions, around: Surroundings) -> None:
        self._options = options
        self._around = around
        self._docker = Docker(around.environ)

    def running(self) -> Running | None:
        """The container, and the version that its image was made of."""
        if not self._docker.answers():
            return None
        found = self._docker.container(self._around.label)
        if found is None:
            return None
        labels = found["Config"].get("Labels") or {}
        state = found["State"]
        outdated = ""
        if labels.get(SETTINGS_LABEL) != settings_of(self._options):
            outdated = "its settings are others now"
        elif _health(state) == "unhealthy":
            outdated = "it is not healthy"
        return Running(
            version=labels.get(VERSION_LABEL) if state.get("Running") else None,
            what=f"the container {self._around.label} {found.get('Id', '')[:12]}",
            address=self._address(),
            outdated=outdated,
        )

    def put(self, bundle: Bundle) -> Placed:
        """Build the image, push it where that is asked for, and start its container."""
        self._check_open()
        image = write_context(self._options, self._around, bundle)
        self._write_more(image)
        if not self._docker.answers():
            note = (
                f"docker does not answer here: only the build context was written: {image.folder}"
            )
            return Placed(state="written", notes=(note, *image.notes))
        self._refuse_foreign()
        there = self.running()
        if there is not None and there.version == bundle.version and not there.outdated:
            return Placed(state="running", address=there.address, notes=image.notes)
        # Whatever fails up to here leaves what runs as it is.
        self._docker.do(["build", "--tag", image.name], [str(image.folder)])
        if self._options.push:
            self._docker.do(["push"], [image.name])
        self._start(image)
        self._wait_until_healthy()
        return Placed(state="running", address=self._address(), notes=image.notes)

    def take_out(self) -> bool:
        """Remove the container; its image stays."""
        if not self._docker.answers() or self._docker.container(self._around.label) is None:
            return False
        self._refuse_foreign()
        self._docker.do(["rm", "--force"], [self._around.label])
        return True

    def _write_more(self, image: Image) -> None:
        """Write what stands beside the build context."""

    def _start(self, image: Image) -> None:
        # One port has one container: the old one goes first.
        self.take_out()
        options = self._options
        words = ["run", "--detach", "--name", self._around.label, "--restart", "unless-stopped"]
        words += ["--publish", f"{options.host}:{options.port}:{PORT}"]
        words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        # By its name: its value is on no command line, which other users can see.
        if not self._options.open:
            words += ["--env", TOKEN]
        try:
            self._docker.do(words, [image.name])
        except InfrastructureError as error:
            raise NotReady(error.message) from error

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + self._around.ready_seconds
        while True:
            found = self._docker.container(self._around.label)
            state: dict[str, Any] = {} if found is None else found["State"]
            health = _health(state)
            if health == "healthy":
                return
            if found is None or state.get("Status") in _OVER or health == "unhealthy":
                break
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        raise NotReady(f"the container is not healthy: {self._docker.logs(self._around.label)}")

    def _address(self) -> str:
        host = self._options.host
        # An address for all of the machine's own is asked at this one.
        if host in ("0.0.0.0", "::", "[::]"):  # noqa: S104 - compared, not listened at
            host = "127.0.0.1"
        return f"http://{host}:{self._options.port}"

    def _check_open(self) -> None:
        """UsageError where the server in the container would refuse to start."""
        if self._options.open or self._around.environ.get(TOKEN):
            return
        raise UsageError(
            f"the container of {self._around.name} would answer whoever asks",
            hint=f"set {TOKEN}, or write `open: true` to let everybody ask who reaches its port",
        )

    def _refuse_foreign(self) -> None:
        """InfrastructureError where a container of that name is not nbci's."""
        found = self._docker.container(self._around.label)
        if found is None:
            return
        labels = found["Config"].get("Labels") or {}
        if labels.get(MODEL_LABEL) != self._around.model:
            raise InfrastructureError(
                f"there is a container {self._around.label} that nbci did not make",
                hint="nothing was removed; give the deployment another name",
            )


class ComposeTarget(ContainerTarget):
    """A service of Docker Compose; its file stands beside the build context."""

    @property
    def _file(self) -> Path:
        return self._around.folder / COMPOSE_FILE

    def take_out(self) -> bool:
        """Have Compose end the service."""
        if not self._docker.answers() or self._docker.container(self._around.label) is None:
            return False
        self._refuse_foreign()
        # The file may be gone with a workspace that was cleaned; the container is not.
        if not self._file.exists():
            return super().take_out()
        self._docker.do([*self._compose(), "down"])
        return True

    def _write_more(self, image: Image) -> None:
        import yaml

        text = yaml.safe_dump(self._document(image), sort_keys=False)
        write_atomic(
            self._file, f"# Written by nbci deploy, which writes it anew each time.\n{text}"
        )

    def _document(self, image: Image) -> dict[str, Any]:
        options = self._options
        service: dict[str, Any] = {
            "image": image.name,
            "build": {"context": f"./{image.folder.name}"},
            "container_name": self._around.label,
            "restart": "unless-stopped",
            "ports": [f"{options.host}:{options.port}:{PORT}"],
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
        }
        # Without a value, Compose takes that of whoever calls it.
        if not options.open:
            service["environment"] = [TOKEN]
        return {"name": self._around.label, "services": {"server": service}}

    def _start(self, image: Image) -> None:
        try:
            self._docker.do([*self._compose(), "up", "--detach", "--no-build", "--remove-orphans"])
        except InfrastructureError as error:
            raise NotReady(error.message) from error

    def _compose(self) -> list[str]:
        return ["compose", "--file", str(self._file)]


def _health(state: dict[str, Any]) -> str:
    health = state.get("Health") or {}
    return str(health.get("Status", ""))
