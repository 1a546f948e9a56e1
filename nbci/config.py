"""The project: where its root is, and what `[tool.nbci]` in its `pyproject.toml` says."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.audit_draw import parse_share
from nbci.dot_nbci import DISPLACED_FOLDER, LOCKS_FOLDER, RUNS_FOLDER, STATE_FOLDER
from nbci.errors import Location, UsageError, spelling_hint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STORE_REMOTE = "NBCI_STORE_REMOTE"
SWEEP_STORAGE = "NBCI_SWEEP_STORAGE"
_KEYS = {
    "secrets": list,
    "names": list,
    "jobs": int,
    "output_cap_bytes": int,
    "keep": int,
    "store": dict,
    "jenkins": dict,
    "signers": str,
    "audit": str,
    "sweep_storage": str,
}
_PASSWORD_IN_URL = re.compile(r"://[^/@]*:[^/@]+@|[?&]password=", re.IGNORECASE)


class JenkinsSettings(Struct, frozen=True, kw_only=True):
    """`[tool.nbci] jenkins`: the controller's address, and what stands on it for this project.

    `job` is a path through folders; `repository` and `library` are URLs of git, the latter with
    `@VERSION` if need be. `pull_requests` names what holds them: `github`, or nothing where the job
    builds branches only.
    """

    url: str | None = None
    job: str | None = None
    repository: str | None = None
    library: str | None = None
    pull_requests: str | None = None


class Project(Struct, frozen=True, kw_only=True):
    """A project folder.

    `secrets` name environment variables to mask in every step, `names` variables that its kernels
    bring along. `jobs` is the default of `-j`; `keep` is the number of runs that `nbci clean`
    leaves. `remote`: the DVC remote, by name or URL, that the file names to share results through.
    `prefix` is set in builds of forks: what they keep and share goes under it. `signers` is the
    file, relative to the root, that says whose signatures of runs count. `audit` is the share, from
    0 to 1, of the steps to be reused that run again all the same. `sweep_storage` is the URL of the
    database in which studies of sweeps are shared.
    """

    root: Path
    secrets: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    jobs: int | None = None
    output_cap_bytes: int = 1 << 20
    keep: int = 20
    remote: str | None = None
    jenkins: JenkinsSettings = JenkinsSettings()
    prefix: str | None = None
    signers: str | None = None
    audit: float | None = None
    sweep_storage: str | None = None

    def shared_sweeps(self, environ: Mapping[str, str]) -> str | None:
        """The database through which sweeps are shared here: the environment's, else the file's.

        Only the environment's may have a password.
        """
        return environ.get(SWEEP_STORAGE) or self.sweep_storage

    def shared_remote(self, environ: Mapping[str, str]) -> str | None:
        """The remote through which results are shared here: the environment's, else `remote`.

        A controller of CI names one for all of its jobs that way, without a commit to each project.
        """
        # empty variables count as none: CI sets such for what a build may not see
        return environ.get(STORE_REMOTE) or self.remote

    @property
    def signers_file(self) -> Path | None:
        """Who may sign runs that are promoted; None where they need no signature."""
        if self.signers is None:
            return None
        return self.root / self.signers

    @property
    def runs_folder(self) -> Path:
        """Where the records of runs are."""
        return self.root / RUNS_FOLDER

    @property
    def locks_folder(self) -> Path:
        """Where the lock files are by which runs of this project wait for each other."""
        return self.root / LOCKS_FOLDER

    @property
    def state_folder(self) -> Path:
        """What nbci remembers of this checkout to be quick; nothing is lost when it is removed."""
        return self.root / STATE_FOLDER

    @property
    def displaced_folder(self) -> Path:
        """What `nbci checkout` moved out of the way: the only copy, which nothing removes."""
        return self.root / DISPLACED_FOLDER

    def relative(self, path: Path) -> str:
        """The path relative to the root, with `/`; UsageError when it lies outside."""
        try:
            found = path.resolve().relative_to(self.root).as_posix()
        except ValueError:
            raise UsageError(f"{path} lies outside the project {self.root}") from None
        try:
            found.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(found).decode(errors="backslashreplace")
            raise UsageError(
                "this file's name is no UTF-8, which records are written in",
                where=Location(shown),
                hint="give it another name",
            ) from None
        return found


def find_project(target: Path) -> Project:
    """The project that a file or folder belongs to.

    The root is the nearest folder upwards with `.git` or a `[tool.nbci]` table, else the target's
    own folder.
    """
    # Resolved: a link into a project belongs to the project that it leads to.
    start = target.resolve()
    if not start.is_dir():
        start = start.parent
    for folder in (start, *start.parents):
        table = _read_table(folder / "pyproject.toml")
        if table is not None or (folder / ".git").exists():
            return _project(folder, table or {})
    return Project(root=start)


def project_of(root: Path, settings: str | None) -> Project:
    """The project at a root whose `pyproject.toml` is this text; None: it has none."""
    table = None
    if settings is not None:
        table = _parse_table(settings, root / "pyproject.toml")
    return _project(root, table or {})


def _read_table(path: Path) -> dict[str, Any] | None:
    try:
        text = path.read_text(encoding="utf-8")
    # Many folders on the way up have no such file, and other tools say what is wrong with one.
    except (OSError, UnicodeDecodeError):
        return None
    return _parse_table(text, path)


def _parse_table(text: str, path: Path) -> dict[str, Any] | None:
    # Most projects have no such table: then neither the import nor the parsing is needed.
    if "[tool.nbci" not in text:
        return None
    import tomllib

    try:
        table = tomllib.loads(text).get("tool", {}).get("nbci")
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"this is not TOML: {error}", where=Location(str(path))) from error
    if not isinstance(table, dict):
        return None
    return table


def _project(root: Path, table: dict[str, Any]) -> Project:
    where = Location(str(root / "pyproject.toml"))
    for key, value in table.items():
        if key not in _KEYS:
            raise UsageError(
                f"[tool.nbci] has no key {key!r}",
                hint=spelling_hint(key, _KEYS, f"the keys are {', '.join(_KEYS)}"),
                where=where,
            )
        # In Python, true and false are of type int, too.
        if not isinstance(value, _KEYS[key]) or isinstance(value, bool):
            raise UsageError(
                f"[tool.nbci] {key}: {value!r} is not of type {_KEYS[key].__name__}", where=where
            )
        # No jobs, no output and no runs kept are nothing that somebody wants.
        if isinstance(value, int) and value < 1:
            raise UsageError(f"[tool.nbci] {key}: {value} is not at least 1", where=where)
    return Project(
        root=root,
        secrets=tuple(map(str, table.get("secrets", ()))),
        names=tuple(map(str, table.get("names", ()))),
        jobs=table.get("jobs"),
        output_cap_bytes=table.get("output_cap_bytes", 1 << 20),
        keep=table.get("keep", 20),
        remote=_remote(table.get("store", {}), where),
        jenkins=_jenkins(table.get("jenkins", {}), where),
        signers=table.get("signers"),
        audit=_audit(table.get("audit"), where),
        sweep_storage=_sweep_storage(table.get("sweep_storage"), where),
    )


def _sweep_storage(url: str | None, where: Location) -> str | None:
    """The URL of a database; UsageError where it is none, or has a password."""
    if url is None:
        return None
    # The file is in git, where no credential may be.
    if _PASSWORD_IN_URL.search(url):
        raise UsageError(
            "[tool.nbci] sweep_storage has a password, which must not be in git",
            hint=f"set {SWEEP_STORAGE} to the whole URL instead, and change the password",
            where=where,
        )
    if "://" not in url:
        raise UsageError(
            f"[tool.nbci] sweep_storage: {url!r} is no URL of a database",
            hint="write postgresql://USER@HOST/DATABASE, mysql://... or sqlite:///PATH",
            where=where,
        )
    return url


def _audit(text: str | None, where: Location) -> float | None:
    """The share of reused steps to be audited; UsageError where it is none."""
    if text is None:
        return None
    try:
        return parse_share(text)
    except ValueError as error:
        raise UsageError(
            f"[tool.nbci] audit: {error}",
            hint="without the key, no step that is reused runs again",
            where=where,
        ) from None


def _remote(store: dict[str, Any], where: Location) -> str | None:
    """The value of `store.remote`; UsageError for any other key."""
    for key, value in store.items():
        if key != "remote":
            raise UsageError(
                f"[tool.nbci] store has no key {key!r}", hint="its only key is remote", where=where
            )
        if not isinstance(value, str) or not value:
            raise UsageError(
                f"[tool.nbci] store.remote: {value!r} is no name or URL of a DVC remote",
                where=where,
            )
    return store.get("remote")


def _jenkins(table: dict[str, Any], where: Location) -> JenkinsSettings:
    keys = JenkinsSettings.__struct_fields__
    for key, value in table.items():
        if key not in keys:
            # The file is in git, where no credential may be.
            listing = f"the keys are {', '.join(keys)}; a token is never one"
            raise UsageError(
                f"[tool.nbci] jenkins has no key {key!r}",
                hint=spelling_hint(key, keys, listing),
                where=where,
            )
        if not isinstance(value, str) or not value.strip():
            raise UsageError(f"[tool.nbci] jenkins.{key} is no text", where=where)
    if table.get("pull_requests", "github") != "github":
        raise UsageError(
            f"[tool.nbci] jenkins.pull_requests: {table['pull_requests']!r} is none of: github",
            hint="for others, choose the source of the branches on the job's page",
            where=where,
        )
    return JenkinsSettings(**table)


def dvc_folder(root: Path) -> Path | None:
    """The `.dvc` folder that the project belongs to; None where there is none.

    It is at the project's root or above, within the same git repository.
    """
    # DVC allows projects in folders of a repository (`dvc init --subdir`).
    for folder in (root, *root.parents):
        if (folder / ".dvc").is_dir():
            return folder / ".dvc"
        # A `.dvc` beyond it belongs to another repository.
        if (folder / ".git").exists():
            return None
    return None
