"""Git as a process: one way to call it, and its refusals as errors that say what to do."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
import time
from typing import IO, TYPE_CHECKING

from nbci.commands import git_command, without_lfs
from nbci.errors import InfrastructureError, UsageError

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

# USER:TOKEN@ of a remote's URL, which git repeats in its complaints
_CREDENTIALS = re.compile(r"://[^/@\s]+@")
# English, since complaints are known by their words; no prompt, since nobody may be there; no
# lock that only saves git time, since the user's own git may need it: https://git-scm.com/docs/git
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
_LOOK_AT_REMOTE = "try again, and look at `git remote --verbose` and at your right to read there"
_HINTS = {
    "has been silent": "try again, and look at `git remote --verbose` and at the way there",
    "dubious ownership": "let git trust the folder: "
    "git config --global --add safe.directory FOLDER",
    ".lock': File exists": "another git runs here, or was killed: "
    "when none runs, remove that .lock file",
    "Permission denied": "look at the rights of the files, or of the key that git uses",
    "Could not read from remote": _LOOK_AT_REMOTE,
    "unable to access": _LOOK_AT_REMOTE,
}
"""What to do, by a part of what git complains of."""


class GitFailed(InfrastructureError):
    """Git ended with an error; `complaint` is what it printed of it, without credentials."""

    def __init__(self, words: tuple[str, ...], complaint: str) -> None:
        self.complaint = _CREDENTIALS.sub("://", complaint.strip())
        hint = None
        for part, known in _HINTS.items():
            if part in self.complaint:
                hint = known
                break
        super().__init__(f"git {words[0]} failed: {self._first_lines()}", hint=hint)

    def _first_lines(self) -> str:
        """The first lines that say what is wrong, or the last line of all."""
        marks = ("fatal:", "error:", "remote:")
        lines = []
        for line in self.complaint.splitlines():
            if line.startswith(marks):
                lines.append(line.rstrip(". "))
        short = "; ".join(lines[:3])
        return short or self.complaint.rpartition("\n")[2] or "without a word"


def run_git(
    folder: Path,
    words: Sequence[str],
    operands: Sequence[str] = (),
    paths: Sequence[str] = (),
    *,
    stdin: bytes = b"",
    environ: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command that talks to no remote; return how it ended and what it printed.

    OSError when git cannot be started, TimeoutExpired when it takes too long.
    """
    return subprocess.run(
        git_command(folder, words, operands, paths),
        input=stdin,
        capture_output=True,
        check=False,
        env=_environment(environ),
        timeout=timeout_seconds,
    )


def _environment(environ: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, **_QUIET, **without_lfs(os.environ), **(environ or {})}


def paths_without(paths: Iterable[str]) -> list[str]:
    """The whole working tree but these paths, as git takes it after `--`."""
    # literal: a path may hold characters that git takes for a pattern
    return [":/", *(f":(exclude,literal){path}" for path in paths)]


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
        """What the command prints.

        GitFailed when it fails, UsageError for an operand that looks like an option.
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
        data = stdin or b""
        # a name of a file may be of any bytes
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        try:
            if words[0] in _TALKING:
                return self._talk(words, operands, _environment(environ))
            done = run_git(self.folder, words, operands, paths, stdin=data, environ=environ)
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
        """Run a command that talks to a remote; end it when that is silent for too long."""
        asked = list(words)
        # Git reports progress only when it is asked to, or to a terminal; `ls-remote` has none.
        if words[0] != "ls-remote":
            asked.insert(1, "--progress")
        command = git_command(self.folder, asked, operands)
        # imported here: only a remote needs it, and runs with nothing to do may ask git, too
        import tempfile

        # Files, not pipes: their sizes tell whether git is silent, and nobody has to empty them.
        with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as complained:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=printed, stderr=complained, env=environ
            )
            try:
                has_ended = _wait_while_talking(process, (printed, complained))
            finally:
                if process.poll() is None:
                    _end(process)
            printed.seek(0)
            complained.seek(0)
            complaint = _without_progress(complained.read().decode("utf-8", "replace"))
            if not has_ended:
                silence = f"the remote has been silent for {PATIENCE_SECONDS:g} s"
                complaint += f"\nfatal: {words[0]}: {silence}\n"
            if not has_ended or process.returncode:
                raise GitFailed(words, complaint)
            return printed.read()

    def get(self, *words: str, operands: Sequence[str] = ()) -> str | None:
        """What the command prints; None when it fails."""
        try:
            return self(*words, operands=operands)
        except GitFailed:
            return None

    def remote_tags(self, remote: str, patterns: Iterable[str]) -> dict[str, str]:
        """The remote's tags of those patterns, each with its object.

        The commit of an annotated tag is under its name and `^{}`.
        """
        listed = self("ls-remote", "--tags", operands=[remote, *patterns])
        tags = {}
        for line in listed.splitlines():
            digest, _, ref = line.partition("\t")
            tags[ref.removeprefix("refs/tags/")] = digest
        return tags

    @property
    def prefix(self) -> str:
        """The folder's path in its repository, with `/` at its end; empty for the root."""
        return self("rev-parse", "--show-prefix")

    @property
    def is_shallow(self) -> bool:
        """Whether the history was cut when it was cloned."""
        return self("rev-parse", "--is-shallow-repository") == "true"

    def has_remote(self, name: str) -> bool:
        """Whether a remote of that name is known."""
        return self.get("remote", "get-url", operands=[name]) is not None


def _wait_while_talking(process: subprocess.Popen[bytes], outputs: tuple[IO[bytes], ...]) -> bool:
    """Wait for the process to end; False when nothing came from it for too long."""
    last_word, size = time.monotonic(), 0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(_POLL_SECONDS, PATIENCE_SECONDS))
            return True
        now = sum(os.fstat(output.fileno()).st_size for output in outputs)
        if now != size:
            last_word, size = time.monotonic(), now
        elif time.monotonic() - last_word > PATIENCE_SECONDS:
            return False


def _without_progress(text: str) -> str:
    # git ends a line of progress with a carriage return, and writes the next one over it
    return "".join(itertools.filterfalse(_PROGRESS.match, _LINES.findall(text)))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End git and what it has started: ssh, or a helper of its own."""
    # imported here: only a remote that has gone silent needs it
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
        if "not a git repository" not in error.complaint:
            raise
        raise UsageError(
            "this is no git repository, and releases are git tags",
            hint="git init, and commit the project",
        ) from error
    return git
