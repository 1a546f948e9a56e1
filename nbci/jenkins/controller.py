"""A client of a Jenkins controller, over python-jenkins, whose errors say what to do."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from nbci.errors import InfrastructureError, UsageError
from nbci.jenkins.failures import (
    MissingError,
    StaleCrumbError,
    python_jenkins,
    refuse_other_origin,
    translate_errors,
)
from nbci.silence import without_logs
from nbci.store.files import disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import requests

    from nbci.jenkins.access import Access

T = TypeVar("T")

_REQUEST_SECONDS = 30
_QUEUE_ITEM = re.compile(r"/queue/item/(\d+)/?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A piece of a build's log, the offset of the next, and whether more may be written."""

    data: bytes
    next_offset: int
    more: bool


class Controller:
    """Answers are Jenkins' own JSON; each method names in its errors what it was about."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._mask = access.mask
        self._server = _server(access)
        # set by the first 404: a build is polled every second or two, and a plugin does not appear
        self._no_tree = False

    @property
    def url(self) -> str:
        """The controller's address, ending in `/`."""
        return self.access.url

    def version(self) -> str:
        """Jenkins' version; UsageError when the address is another's, or redirects."""
        # without a crumb, which would be a request of its own that fails first
        response = self._call("the controller", lambda: self._request("GET", "", crumb=False))
        refuse_other_origin(response)
        version = response.headers.get("X-Jenkins")
        if not version:
            raise UsageError(
                f"what answers at {self.url} is no Jenkins",
                hint="is a path missing, as in /jenkins/?",
            )
        return str(version)

    def whoami(self) -> str | None:
        """The user's name; None for an anonymous user."""
        try:
            return str(self._call("the user", self._server.get_whoami).get("id") or "") or None
        except InfrastructureError as error:
            # Jenkins answers with a failure of its own when nobody is logged in
            if "(500)" in error.message:
                return None
            raise

    def job(self, name: str) -> dict[str, Any]:
        """What Jenkins knows of a job or folder; MissingError when there is none."""
        return self._document(f"job {name}", lambda: self._server.get_job_info(name))

    def job_or_none(self, name: str) -> dict[str, Any] | None:
        """What Jenkins knows of a job or folder; None when there is none."""
        try:
            return self.job(name)
        except MissingError:
            return None

    def config(self, name: str) -> str:
        """The XML of a job or folder."""
        return str(self._call(f"job {name}", lambda: self._server.get_job_config(name)))

    def create(self, name: str, xml: str) -> None:
        """Create a job or folder."""
        self._call(f"job {name}", lambda: self._server.create_job(name, xml))

    def reconfigure(self, name: str, xml: str) -> None:
        """Replace the XML of a job or folder."""
        self._call(f"job {name}", lambda: self._server.reconfig_job(name, xml))

    def delete(self, name: str) -> None:
        """Remove a job or folder, with all that is in it."""
        self._call(f"job {name}", lambda: self._server.delete_job(name))

    def trigger(self, name: str, parameters: Mapping[str, str] | None) -> int:
        """Put a build of a job into the queue; return the number of the item.

        `parameters` is None for a job that declares none. They go as a form: a web server takes
        100 kB there, and not in an address.
        """
        about = f"job {name}"
        # Jenkins answers 400 to `build` once a job has parameters
        path = f"{job_path(name)}buildWithParameters"
        if parameters is None:
            path = f"{job_path(name)}build"
        form = dict(parameters or {})
        response = self._call(about, lambda: self._request("POST", path, data=form))

        # 201 for a new item; when the same already waits, 303 to that one, which then has led on to
        # its page
        for answer in (*response.history, response):
            found = _QUEUE_ITEM.search(answer.headers.get("Location", ""))
            if found is not None:
                return int(found[1])
        raise InfrastructureError(f"{about}: Jenkins does not say where in the queue the build is")

    def queue_item(self, number: int) -> dict[str, Any]:
        """An item of the queue; MissingError some minutes after it has left it."""
        return self._document(f"queue item {number}", lambda: self._server.get_queue_item(number))

    def queue(self) -> list[dict[str, Any]]:
        """The items that wait in the queue."""
        return list(self._call("the queue", self._server.get_queue_info))

    def waiting_stages(self) -> list[tuple[str, str]]:
        """What waits for an agent: why, and the address of the build below the controller's."""
        # only these fields: whole, an item names each of its actions and causes
        tree = "queue/api/json?tree=items[why,task[url]]"
        items = self._call("the queue", lambda: self._request("GET", tree).json()).get("items", [])
        stages = []
        for item in items:
            url = _url_of(item.get("task"))
            if item.get("why") and url:
                stages.append((item["why"], url))
        return stages

    def running_stages(self) -> list[str]:
        """The addresses of the builds that have an executor of an agent."""
        tree = "computer/api/json?tree=computer[executors[currentExecutable[url]]]"
        document = self._call("the agents", lambda: self._request("GET", tree).json())
        urls = []
        for node in document.get("computer", []):
            for executor in node.get("executors") or ():
                urls.append(_url_of(executor.get("currentExecutable")))
        # an executor that is free has no address
        return list(filter(None, urls))

    def cancel(self, number: int) -> None:
        """Remove an item from the queue."""
        self._call(f"queue item {number}", lambda: self._server.cancel_queue(number))

    def build(self, name: str, number: int) -> dict[str, Any]:
        """What Jenkins knows of a build."""
        return self._document(
            f"build {number} of {name}", lambda: self._server.get_build_info(name, number)
        )

    def build_of_item(self, name: str, item: int) -> int | None:
        """The number of the build that was this item of the queue."""
        tree = f"{job_path(name)}api/json?tree=builds[number,queueId]"
        document = self._call(f"job {name}", lambda: self._request("GET", tree).json())
        for build in document.get("builds", []):
            if build.get("queueId") == item:
                return int(build["number"])
        return None

    def stop(self, name: str, number: int) -> None:
        """Interrupt a build."""
        self._call(f"build {number} of {name}", lambda: self._server.stop_build(name, number))

    def log(self, name: str, number: int, offset: int) -> Log:
        """The build's log from an offset in bytes on."""
        path = f"{job_path(name)}{number}/logText/progressiveText?start={offset}"
        response = self._call(f"the log of build {number}", lambda: self._request("GET", path))
        # the offset is for Jenkins to say; where a proxy drops the header, the length has to do
        next_offset = offset + len(response.content)
        size = response.headers.get("X-Text-Size", "")
        if size.isdigit():
            next_offset = int(size)
        return Log(
            data=response.content,
            next_offset=next_offset,
            more=response.headers.get("X-More-Data") == "true",
        )

    def stages(self, name: str, number: int) -> dict[str, Any] | None:
        """The build's stages; None where the plugin pipeline-rest-api is missing.

        While branches run side by side it takes all but one of them for successful: see `tree`.
        """
        about = f"the stages of build {number}"
        # not by python-jenkins, which answers None without the plugin, as for what is no JSON
        path = f"{job_path(name)}{number}/wfapi/describe"
        try:
            return self._document(about, lambda: self._request("GET", path).json())
        except MissingError:
            return None

    def tree(self, name: str, number: int) -> dict[str, Any] | None:
        """The stages as a tree, without errors; None where pipeline-graph-view is missing."""
        if self._no_tree:
            return None
        about = f"the stages of build {number}"
        path = f"{job_path(name)}{number}/pipeline-overview/tree"
        try:
            return self._document(about, lambda: self._request("GET", path).json())
        except MissingError:
            self._no_tree = True
            return None

    def fetch(self, name: str, number: int, artifact: str, target: Path) -> int:
        """Write an artifact to a file, which is replaced as a whole; return its size in bytes."""
        path = f"{job_path(name)}{number}/artifact/{quote(artifact)}"
        about = f"the artifact {artifact}"
        response = self._call(about, lambda: self._request("GET", path, stream=True))
        with translate_errors(about, self._mask), response:
            return _write(response, target)

    def nodes(self) -> list[dict[str, Any]]:
        """The agents and the controller's own node."""
        document = self._document(
            "the agents", lambda: self._request("GET", "computer/api/json").json()
        )
        return list(document["computer"])

    def plugins(self) -> dict[str, str]:
        """The versions of the plugins that are active, by their names."""
        found = self._call("the plugins", self._server.get_plugins_info)
        return {each["shortName"]: each.get("version", "") for each in found if each.get("active")}

    def validate(self, jenkinsfile: str) -> list[str]:
        """The objections of the controller's linter to a Jenkinsfile."""
        errors = self._call(
            "the linter", lambda: self._server.check_jenkinsfile_syntax(jenkinsfile)
        )
        lines = []
        for error in errors:
            lines += _error_lines(error)
        return lines

    def header(self, path: str, name: str) -> str | None:
        """A header of the answer for a path."""
        response = self._call(path, lambda: self._request("GET", path, stream=True))
        response.close()
        return response.headers.get(name)

    def _request(
        self,
        method: str,
        path: str,
        *,
        crumb: bool = True,
        stream: bool | None = None,
        data: object = None,
    ) -> requests.Response:
        import requests

        url = self.url + path
        request = requests.Request(method, url, data=data)  # type: ignore[arg-type]  # a form is a dict
        response: requests.Response = self._server.jenkins_request(
            request, add_crumb=crumb, stream=stream
        )
        return response

    def _document(self, about: str, ask: Callable[[], Any]) -> dict[str, Any]:
        document = self._call(about, ask)
        if not isinstance(document, dict):
            raise InfrastructureError(f"{about}: the controller answered what is not understood")
        return document

    def _call(self, about: str, ask: Callable[[], T]) -> T:
        """Ask, and once more with a new crumb when the session of the old one is over.

        It is after a restart; python-jenkins keeps its crumb for ever.
        """
        try:
            with translate_errors(about, self._mask):
                return ask()
        except StaleCrumbError:
            self._server.crumb = None
        with translate_errors(about, self._mask):
            return ask()


def job_path(name: str) -> str:
    """The address of a job below the controller's: `a/b` is at `job/a/job/b/`."""
    return "".join(f"job/{quote(part, safe='')}/" for part in name.split("/"))


def _server(access: Access) -> Any:
    library = python_jenkins()
    # python-jenkins logs what JENKINS_API_EXTRA_HEADERS holds, which may be a secret
    with without_logs():
        return library.Jenkins(access.url, access.user, access.token, timeout=_REQUEST_SECONDS)


def _url_of(found: Mapping[str, Any] | None) -> str:
    return str((found or {}).get("url") or "")


def _error_lines(error: object) -> list[str]:
    """The lines of an error of the linter: a text, or a mapping with a text or a list of texts."""
    if isinstance(error, dict):
        error = error.get("error", error)
    if isinstance(error, list):
        return list(map(str, error))
    return [str(error)]


def _write(response: requests.Response, target: Path) -> int:
    # not by write_atomic, which takes the whole content: artifacts may be larger than the memory
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.")
    try:
        size = 0
        with os.fdopen(handle, "wb") as file:
            for piece in response.iter_content(1 << 16):
                # only the write: errors of the network come from the iteration
                with disk_errors(target):
                    size += file.write(piece)
        with disk_errors(target):
            os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    return size
