"""The whole circle on this machine: serve a model, watch it, train it again when the wines change, replace it.

Usage: python notebooks/cellar/loop.py [FOLDER]

Makes a project in the folder (a new one in /tmp by default) with a git origin and a DVC remote beside it, and plays three days: one
as always, one on which a new vintage comes, and the one after. What Jenkins' timer does once a day, it does as soon as a day's wines
are sent. A server answers all the time. Needs `pip install 'nbci[samples,serve]'`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SAMPLES = Path(__file__).resolve().parents[2]
FILES = ("notebooks/cellar", "pipelines/cellar.yaml", "pipelines/cellar_watch.yaml")
NEW_VINTAGE = 0.5  # its share, from the second day on
PATIENCE_SECONDS = 120.0
DVC_CONFIG = """\
[core]
    remote = storage
['remote "storage"']
    url = {remote}
"""
# `dvc add data/cellar.csv` and `dvc push`, in one process.
ADD_AND_PUSH = """\
from dvc.repo import Repo
repo = Repo()
repo.add("data/cellar.csv")
repo.push()
"""
NOBODY = {
    "GIT_AUTHOR_NAME": "Cellar",
    "GIT_AUTHOR_EMAIL": "cellar@example.com",
    "GIT_COMMITTER_NAME": "Cellar",
    "GIT_COMMITTER_EMAIL": "cellar@example.com",
    "DVC_NO_ANALYTICS": "1",
}


class Cellar:
    """The project, its server, and the story so far."""

    def __init__(self, folder: Path, day_seconds: float) -> None:
        self.project = folder / "project"
        self.day_seconds = day_seconds
        self.url = ""
        self._folder = folder
        self._began = time.monotonic()
        self._last_sent = 0.0

    def tell(self, text: str) -> None:
        """A line of the story, with its time."""
        print(f"{time.monotonic() - self._began:6.1f} s  {text}", flush=True)

    def call(self, *words: str | Path, allowed: Sequence[int] = (0,)) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; another exit code than those that are allowed ends the story."""
        done = subprocess.run(
            [str(word) for word in words],
            cwd=self.project,
            env={**os.environ, **NOBODY},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode not in allowed:
            sys.exit(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def nbci(self, *words: str | Path, allowed: Sequence[int] = (0,)) -> subprocess.CompletedProcess[str]:
        """Run a command of nbci."""
        return self.call(sys.executable, "-m", "nbci", *words, allowed=allowed)

    def set_up(self) -> None:
        """A project with an origin and a remote, and the first release."""
        for name in FILES:
            target = self.project / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (SAMPLES / name).is_dir():
                shutil.copytree(SAMPLES / name, target, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
            else:
                shutil.copy(SAMPLES / name, target)
        (self.project / ".gitignore").write_text("/build/\n/logs/\n/.nbci/\n", encoding="utf-8")
        origin = self._folder / "origin.git"
        self.call("git", "init", "-q", "--bare", "-b", "main", origin)
        self.call("git", "init", "-q", "-b", "main")
        self.call("git", "remote", "add", "origin", origin)
        runpy.run_path(str(self.project / "notebooks/cellar/make_table.py"))["make_table"](self.project / "data/cellar.csv")
        # What `dvc init` and `dvc remote add -d` write.
        (self.project / ".dvc").mkdir()
        (self.project / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n", encoding="utf-8")
        (self.project / ".dvc/config").write_text(DVC_CONFIG.format(remote=self._folder / "remote"), encoding="utf-8")
        (self._folder / "remote").mkdir()
        self.call(sys.executable, "-c", ADD_AND_PUSH)
        self.call("git", "add", ".")
        self.call("git", "commit", "-qm", "A cellar")
        self.call("git", "push", "-q", "-u", "origin", "main")
        self.tell("a project with 178 wines, a git origin and a DVC remote")
        self.nbci("run", "pipelines/cellar.yaml", "-q")
        promoted = self.nbci("promote", "latest")
        self.tell(f"trained; {promoted.stdout.splitlines()[0]}")

    @contextlib.contextmanager
    def server(self) -> Iterator[None]:
        """Serve what is in production, from now until the end."""
        words = ["serve", "cellar#production", "--port", "0", "--follow", "1s", "--log", "logs"]
        with (self._folder / "server.log").open("w", encoding="utf-8") as log:
            serving = subprocess.Popen(
                [sys.executable, "-m", "nbci", *words],
                cwd=self.project,
                env={**os.environ, **NOBODY},
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
            )
            try:
                assert serving.stdout is not None
                line = serving.stdout.readline().strip()
                if not line:
                    sys.exit(f"the server did not start: see {log.name}")
                self.url = line.rpartition(" ")[2]
                self.tell(line)
                yield
            finally:
                serving.terminate()
                serving.communicate()

    def served_version(self) -> str:
        """The version that answers now."""
        with urllib.request.urlopen(f"{self.url}/v2/models/cellar", timeout=30) as response:
            versions: list[str] = json.load(response)["versions"]
        return versions[-1]

    def day(self, number: int, wines: int, drift: float) -> dict[str, Any]:
        """Wines are sent, become known, and are looked at; returns what the monitor found."""
        # Of the day before, nothing is to be in the window, which counts back from the newest wine.
        time.sleep(max(0.0, self._last_sent + self.day_seconds - time.monotonic()))
        simulate = (sys.executable, "notebooks/cellar/simulate.py", "data/cellar.csv", "--url", self.url)
        options = ("--drift", str(drift), "--count", str(wines), "--seed", str(number))
        sent = self.call(*simulate, *options, "--labels", self.project / "build/truth.csv")
        self._last_sent = time.monotonic()
        self.tell(f"day {number}: {'; '.join(sent.stdout.splitlines())}")
        self.tell(f"day {number}: {self._add_labels()} labels added to the log of cellar")
        window = ("--log", "logs", "--window", f"{self.day_seconds}s", "--rules", "pipelines/cellar_watch.yaml")
        watched = self.nbci("monitor", "cellar#production", *window, "--out", "build/watch", "--json", allowed=(0, 3))
        found: dict[str, Any] = json.loads(watched.stdout)
        self.tell(f"day {number}: the monitor: {found['result']}: {found['sentence']}")
        return found

    def retrain(self) -> None:
        """What the monitor found is the reason: decide, run, judge, promote; then the server follows."""
        before = self.served_version()
        self.tell("a reason to train again:")
        done = self.nbci("retrain", "cellar", "--because", "build/watch/monitor.json", "--promote", allowed=(0, 3))
        for line in done.stdout.splitlines():
            if line.strip():
                print(f"          {line}")
        self.tell("the retraining is over")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (now := self.served_version()) == before:
            if time.monotonic() > deadline:
                sys.exit(f"the server still answers with {before}")
            time.sleep(0.1)
        self.tell(f"the server has switched from {before} to {now}")

    def _add_labels(self) -> int:
        """What the wines are becomes known; returns how many labels were added."""
        count = 0
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            done = self.nbci("labels", "add", "build/truth.csv", "--log", "logs", "--model", "cellar", "--json", allowed=(0, 2))
            if done.returncode == 0:
                added = json.loads(done.stdout)
                count += added["new"]
                # The server writes its log once a second: those that are not there yet are added again.
                if not added["unknown"]:
                    return count
        sys.exit(f"the log lacks wines that were sent: {done.stderr}")


def play(folder: Path, wines: int, day_seconds: float) -> None:
    """Three days."""
    cellar = Cellar(folder, day_seconds)
    cellar.project.mkdir(parents=True)
    cellar.set_up()
    with cellar.server():
        if cellar.day(1, wines // 2, 0.0)["result"] == "failed":
            sys.exit("a day like those before was refused")
        if cellar.day(2, wines * 2, NEW_VINTAGE)["result"] != "failed":
            sys.exit("the new vintage was not seen")
        cellar.retrain()
        if cellar.day(3, wines, NEW_VINTAGE)["result"] == "failed":
            sys.exit("the day after the retraining was refused")
    decisions = cellar.nbci("decisions", "cellar")
    cellar.tell("what was decided, and why:")
    print(decisions.stdout.rstrip())
    cellar.tell("closed")


def main() -> None:
    """Read the command line, and play."""
    parser = argparse.ArgumentParser(description="Serve, watch, retrain and replace a model on this machine.")
    parser.add_argument("folder", type=Path, nargs="?", help="a new one, for all of it (default: in /tmp, removed at the end)")
    parser.add_argument("--wines", type=int, default=400, help="how many are sent on the last day; half on the first, twice as many on the second (default: %(default)s)")
    parser.add_argument("--day", type=float, default=5.0, metavar="SECONDS", help="how long a day is here (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.folder is not None:
        play(arguments.folder.resolve(), arguments.wines, arguments.day)
        return
    with tempfile.TemporaryDirectory(prefix="cellar-") as folder:
        play(Path(folder).resolve(), arguments.wines, arguments.day)


if __name__ == "__main__":
    main()
