"""A real Jenkins controller, and the compiled plugin on it: for the tests that need one."""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest
import requests

from tests.support.compiled_plugin import archive_to_test
from tests.support.plugin_jobs import FOLDER, element
from tests.support.tools import JENKINS, JENKINS_READER, MAY_RESTART

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

T = TypeVar("T")

_POLL_SECONDS: Final = 0.3
# What is there: nothing, or what the file of the plugin holds and whether that is what runs.
_PLUGIN_STATE: Final = """
def plugin = jenkins.model.Jenkins.get().pluginManager.getPlugin('nbci')
if (plugin == null) { println '{}'; return }
def file = plugin.archive
def digest = file.isFile() ? java.security.MessageDigest.getInstance('SHA-256')
    .digest(file.bytes).encodeHex().toString() : ''
def waits = jenkins.model.Jenkins.get().updateCenter.isRestartRequiredForCompletion()
println groovy.json.JsonOutput.toJson([
    digest: digest, active: plugin.active, deleted: plugin.deleted, waits: waits])
"""


class Controller:
    """The controller that NBCI_JENKINS_URL names, as one of its users."""

    def __init__(self, user: str, token: str) -> None:
        self.url: Final = JENKINS["NBCI_JENKINS_URL"].rstrip("/") + "/"
        self.user = user
        self.token = token
        self._session = requests.Session()
        self._session.auth = (user, token)
        # the machine's own settings, such as a proxy or a netrc, are another matter
        self._session.trust_env = False

    @property
    def headers(self) -> dict[str, str]:
        """What a browser has to send to be this user."""
        pair = base64.b64encode(f"{self.user}:{self.token}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Ask; redirects are answers, too."""
        return self._session.request(
            method, self.url + path, timeout=60, allow_redirects=False, **options
        )

    def post(self, path: str, **options: Any) -> requests.Response:
        """Change something."""
        answer = self.request("POST", path, **options)
        assert answer.status_code < 400, f"{path}: {answer.status_code}: {answer.text[:2000]}"
        return answer

    def text(self, path: str) -> str:
        """What a page says."""
        answer = self.request("GET", path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}: {answer.text[:2000]}"
        answer.encoding = "utf-8"
        return answer.text

    def document(self, path: str) -> Any:
        """What a page of the REST interface says."""
        return json.loads(self.text(path))

    def groovy(self, script: str) -> str:
        """What a script prints that runs on the controller."""
        answer = self.post("scriptText", data={"script": script})
        answer.encoding = "utf-8"
        return answer.text.strip()

    def create(self, name: str, xml: str) -> str:
        """Make a job or a folder; its path below the controller's address."""
        parent, _, leaf = name.rpartition("/")
        self.post(
            f"{job_path(parent)}createItem?name={leaf}",
            data=xml.encode(),
            headers={"Content-Type": "application/xml"},
        )
        return job_path(name)

    def start(self, job: str, parameters: Mapping[str, str] | None = None) -> Build:
        """Start a build; wait until it has a number."""
        answer = (
            self.post(f"{job}build?delay=0")
            if parameters is None
            else self.post(f"{job}buildWithParameters?delay=0", data=dict(parameters))
        )
        item = answer.headers["Location"].rstrip("/").rpartition("/")[2]

        def number() -> int | None:
            waiting = self.document(f"queue/item/{item}/api/json")
            found = waiting.get("executable")
            return int(found["number"]) if found else None

        return Build(self, job, wait_for("an agent for the build", number))

    def build(self, job: str, parameters: Mapping[str, str] | None = None) -> Build:
        """Start a build, and wait until it has ended."""
        return self.start(job, parameters).wait()

    def restart(self) -> None:
        """Restart the controller; wait until it and its agents are there again."""
        before = self._session_of_process()
        agents = self._agents_online()
        self.post("restart")
        wait_for("a restart", lambda: self._session_of_process() not in {before, None}, 240)
        wait_for("the agents", lambda: agents <= self._agents_online(), 120)

    def _session_of_process(self) -> str | None:
        try:
            answer = self.request("GET", "api/json?tree=mode")
        except requests.RequestException:
            return None
        return answer.headers.get("X-Jenkins-Session") if answer.status_code == 200 else None

    def _agents_online(self) -> set[str]:
        nodes = self.document("computer/api/json?tree=computer[displayName,offline]")["computer"]
        return {node["displayName"] for node in nodes if not node["offline"]}


@dataclass(frozen=True)
class Build:
    """A build of a job."""

    controller: Controller
    job: str
    number: int

    @property
    def path(self) -> str:
        """Its address below the controller's, ending in `/`."""
        return f"{self.job}{self.number}/"

    @property
    def result(self) -> str | None:
        found: str | None = self.document("result")["result"]
        return found

    @property
    def log(self) -> str:
        return self.text("consoleText")

    def text(self, path: str) -> str:
        """What a page of the build says."""
        return self.controller.text(self.path + path)

    def document(self, tree: str) -> Any:
        """What Jenkins knows of the build."""
        return self.controller.document(f"{self.path}api/json?tree={tree}")

    def wait(self, seconds: float = 180) -> Build:
        """Wait until it has ended."""
        wait_for(f"build {self.path}", lambda: not self.document("building")["building"], seconds)
        return self

    def wait_for_line(self, line: str) -> Build:
        """Wait until its log has a text."""
        wait_for(f"{line!r} in the log of {self.path}", lambda: line in self.log)
        return self


def wait_for(what: str, ask: Callable[[], T | None], seconds: float = 120) -> T:
    """Ask until the answer counts as true, and return it."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(_POLL_SECONDS)


def job_path(name: str) -> str:
    """The address of a job below the controller's; its name's characters are plain ones here."""
    return "".join(f"job/{part}/" for part in name.split("/") if part)


@pytest.fixture(scope="session")
def controller(_guards: None) -> Iterator[Controller]:
    """The controller, as a user who may do everything."""
    found = Controller(JENKINS["NBCI_JENKINS_USER"], JENKINS["NBCI_JENKINS_TOKEN"])
    yield found
    found.close()


@pytest.fixture(scope="session")
def reading_user(_guards: None) -> Iterator[Controller]:
    """The controller, as a user who may read jobs, and do nothing else."""
    found = Controller(
        JENKINS_READER["NBCI_JENKINS_READER"], JENKINS_READER["NBCI_JENKINS_READER_TOKEN"]
    )
    yield found
    found.close()


@pytest.fixture(scope="session")
def plugin(controller: Controller) -> Iterator[Path]:
    """The archive of this very plugin, which runs on the controller now."""
    archive, digest = archive_to_test()
    before = _plugin_state(controller)
    if not _is_running(before, digest):
        _bring(controller, archive, is_there=bool(before))
    yield archive
    if not before:
        remove_plugin(controller)


def upload_plugin(controller: Controller, archive: Path) -> None:
    """Hand an archive over as the page of plugins does."""
    with archive.open("rb") as file:
        # in this order: Jenkins takes the first part for the file
        parts = [("name", (archive.name, file)), ("pluginUrl", (None, ""))]
        controller.post("pluginManager/uploadPlugin", files=parts)


def remove_plugin(controller: Controller) -> None:
    """Take the plugin away; without a restart it runs on until the next one."""
    controller.post("pluginManager/plugin/nbci/doUninstall")
    if MAY_RESTART:
        controller.restart()


def _bring(controller: Controller, archive: Path, *, is_there: bool) -> None:
    _, digest = archive_to_test()
    if is_there and not MAY_RESTART:
        pytest.fail(
            "the controller runs another build of the plugin, and takes this one by a restart "
            "only: set NBCI_JENKINS_RESTART=1 where the tests may restart it",
            pytrace=False,
        )
    upload_plugin(controller, archive)
    wait_for("the upload", lambda: _plugin_state(controller).get("digest") == digest)
    if is_there:
        controller.restart()
    wait_for("the plugin", lambda: _is_running(_plugin_state(controller), digest))


def _is_running(state: dict[str, Any], digest: str) -> bool:
    fresh = not state.get("waits") and not state.get("deleted")
    return fresh and bool(state.get("active")) and state.get("digest") == digest


def _plugin_state(controller: Controller) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(controller.groovy(_PLUGIN_STATE))
    return found


@pytest.fixture(scope="module")
def folder(controller: Controller, plugin: Path) -> Iterator[str]:
    """The name of a folder for the tests' jobs, removed with all that is in it."""
    name = f"nbci-test-{secrets.token_hex(4)}"
    controller.create(name, element(FOLDER))
    yield name
    controller.post(f"{job_path(name)}doDelete")
