"""A step runs again when what it was seen to use changes, and for nothing else.

It does not matter how the step used it.

One notebook has a step for each way; it runs once, everything changes, and the plan says why each
step runs again.
"""

from __future__ import annotations

import json
import os
import py_compile
import socket
import sqlite3
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import markupsafe._speedups as markupsafe_extension
import pytest
import yaml

from tests.support.console import Console
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

FOPEN = (
    "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.fopen.restype = ctypes.c_void_p\n"
    "file = libc.fopen(b'{}', b'r')"
)
OPENDIR = f"""
try:
    import nothing
except ImportError:
    pass
{FOPEN.format("a.dat")}
libc.opendir(b'.')
"""
WORKER = """
import multiprocessing
from pathlib import Path
with multiprocessing.get_context('{}').Pool(1) as pool:
    pool.map(Path.read_text, [Path('{}')])
"""
SERVER = (
    "import socket\ns = socket.create_server(('127.0.0.1', 0))\n"
    "socket.create_connection(s.getsockname())"
)


@dataclass(frozen=True)
class Way:
    """A way to use something: the step's code, and what the plan says once that has changed."""

    name: str
    code: str
    reason: str


WAYS = (
    Way(
        "glob", "import glob\nglob.glob('globbed/*.txt')", "the files in folder globbed are others"
    ),
    Way("listdir", "import os\nos.listdir('listed')", "the files in folder listed are others"),
    Way(
        "rglob",
        "from pathlib import Path\nlist(Path('deep').rglob('*'))",
        "the files in folder deep/below are others",
    ),
    Way("exists", "import os\nos.path.exists('flag')", "flag, which was not there, is there now"),
    Way(
        "opened",
        "try:\n    open('maybe.txt')\nexcept OSError:\n    pass",
        "maybe.txt, which was not there",
    ),
    Way(
        "getsize",
        "import os\nos.path.getsize('sized.txt')",
        "what the file system says of sized.txt has changed",
    ),
    Way(
        "getmtime",
        "from pathlib import Path\nPath('touched.txt').stat().st_mtime",
        "says of touched.txt has changed",
    ),
    Way(
        "access",
        "import os\nos.access('mode.sh', os.X_OK)",
        "what the file system says of mode.sh has changed",
    ),
    Way("readlink", "import os\nos.readlink('link')", "link link has changed"),
    Way(
        "optional",
        "try:\n    import optional\nexcept ImportError:\n    pass",
        "would find something else in .",
    ),
    Way(
        "first",
        "import sys\nsys.path.append('lib')\nimport shadowed",
        "would find something else in .",
    ),
    Way("namespace", "import spaces.inner", "would find something else in ."),
    Way(
        "bytecode",
        "import compiled, sys\ndel sys.modules['compiled']",
        "file compiled.pyc has changed",
    ),
    Way(
        "forgotten",
        "import forgotten, sys\ndel sys.modules['forgotten']",
        "file forgotten.py has changed",
    ),
    Way(
        "vendored",
        "import sys\nsys.path.append('vendor/site-packages')\nimport vendored",
        "module vendor/site-packages/vendored.py has changed",
    ),
    Way("extension", "import _speedups", "module _speedups.so has changed"),
    Way(
        "forgotten_extension",
        "import _speedups, sys\ndel sys.modules['_speedups']",
        "file _speedups.so has changed",
    ),
    Way("elsewhere", "open('../elsewhere.txt').read()", "elsewhere.txt has changed"),
    Way("linked", "open('../way/linked.txt').read()", "file linked.txt has changed"),
    Way("updated", "open('updated.txt', 'r+').read()", "file updated.txt has changed"),
    Way(
        "at",
        (
            "import os\nfolder = os.open('listed', os.O_RDONLY)\n"
            "os.open('a.txt', os.O_RDONLY, dir_fd=folder)"
        ),
        "file listed/a.txt has changed",
    ),
    Way("git", "open('.git/description').read()", "file .git/description has changed"),
    Way(
        "variable",
        "import os\nos.environ.get('FLAVOUR')",
        "the environment variable FLAVOUR has changed",
    ),
    Way("home", "import os\nos.path.expanduser('~')", "the environment variable HOME has changed"),
    Way("of_a_module", "import settings", "the environment variable SETTING has changed"),
    Way("umask", "import os\nos.umask(0o22)", "umask  has changed"),
    Way(
        "sqlite",
        "import sqlite3\nsqlite3.connect('file:k.db?mode=ro', uri=True)",
        "file k.db has changed",
    ),
    Way(
        "attached",
        (
            "import sqlite3\nsqlite3.connect(':memory:').execute(\"attach 'a.db' as "
            "a\").execute('select * from a.t')"
        ),
        "file a.db has changed",
    ),
    Way("fopen", FOPEN.format("native.txt"), "file native.txt has changed"),
    Way(
        "opendir",
        f"{FOPEN.format('below/a.dat')}\nlibc.opendir(b'below')",
        "the files in folder below are others",
    ),
    Way("opendir_on_the_path", OPENDIR, "the files in folder . are others"),
    Way("far_fopen", FOPEN.format("../native.txt"), "native.txt has changed"),
    Way("forked", WORKER.format("fork", "forked.txt"), "file forked.txt has changed"),
    Way("spawned", WORKER.format("spawn", "spawned.txt"), "file spawned.txt has changed"),
    Way("written", "open('written.txt', 'w').write('x')", "written.txt, which it wrote, is gone"),
    Way(
        "made_below",
        FOPEN.format("made.txt").replace("b'r'", "b'w'"),
        "made.txt, which it wrote, is gone",
    ),
)
UNTOUCHED = (
    Way("plain", "r = 1", ""),
    Way(
        "makes_folders",
        "import os\nos.makedirs('made/by/me', exist_ok=True)\nos.listdir('made')",
        "",
    ),
    Way("serves_itself", SERVER, ""),
    Way("of_the_machine", "import platform\nplatform.platform()", ""),
)


class Project:
    """A project that has run once."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.root.mkdir()
        subprocess.run(["git", "init", "-q", self.root], check=True)
        self.nbci = Console(self.root)
        self.env = {"NBCI_CACHE": str(folder / "cache"), "FLAVOUR": "sweet", "SETTING": "low"}
        self.lay_out("1")
        write_notebook(
            self.root / "n.ipynb", [(f"step:{way.name}", way.code) for way in (*WAYS, *UNTOUCHED)]
        )

    def lay_out(self, version: str) -> None:
        """Everything that the steps use, as it is in the first or the second version."""
        for name in (
            "sized",
            "touched",
            "mode",
            "linked",
            "updated",
            "native",
            "forked",
            "spawned",
            "globbed/a",
        ):
            self.write(f"{name}.txt" if name != "mode" else "mode.sh", version * int(version))
        for name in (
            "listed/a.txt",
            "deep/below/a.txt",
            ".git/description",
            "../elsewhere.txt",
            "../native.txt",
        ):
            self.write(name, version)
        for name in ("forgotten", "vendor/site-packages/vendored"):
            self.write(f"{name}.py", f"VERSION = {version}{' ' * int(version)}")
        for name in ("lib/shadowed.py", "spaces/inner.py", "below/a.dat", "a.dat"):
            self.write(name, "")
        extension = Path(markupsafe_extension.__file__).read_bytes()
        (self.root / "_speedups.so").write_bytes(extension + version.encode())
        self.write("settings.py", "import os\nos.environ['SETTING']")
        (self.root / "source.txt").write_text(f"VERSION = {version}", encoding="utf-8")
        py_compile.compile(str(self.root / "source.txt"), cfile=str(self.root / "compiled.pyc"))
        for name in ("k", "a"):
            self.make_database(f"{name}.db", version)
        for link, target in (("link", f"v{version}"), ("../way", str(self.root))):
            (self.root / link).unlink(missing_ok=True)
            (self.root / link).symlink_to(target)

    def change(self) -> None:
        self.lay_out("2")
        for name in (
            "below/b.dat",
            "b.dat",
            "globbed/b.txt",
            "listed/b.txt",
            "deep/below/b.txt",
            "flag",
            "maybe.txt",
        ):
            self.write(name, "new")
        for name in ("optional", "shadowed", "spaces/__init__"):
            self.write(f"{name}.py", "")
        (self.root / "mode.sh").chmod(0o755)
        for name in ("written.txt", "made.txt"):
            (self.root / name).unlink()
        self.env |= {"FLAVOUR": "sour", "SETTING": "high", "HOME": str(self.root.parent)}

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def make_database(self, name: str, version: str) -> None:
        (self.root / name).unlink(missing_ok=True)
        with sqlite3.connect(self.root / name) as database:
            database.execute("create table t(x)")
            database.execute("insert into t values (?)", (version,))
        database.close()

    def run(self, target: str = "n.ipynb") -> dict[str, Any]:
        done = self.nbci("run", target, "--json", "--jobs", "1", env=self.env)
        assert done.returncode == 0, done.stderr
        shown: dict[str, Any] = json.loads(done.stdout)
        return {step["name"]: step for step in shown["steps"]}

    def planned(self, target: str = "n.ipynb") -> dict[str, tuple[str, str]]:
        """What would be done with each step, and why."""
        done = self.nbci("plan", target, "--format", "json", env=self.env)
        assert done.returncode == 0, done.stderr
        return {
            step["name"]: (step.get("action", "run"), step.get("reason", ""))
            for step in json.loads(done.stdout)["steps"]
        }


SAID = "the step started {}, which may read what nbci does not see, so it runs every time"


OF_OTHER_PROGRAMS = [
    ("", "import subprocess\nsubprocess.run(['cat', 'd.txt'])", False),
    ("", "lines = !cat d.txt", False),
    ("in:d.txt", "import subprocess\nsubprocess.run(['cat', 'd.txt'])", True),
    # The first has the same code, and is not served by the result that is kept for this one.
    ("cache:enabled", "import subprocess\nsubprocess.run(['cat', 'd.txt'])", True),
]
"""A step's tags and code, and whether its result is kept."""


@dataclass(frozen=True)
class Judged:
    """What the run of a step warned of, and what the plans before and after a change do with it."""

    warnings: list[str]
    before: str
    after: str


@pytest.fixture(scope="module")
def of_other_programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judged]:
    """By step; the change is one of the file that all of them read."""
    project = Project(tmp_path_factory.mktemp("programs"))
    project.write("d.txt", "1")
    nodes = {}
    for number, (tags, code, _) in enumerate(OF_OTHER_PROGRAMS):
        nodes[f"n{number}"] = {"notebook": f"n{number}.ipynb"}
        write_notebook(project.root / f"n{number}.ipynb", [(f"step:a {tags}", code)])
    project.write("all.yaml", yaml.safe_dump({"steps": nodes}))
    steps = project.run("all.yaml")
    before = project.planned("all.yaml")
    project.write("d.txt", "2")
    after = project.planned("all.yaml")
    return {
        name: Judged(step.get("warnings", []), before[name][0], after[name][0])
        for name, step in steps.items()
    }


@pytest.mark.parametrize("number", range(len(OF_OTHER_PROGRAMS)))
def test_what_other_programs_read_must_be_said(
    of_other_programs: dict[str, Judged], number: int
) -> None:
    _, _, kept = OF_OTHER_PROGRAMS[number]
    judged = of_other_programs[f"n{number}/a"]
    assert any(SAID.format("cat") in warning for warning in judged.warnings) != kept
    assert (judged.before == "reuse") == kept
    assert judged.after == "run"


def test_the_same_code_beside_other_files_runs(tmp_path: Path) -> None:
    for name, content in (("one", "1"), ("two", "2")):
        (tmp_path / name).mkdir()
        project = Project(tmp_path / name)
        project.env["NBCI_CACHE"] = str(tmp_path / "cache")
        project.write("../beside.txt", content)
        write_notebook(project.root / "n.ipynb", [("step:a", "open('../beside.txt').read()")])
        assert project.run()["a"]["result"] == "passed"
        assert project.run()["a"]["result"] == "reused"


def test_a_tools_own_cache_beside_the_project_is_none_of_its_files(tmp_path: Path) -> None:
    for name, result in (("one", "passed"), ("two", "reused")):
        (tmp_path / name).mkdir()
        project = Project(tmp_path / name)
        project.env.update(
            NBCI_CACHE=str(tmp_path / "cache"), MPLCONFIGDIR=str(tmp_path / "settings")
        )
        # The first to draw makes the list of fonts, others read it.
        code = "import matplotlib.font_manager as fonts\nfound = len(fonts.fontManager.ttflist)"
        write_notebook(project.root / "n.ipynb", [("step:a", code)])
        assert project.run()["a"]["result"] == result


def test_a_folder_around_the_project_is_no_tools_cache(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.env["XDG_DATA_HOME"] = str(tmp_path.parent)
    project.write("../beside.txt", "1")
    write_notebook(project.root / "n.ipynb", [("step:a", "open('../beside.txt').read()")])
    project.run()
    project.write("../beside.txt", "2")
    assert project.planned()["a"][0] == "run"


PIPELINE = """
pipeline: p
steps:
  p: {notebook: n.ipynb, cwd: project, env: {PYTHONPATH: "none:first:lib"}}
"""


@pytest.fixture(scope="module")
def with_a_path(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose step has a path of its own, and would be reused."""
    project = Project(tmp_path_factory.mktemp("path"))
    write_notebook(project.root / "n.ipynb", [("step:a", "import found")])
    project.write("p.yaml", PIPELINE)
    project.write("lib/found.py", "")
    project.write("first/other.py", "")
    project.run("p.yaml")
    assert project.planned("p.yaml")["p/a"][0] == "reuse"
    return project


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ("first/found.py", "an import would find something else in first"),
        ("none/found.py", "an import would find something else in none"),
        ("lib/found.py", "module lib/found.py has changed"),
    ],
)
def test_modules_on_a_path_of_the_steps_own(
    with_a_path: Project, changed: str, reason: str
) -> None:
    project = with_a_path
    path = project.root / changed
    was = path.read_text("utf-8") if path.exists() else None
    project.write(changed, "VERSION = 2")
    action, said = project.planned("p.yaml")["p/a"]
    assert action == "run"
    assert reason in said
    # the next change is judged by itself
    path.unlink()
    if was is not None:
        project.write(changed, was)
    elif not any(path.parent.iterdir()):
        path.parent.rmdir()
    assert project.planned("p.yaml")["p/a"][0] == "reuse"


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, tuple[str, str]]]]:
    """The plan after a run, and after everything has changed."""
    project = Project(tmp_path_factory.mktemp("observed"))
    project.run()
    before = project.planned()
    time.sleep(0.1)
    project.change()
    umask = os.umask(0o027)
    try:
        yield [before, project.planned()]
    finally:
        os.umask(umask)


@pytest.mark.parametrize("way", [*WAYS, *UNTOUCHED], ids=lambda way: way.name)
def test_nothing_changed(plans: list[dict[str, tuple[str, str]]], way: Way) -> None:
    action, reason = plans[0][way.name]
    assert (action, way.name) == ("reuse", way.name), reason


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_change_is_seen(plans: list[dict[str, tuple[str, str]]], way: Way) -> None:
    action, reason = plans[1][way.name]
    assert action == "run"
    assert way.reason in reason


@pytest.mark.parametrize("way", UNTOUCHED, ids=lambda way: way.name)
def test_what_others_use_changes_nothing(plans: list[dict[str, tuple[str, str]]], way: Way) -> None:
    assert plans[1][way.name][0] == "reuse"


SERVE = "import socket\ns = socket.socket(socket.AF_UNIX)\ns.bind('{0}')\ns.listen()\n"
DATAGRAM = "__import__('socket').socket(type=2)"
CONNECT = "import socket\nc = socket.socket(socket.AF_UNIX)\nc.connect({})"


OF_A_SERVER_OR_A_RUN = [
    (CONNECT.format("'../server'"), "the step used the network"),
    (CONNECT.format(r"b'\0nbci-test-server'"), "the step used the network"),
    (SERVE.format("mine") + CONNECT.format("'mine'"), ""),
    (f"{DATAGRAM}.sendto(b'x', ('127.0.0.1', 9))", "the step used the network"),
    (f"{DATAGRAM}.sendmsg([b'x'], [], 0, ('127.0.0.1', 9))", "the step used the network"),
    (f"r = {DATAGRAM}\nr.bind(('127.0.0.1', 0))\n{DATAGRAM}.sendto(b'x', r.getsockname())", ""),
    ("import socket\na, b = socket.socketpair()\na.sendmsg([b'x'])", ""),
    ("import multiprocessing\nwith multiprocessing.Manager() as m:\n    m.list()", ""),
    (
        (
            "import logging.handlers as h\ntry:\n    h.SysLogHandler('/dev/log')\n"
            "except OSError:\n    pass"
        ),
        "",
    ),
    ("run = os.environ['NBCI_RUN']", "the step read NBCI_RUN, which is another in every run"),
    ("run = os.getenv('NBCI_RUN')", "the step read NBCI_RUN, which is another in every run"),
    (
        (
            "run = {k: v for k, v in os.environ.items()}\nrun = os.environ.copy()\n"
            "run = dict(os.environ)"
        ),
        "",
    ),
    ("name = os.environ['NBCI_STEP']", ""),
]
"""Steps, and what is said of them where their results are not kept."""


@pytest.fixture(scope="module")
def of_servers_and_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, Any]]:
    """By step: what the plan says after a run of all of them, and what the run has warned of."""
    project = Project(tmp_path_factory.mktemp("servers"))
    nodes = {}
    for number, (code, _) in enumerate(OF_A_SERVER_OR_A_RUN):
        nodes[f"n{number}"] = {"notebook": f"n{number}.ipynb"}
        write_notebook(project.root / f"n{number}.ipynb", [("step:a", f"import os\n{code}")])
    project.write("all.yaml", yaml.safe_dump({"steps": nodes}))
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as nameless:
        server.bind(str(project.root.parent / "server"))
        nameless.bind(b"\0nbci-test-server")
        server.listen()
        nameless.listen()
        steps = project.run("all.yaml")
    planned = project.planned("all.yaml")
    return {name: (planned[name][0], step.get("warnings", [])) for name, step in steps.items()}


@pytest.mark.parametrize(
    "number",
    range(len(OF_A_SERVER_OR_A_RUN)),
    ids=[code for code, _ in OF_A_SERVER_OR_A_RUN],
)
def test_a_result_of_a_server_or_of_its_run_is_not_kept(
    of_servers_and_runs: dict[str, tuple[str, Any]], number: int
) -> None:
    _, said = OF_A_SERVER_OR_A_RUN[number]
    action, warnings = of_servers_and_runs[f"n{number}/a"]
    assert [warning for warning in warnings if said and warning.startswith(said)] == (
        warnings if said else []
    )
    assert bool(warnings) == bool(said), warnings
    assert (action == "reuse") == (not said)


@pytest.mark.parametrize(
    ("code", "action"),
    [("import os\nname = os.environ['NBCI_STEP']", "run"), ("name = 1", "reuse")],
)
def test_a_result_that_has_its_steps_name_is_for_no_other(
    tmp_path: Path, code: str, action: str
) -> None:
    project = Project(tmp_path)
    write_notebook(project.root / "n.ipynb", [("step:a", code)])
    project.run()
    assert project.planned()["a"][0] == "reuse"
    write_notebook(project.root / "n.ipynb", [("step:b", code)])
    assert project.planned()["b"][0] == action
