"""A Jenkins controller on this machine that answers as a real one did (tests/jenkins/recorded), and
holds state.

What a build does is said by its parameter NBCI_PARAMS, as in the job that was recorded: nothing,
`fail`, `unstable`, `sleep` (until it is stopped), `nolabel` (waits for an agent until it is
stopped), `infrastructure`.
"""

from __future__ import annotations

import base64
import copy
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from tests.support.console import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_RECORDED_HOST: Final = "http://jenkins.example:8080/"
_SLICES: Final = 5
_OUTCOMES: Final = {
    "": "success",
    "fail": "failure",
    "unstable": "unstable",
    "sleep": "aborted",
    "nolabel": "aborted",
}
_NO_LABEL: Final = "There are no nodes with the label ‘no-such-label’"  # noqa: RUF001 - Jenkins' own quotes
_SCRIPTED: Final = (
    b'{"status":"ok","data":{"result":"failure","errors":[{"error":["Jenkinsfile '
    b"content did not contain the "
    b"'pipeline' step\"]}]}}"
)
_FOLDER_CLASS: Final = "com.cloudbees.hudson.plugins.folder.Folder"
MULTIBRANCH_CLASS: Final = "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject"


_NOTED: Final = re.compile(rb"^\[Pipeline\]|^ERROR|(?<=user )|no-such-label", re.MULTILINE)


def _address(job: str) -> str:
    """Below the controller's, in Jenkins' way, which leaves `&`, `'` and the like as they are."""
    return "".join(f"job/{quote(part, safe='&,;=@+$!()~')}/" for part in job.split("/"))


def _noted(log: bytes) -> bytes:
    """A log as `progressiveText` has it: with notes for the page that shows it, and two kinds of
    line ends.
    """
    note = b"\x1b[8mha:////4" + base64.b64encode(b"a link, or the name of a step" * 5) + b"\x1b[0m"
    return _NOTED.sub(lambda found: note + found[0], log).replace(
        b"[Pipeline] {\n", b"[Pipeline] {\r\n"
    )


@dataclass
class Answer:
    """What goes over the wire."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class FakeBuild:
    number: int
    item: int
    mode: str
    told: int = 0  # slices of the log that were asked for
    stopped: bool = False
    beside: bool = False  # whether another stage runs while one waits

    @property
    def outcome(self) -> str:
        return _OUTCOMES.get(self.mode, "failure")

    @property
    def over(self) -> bool:
        endless = self.mode in {"sleep", "nolabel"} and not self.stopped
        return not endless and self.told >= _SLICES

    @property
    def waits(self) -> bool:
        return self.mode == "nolabel" and not self.stopped

    @property
    def runs(self) -> bool:
        return not self.over and (self.beside or not self.waits)


@dataclass
class FakeJob:
    xml: str
    kind: str = "org.jenkinsci.plugins.workflow.job.WorkflowJob"
    builds: list[FakeBuild] = field(default_factory=list)
    parameterised: bool = True
    disabled: bool = False


@dataclass
class Seen:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class FakeJenkins:
    """State, and faults to be set by a test: `answers` comes before everything else."""

    def __init__(self) -> None:
        recorded = json.loads((ROOT / "tests/jenkins/recorded/answers-2.568.2.json").read_bytes())
        self._recorded: dict[str, Any] = recorded
        self.jobs: dict[str, FakeJob] = {}
        self.items: dict[int, dict[str, Any]] = {}
        self.users: dict[str, str] = {}
        self.artifacts: dict[str, bytes] = {}
        self.seen: list[Seen] = []
        self.answers: Callable[[Seen], Answer | None] = lambda _: None
        self.on_log: Callable[[FakeBuild], None] = lambda _: None
        self.linter = Answer(200, {}, _SCRIPTED)
        self.stays_in_queue: str | None = None
        self.graph_view = True
        self.rest_api = True
        self.trouble = (
            "nbci ended with exit code 127: infrastructure: there is no nbci on this agent"
        )
        self.crumb = "crumb-1"
        self.getting_ready = 0
        self._lock = threading.RLock()
        self._server = self._listen(0)
        self.port = self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def add_job(self, name: str, **options: Any) -> FakeJob:
        parts = name.split("/")
        for depth in range(1, len(parts)):
            self.jobs.setdefault(
                "/".join(parts[:depth]), FakeJob(xml="<folder/>", kind=_FOLDER_CLASS)
            )
        self.jobs[name] = FakeJob(xml=self._recorded["config"]["body"], **options)
        return self.jobs[name]

    def recorded(self, which: str, /, **changes: Any) -> Answer:
        """A recorded answer, with the address of this server and fields of its JSON changed."""
        found = copy.deepcopy(self._recorded[which])
        body = found["body"].replace(_RECORDED_HOST, self.url)
        if changes:
            body = json.dumps({**json.loads(body), **changes})
        headers = {
            key: value.replace(_RECORDED_HOST, self.url) for key, value in found["headers"].items()
        }
        return Answer(status=found["status"], headers=headers, body=body.encode())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def restart(self, getting_ready: int = 2) -> Callable[[], None]:
        """Refuse connections from now on; what is returned starts it again, at first without jobs
        to show.
        """
        old = self._server
        old.socket.close()
        threading.Thread(target=old.shutdown, daemon=True).start()

        def begin() -> None:
            self.getting_ready = getting_ready
            self.crumb = f"{self.crumb}-again"
            self._server = self._listen(self.port)

        return begin

    def _listen(self, port: int) -> ThreadingHTTPServer:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.serve(self)

            do_POST = do_GET  # noqa: N815 - http.server's name

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        seen = Seen(handler.command, handler.path, dict(handler.headers), body)
        with self._lock:
            self.seen.append(seen)
            answer = self.answers(seen) or self._refusal(seen) or self._answer(seen)
        handler.send_response_only(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)

    def _refusal(self, seen: Seen) -> Answer | None:
        if self.getting_ready:
            self.getting_ready -= 1
            return Answer(
                503,
                {"Content-Type": "text/html"},
                b"Please wait while Jenkins is getting ready to work ...",
            )
        if self.users:
            scheme, _, given = seen.headers.get("Authorization", "").partition(" ")
            user, _, token = base64.b64decode(given).decode().partition(":")
            if scheme != "Basic":
                return self.recorded("anonymous refused")
            if self.users.get(user) != token:
                return self.recorded("bad token")
        if seen.method == "POST" and seen.headers.get("Jenkins-Crumb") != self.crumb:
            return self.recorded("no crumb")
        return None

    def _answer(self, seen: Seen) -> Answer:
        parts = urlsplit(seen.path)
        path = parts.path.strip("/")
        query = {
            key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()
        }
        match = re.fullmatch(r"((?:job/[^/]+/?)*)(.*)", path)
        assert match is not None
        name = "/".join(unquote(word) for word in match[1].strip("/").split("/")[1::2])
        rest = match[2]
        if rest == "createItem":
            return self._create(f"{name}/{query['name']}".strip("/"), seen.body.decode())
        if name:
            return (
                self._about_job(name, rest, query, seen)
                if name in self.jobs
                else self.recorded("missing")
            )
        return self._about_controller(rest, query)

    def _about_controller(self, rest: str, query: dict[str, str]) -> Answer:
        item = re.fullmatch(r"queue/item/(\d+)/api/json", rest)
        if item is not None:
            return self._item(int(item[1]))
        match rest:
            case "":
                return self.recorded("root")
            case page if re.fullmatch(r"queue/item/\d+", page):
                return self.recorded("root")
            case "crumbIssuer/api/json":
                return self.recorded("crumb", crumb=self.crumb)
            case "me/api/json":
                return self.recorded("user" if self.users else "nobody")
            case "computer/api/json":
                return self._executors() if "tree" in query else self.recorded("nodes")
            case "pluginManager/api/json":
                return self.recorded("plugins")
            case "pipeline-model-converter/validateJenkinsfile":
                return self.linter
            case "queue/api/json":
                return self._waiting_stages() if "tree" in query else self._queue()
            case "queue/cancelItem":
                self.items[int(query["id"])]["cancelled"] = True
                return Answer(204)
            case _:
                return self.recorded("missing")

    def _queue(self) -> Answer:
        waits = any(build.waits for _, build in self._builds())
        return self.recorded("queue") if waits else self.recorded("queue", items=[])

    def _waiting_stages(self) -> Answer:
        """What waits for an agent, with the addresses that `ExecutorStepExecution.PlaceholderTask`
        gives: relative.
        """
        recorded = self.recorded("queue").document["items"][0]
        waiting = [
            f"{_address(name)}{build.number}/" for name, build in self._builds() if build.waits
        ]
        tasks = [{"_class": recorded["task"]["_class"], "url": url} for url in waiting]
        items = [
            {"_class": recorded["_class"], "task": task, "why": recorded["why"]} for task in tasks
        ]
        return Answer(
            200, {}, json.dumps({"_class": "hudson.model.Queue", "items": items}).encode()
        )

    def _executors(self) -> Answer:
        """What runs on agents, with whole addresses."""
        running = [
            f"{self.url}{_address(name)}{build.number}/"
            for name, build in self._builds()
            if build.runs
        ]
        executors: list[dict[str, Any]] = [{"currentExecutable": {"url": url}} for url in running]
        nodes = [{"executors": [*executors, {"currentExecutable": None}, {}]}, {"executors": []}]
        return Answer(
            200, {}, json.dumps({"_class": "hudson.model.ComputerSet", "computer": nodes}).encode()
        )

    def _builds(self) -> list[tuple[str, FakeBuild]]:
        return [(name, build) for name, job in self.jobs.items() for build in job.builds]

    def _about_job(self, name: str, rest: str, query: dict[str, str], seen: Seen) -> Answer:
        job = self.jobs[name]
        about_build = re.fullmatch(r"(\d+)(?:/(.*))?", rest)
        if about_build is not None:
            number = int(about_build[1])
            build = next((each for each in job.builds if each.number == number), None)
            return (
                self._build(build, about_build[2] or "", query)
                if build
                else self.recorded("missing")
            )
        match rest:
            case "api/json":
                return self._job(name, job, query)
            case "config.xml" if seen.method == "GET":
                return Answer(200, {"Content-Type": "application/xml"}, job.xml.encode())
            case "config.xml":
                job.xml = seen.body.decode()
                return self.recorded("reconfigured")
            case "build" | "buildWithParameters":
                return self._trigger(name, job, rest, query, seen)
            case "doDelete":
                for each in [
                    each for each in self.jobs if each == name or each.startswith(f"{name}/")
                ]:
                    del self.jobs[each]
                return Answer(302, {"Location": self.url})
            case _:
                return self.recorded("missing")

    def _create(self, name: str, xml: str) -> Answer:
        kind = re.search(r"<([\w.-]+)", xml.partition("?>")[2] or xml)
        assert kind is not None
        self.jobs[name] = FakeJob(
            xml=xml, kind=kind[1], parameterised="ParameterDefinition>" in xml
        )
        return self.recorded("created")

    def _job(self, name: str, job: FakeJob, query: dict[str, str]) -> Answer:
        short = name.rpartition("/")[2]
        if query.get("tree") == "name":
            return Answer(200, {}, json.dumps({"_class": job.kind, "name": short}).encode())
        builds = [{"number": each.number, "queueId": each.item} for each in reversed(job.builds)]
        if job.kind in {_FOLDER_CLASS, MULTIBRANCH_CLASS}:
            children = [each for each in self.jobs if each.rpartition("/")[0] == name]
            found = {
                "_class": job.kind,
                "name": short,
                "jobs": [{"name": c.rpartition("/")[2]} for c in children],
            }
            return Answer(200, {}, json.dumps(found).encode())
        waits = [item for item in self.items.values() if item["job"] == name and not item["left"]]
        item = (
            {"id": waits[0]["id"], "why": self.stays_in_queue}
            if waits and not waits[0]["cancelled"]
            else None
        )
        changes: dict[str, Any] = {
            "name": short,
            "builds": builds,
            "queueItem": item,
            "disabled": job.disabled,
        }
        return self.recorded("job", **changes, **({} if job.parameterised else {"property": []}))

    def _trigger(
        self, name: str, job: FakeJob, rest: str, query: dict[str, str], seen: Seen
    ) -> Answer:
        if job.disabled:
            return self.recorded("disabled")
        if job.parameterised != (rest == "buildWithParameters"):
            return Answer(
                400,
                {"Content-Type": "text/html"},
                b"<th>MESSAGE:</th><td>Nothing is submitted</td>",
            )
        form = {key: values[0] for key, values in parse_qs(seen.body.decode()).items()}
        number = 38 + len(self.items)
        mode = {**query, **form}.get("NBCI_PARAMS", "")
        for same in self.items.values():
            if (
                (same["job"], same["mode"]) == (name, mode)
                and same["asked"] < 2
                and not same["cancelled"]
            ):
                return Answer(303, {"Location": f"{self.url}queue/item/{same['id']}/"})
        self.items[number] = {
            "id": number,
            "job": name,
            "mode": mode,
            "asked": 0,
            "left": False,
            "cancelled": False,
        }
        return Answer(201, {"Location": f"{self.url}queue/item/{number}/"})

    def _item(self, number: int) -> Answer:
        item = self.items.get(number)
        if item is None:
            return self.recorded("missing")
        item["asked"] += 1
        if item["cancelled"]:
            return self.recorded("item left", id=number, cancelled=True, executable=None)
        if self.stays_in_queue is not None:
            return self.recorded("item waiting", id=number, why=self.stays_in_queue)
        if item["asked"] == 1:
            return self.recorded("item waiting", id=number)
        job = self.jobs[item["job"]]
        if not item["left"]:
            item["left"] = True
            job.builds.append(FakeBuild(number=len(job.builds) + 1, item=number, mode=item["mode"]))
        mine = next(build for build in job.builds if build.item == number)
        where = {"_class": "org.jenkinsci.plugins.workflow.job.WorkflowRun", "number": mine.number}
        return self.recorded("item left", id=number, executable=where)

    def _build(self, build: FakeBuild, rest: str, query: dict[str, str]) -> Answer:
        match rest.strip("/"):
            case "":
                return self.recorded("root")
            case "api/json" if not build.over:
                return self.recorded("running build", number=build.number, queueId=build.item)
            case "api/json":
                listed = [{"relativePath": path} for path in self.artifacts]
                name = f"{build.outcome} build"
                return self.recorded(
                    name,
                    number=build.number,
                    queueId=build.item,
                    **({"artifacts": listed} if listed else {}),
                )
            case "logText/progressiveText":
                return self._log(build, int(query["start"]))
            case "wfapi/describe" if self.rest_api:
                return self._stages_so_far(build)
            case "pipeline-overview/tree" if self.graph_view:
                return self._tree_so_far(build)
            case "stop":
                build.stopped, build.told = True, _SLICES
                return self.recorded("stopped")
            case artifact if (
                artifact.startswith("artifact/") and unquote(artifact[9:]) in self.artifacts
            ):
                return Answer(200, {}, self.artifacts[unquote(artifact[9:])])
            case "artifact/report/report.json" if build.outcome in {"success", "unstable"}:
                return self.recorded("artifact")
            case "artifact/report/junit.xml" if build.outcome in {"success", "unstable"}:
                return Answer(
                    200,
                    self.recorded("artifact").headers | {"Content-Type": "application/xml"},
                    b"<testsuite/>",
                )
            case _:
                return self.recorded("missing page")

    def _log(self, build: FakeBuild, start: int) -> Answer:
        """A fifth of the log more each time that it is asked for."""
        if build.mode not in {"sleep", "nolabel"} or build.stopped or build.told < 3:
            build.told = min(build.told + 1, _SLICES)
        whole = _noted(self.log_of(build))
        end = len(whole) if build.over else len(whole) * build.told // _SLICES
        more = not build.over
        self.on_log(build)
        return Answer(
            200,
            {"Content-Type": "text/plain;charset=utf-8", "X-Text-Size": str(end)}
            | ({"X-More-Data": "true"} if more else {}),
            whole[start:end],
        )

    def log_of(self, build: FakeBuild) -> bytes:
        """The recorded log, with a line in front that is cut in the middle of a character."""
        text = self.recorded(f"{build.outcome} log").body.decode()
        if build.mode == "nolabel":
            text = re.sub(r"^Running on .*\n", "", text, flags=re.MULTILINE)
        said = {
            "nolabel": f"Still waiting to schedule task\n{_NO_LABEL}\n",
            "infrastructure": f"ERROR: {self.trouble}\n",
        }
        return (said.get(build.mode, "") + "grün " * 40 + "\n" + text).encode()

    def _stages_so_far(self, build: FakeBuild) -> Answer:
        whole = self.recorded(f"{build.outcome} stages")
        if build.over:
            return whole
        document = whole.document
        shown = document["stages"][: max(build.told - 1, 0)]
        for stage in shown[-1:]:
            stage.update(status="IN_PROGRESS")
            stage.pop("error", None)
        return Answer(
            200,
            whole.headers,
            json.dumps({**document, "status": "IN_PROGRESS", "stages": shown}).encode(),
        )

    def _tree_so_far(self, build: FakeBuild) -> Answer:
        """The stages as pipeline-graph-view has them: in a branch, for the sake of having one."""
        states = {
            "SUCCESS": "success",
            "FAILED": "failure",
            "ABORTED": "aborted",
            "UNSTABLE": "unstable",
        }
        document = self._stages_so_far(build).document
        nodes = [
            {
                "name": stage["name"],
                "type": "STAGE",
                "state": states.get(stage["status"], "running"),
                "totalDurationMillis": stage["durationMillis"],
                "children": [],
            }
            for stage in document["stages"]
        ]
        branch = {
            "name": "b",
            "type": "PARALLEL",
            "state": "running",
            "totalDurationMillis": 1,
            "children": nodes[1:],
        }
        block = {**branch, "name": "Parallel", "type": "PARALLEL_BLOCK", "children": [branch]}
        tree = {
            "status": "ok",
            "data": {"complete": build.over, "stages": nodes[:1] + ([block] if nodes[1:] else [])},
        }
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(tree).encode())


@pytest.fixture
def jenkins() -> Iterator[FakeJenkins]:
    """A controller with the job team/train."""
    fake = FakeJenkins()
    fake.add_job("team/train")
    try:
        yield fake
    finally:
        fake.close()


@pytest.fixture
def at(jenkins: FakeJenkins) -> dict[str, str]:
    """The environment of a command that talks to the fake."""
    return {"NBCI_JENKINS_URL": jenkins.url}
