"""Git as a process: one way to call it, and its refusals as errors that say what to do."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
import time
from typing import IO, TYPE_CHECKING

from nbci.commands import git_command, without_lfs
from nbci.errors import InfrastructureError, UsageError

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_CREDENTIALS = re.compile(r"://[^/@\s]+@")
_QUIET = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
REMOTE = "origin"
"""The remote that nbci fetches from and pushes to."""
PATIENCE_SECONDS = 60.0
"""How long a remote may be silent."""
_TALKING = ("fetch", "push", "ls-remote")
_LINES = re.compile(r"[^\r\n]+[\r\n]*")
_PROGRESS = re.compile(
    r"(remote: )?([A-Z][a-z]+( [a-z]+)+: +\d+(%|, done)|Total \d+ \(delta|Delta compression using)"
)
_POLL_SECONDS = 0.5
_GRACE_SECONDS = 3
_HINTS = {
    "has been silent": "try again, and look at `git remote --verbose` and at the way there",
    "dubious ownership": "let git trust the folder: git config --global --add safe.directory FOLDER",
    ".lock': File exists": "another git runs here, or was killed: when none runs, remove that .lock file",
    "Permission denied": "look at the rights of the files, or of the key that git uses",
    "Could not read from remote": "try again, and look at `git remote --verbose` and at your right to read there",
    "unable to access": "try again, and look at `git remote --verbose` and at your right to read there",
}


class GitFailed(InfrastructureError):
    """Git ended with an error; `said` is what it said."""

    def __init__(self, words: tuple[str, ...], said: str) -> None:
        said = _CREDENTIALS.sub("://", said.strip())
        hint = next((hint for part, hint in _HINTS.items() if part in said), None)
        lines = [
            line for line in said.splitlines() if line.startswith(("fatal:", "error:", "remote:"))
        ]
        told = "; ".join(line.rstrip(". ") for line in lines[:3]) or said.rpartition("\n")[2]
        super().__init__(f"git {words[0]} failed: {told or 'without a word'}", hint=hint)
        self.said = said


class Git:
    """The repository that a folder belongs to.

    `words` of a command are nbci's own. What comes from anywhere else, such as a URL, a revision or
    a name of a file, is among the `operands` or `paths`, which git cannot take for options.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self,
        *words: str,
        operands: Sequence[str] = (),
        paths: Sequence[str] = (),
        stdin: bytes | str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """What the command prints; GitFailed when it fails, UsageError for an operand that looks
        like an option.
        """
        printed = self.bytes(*words, operands=operands, paths=paths, stdin=stdin, environ=environ)
        return printed.decode("utf-8", "surrogateescape").rstrip("\n")

    def bytes(
        self,
        *words: str,
        operands: Sequence[str] = (),
        paths: Sequence[str] = (),
        stdin: bytes | str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> bytes:
        """What the command prints, as it is."""
        data = stdin.encode("utf-8", "surrogateescape") if isinstance(stdin, str) else stdin
        settings = {**os.environ, **_QUIET, **without_lfs(os.environ), **(environ or {})}
        try:
            if words[0] in _TALKING:
                return self._talk(words, operands, settings)
            done = subprocess.run(
                git_command(self.folder, words, operands, paths),
                input=data or b"",
                capture_output=True,
                check=False,
                env=settings,
            )
        except FileNotFoundError:
            raise UsageError(
                "git is not installed", hint="releases are git tags: install git"
            ) from None
        if done.returncode:
            raise GitFailed(words, done.stderr.decode("utf-8", "replace"))
        return done.stdout

    def _talk(
        self, words: tuple[str, ...], operands: Sequence[str], environ: Mapping[str, str]
    ) -> builtins.bytes:
        """A command that talks to a remote: ended when that is silent for too long.

        Progress is no silence.
        """
        asked = [words[0], *(["--progress"] if words[0] != "ls-remote" else []), *words[1:]]
        with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as said:
            command = git_command(self.folder, asked, operands)
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=told, stderr=said, env=environ
            )
            try:
                spoke = _listened(process, (told, said))
            finally:
                if process.poll() is None:
                    _end(process)
            told.seek(0)
            said.seek(0)
            text = "".join(
                line
                for line in _LINES.findall(said.read().decode("utf-8", "replace"))
                if not _PROGRESS.match(line)
            )
            if not spoke:
                text += (
                    f"\nfatal: {words[0]}: the remote has been silent for {PATIENCE_SECONDS:g} s\n"
                )
            if not spoke or process.returncode:
                raise GitFailed(words, text)
            return told.read()

    def get(self, *words: str, operands: Sequence[str] = ()) -> str | None:
        """What the command prints; None when it fails."""
        try:
            return self(*words, operands=operands)
        except GitFailed:
            return None

    def remote_tags(self, remote: str, patterns: Iterable[str]) -> dict[str, str]:
        """The remote's tags of those patterns, each with its object; the commit of one is under its
        name and `^{}`.
        """
        listed = self("ls-remote", "--tags", operands=[remote, *patterns])
        pairs = (line.split("\t", 1) for line in listed.splitlines())
        return {ref.removeprefix("refs/tags/"): found for found, ref in pairs}

    @property
    def prefix(self) -> str:
        """The folder's path in its repository, with `/` at its end, or empty for the repository's
        root.
        """
        return self("rev-parse", "--show-prefix")

    @property
    def is_shallow(self) -> bool:
        """Whether the history was cut when it was cloned."""
        return self("rev-parse", "--is-shallow-repository") == "true"

    def has_remote(self, name: str) -> bool:
        """Whether a remote of that name is known."""
        return self.get("remote", "get-url", operands=[name]) is not None


def _listened(process: subprocess.Popen[bytes], outputs: tuple[IO[bytes], ...]) -> bool:
    """Wait for the process; False when nothing came from it for too long."""
    heard, size = time.monotonic(), 0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(_POLL_SECONDS, PATIENCE_SECONDS))
            return True
        now = sum(os.fstat(output.fileno()).st_size for output in outputs)
        if now != size:
            heard, size = time.monotonic(), now
        elif time.monotonic() - heard > PATIENCE_SECONDS:
            return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End git and what it has started: ssh, or a helper of its own."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        whole = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for one in whole:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.terminate()
        for one in psutil.wait_procs(whole, timeout=_GRACE_SECONDS)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
    process.wait()


def open_git(folder: Path) -> Git:
    """The repository of a folder; UsageError when there is none."""
    git = Git(folder)
    try:
        git("rev-parse", "--git-dir")
    except GitFailed as error:
        if "not a git repository" not in error.said:
            raise
        raise UsageError(
            "this is no git repository, and releases are git tags",
            hint="git init, and commit the project",
        ) from error
    return git
