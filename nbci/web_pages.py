"""The web pages of what a run names: its commit, its build, the pull request that it is for.

Their addresses come from git's configuration, from variables and from records of other machines:
none of them becomes a link that `checked_page` does not let pass.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    Forge = Literal["github", "gitlab", "bitbucket", "gitea"]

# Patterns are compiled when the first address is looked at: most runs on a laptop have none.
_HOST = r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?"
_PAGE = rf"(https?)://(?:[^/@\s]*@)?({_HOST}(?::\d{{1,5}})?)((?:/[\w.~%+@:,;=!$&()*-]*)*)"
_REPOSITORY = r"[\w.~+-]+(?:/[\w.~+-]+)+"
# https://git-scm.com/docs/git-clone#_git_urls; the port of an ssh address is not the web's.
_REMOTES = (
    rf"https://(?:[^/@\s]*@)?({_HOST}(?::\d{{1,5}})?)/({_REPOSITORY})/?",
    rf"ssh://(?:[\w.-]+@)?({_HOST})(?::\d{{1,5}})?/({_REPOSITORY})/?",
    rf"(?:[\w.-]+@)({_HOST}):/?({_REPOSITORY})/?",
)
_FORGES: Mapping[str, Forge] = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "bitbucket.org": "bitbucket",
    "codeberg.org": "gitea",
    "gitea.com": "gitea",
}
_FORGES_BY_FIRST_LABEL: Mapping[str, Forge] = {
    "github": "github",
    "gitlab": "gitlab",
    "gitea": "gitea",
    "forgejo": "gitea",
}
"""Hosts of one's own are mostly called by the program that they run: gitlab.example.org."""
_CHANGES: tuple[tuple[str, Forge, str], ...] = (
    (r"/-/merge_requests/(\d+)", "gitlab", "merge request !"),
    (r"/pull/(\d+)", "github", "pull request #"),
    (r"/pull-requests/(\d+)", "bitbucket", "pull request #"),
    (r"/pulls/(\d+)", "gitea", "pull request #"),
)
_COMMITS: Mapping[Forge, str] = {
    "github": "commit",
    "gitlab": "-/commit",
    "bitbucket": "commits",
    "gitea": "commit",
}


class Repository(NamedTuple):
    """A repository by its page on a forge."""

    page: str
    forge: Forge

    def commit_page(self, commit: str) -> str | None:
        """The page of a commit; None where that is no commit's name."""
        if not re.fullmatch(r"[0-9a-f]{7,64}", commit):
            return None
        return f"{self.page}/{_COMMITS[self.forge]}/{commit}"


def checked_page(address: str | None, *, http_too: bool = False) -> str | None:
    """The address without user and password; None where it is no page that may be linked."""
    found = address and re.fullmatch(_PAGE, address, re.ASCII | re.IGNORECASE)
    if not found:
        return None
    scheme, host, path = found.groups()
    if scheme.lower() != "https" and not http_too:
        return None
    if _leads_upwards(path):
        return None
    return f"{scheme.lower()}://{host.lower()}{path}"


def _leads_upwards(path: str) -> bool:
    # A browser reads %2e as a dot: https://url.spec.whatwg.org/#double-dot-path-segment
    segments = re.sub("%2e", ".", path, flags=re.IGNORECASE).split("/")
    return not {".", ".."}.isdisjoint(segments)


def repository_of(
    remote: str | None, change: str | None, environ: Mapping[str, str]
) -> Repository | None:
    """The repository that git's remote names; None where its forge is not known.

    Where the host's name does not tell, the page of a `change` on it does, and what CI says.
    """
    found = _match_remote(remote or "")
    if found is None:
        return None
    host, path = found
    forge = _FORGES.get(host) or _FORGES_BY_FIRST_LABEL.get(host.partition(".")[0])
    forge = forge or _forge_of_change(host, change) or _forge_of_ci(host, environ)
    if forge is None or _leads_upwards(path):
        return None
    return Repository(f"https://{host}/{path}", forge)


def _match_remote(remote: str) -> tuple[str, str] | None:
    for pattern in _REMOTES:
        found = re.fullmatch(pattern, remote, re.ASCII | re.IGNORECASE)
        if found:
            return found[1].lower(), found[2].removesuffix(".git")
    return None


def _forge_of_change(host: str, change: str | None) -> Forge | None:
    page = checked_page(change) or ""
    if not page.startswith(f"https://{host}/"):
        return None
    for pattern, forge, _ in _CHANGES:
        if re.search(pattern, page):
            return forge
    return None


def _forge_of_ci(host: str, environ: Mapping[str, str]) -> Forge | None:
    servers: tuple[tuple[str, Forge], ...] = (
        ("GITHUB_SERVER_URL", "github"),
        ("CI_SERVER_URL", "gitlab"),
    )
    for variable, forge in servers:
        if environ.get(variable, "").rstrip("/") == f"https://{host}":
            return forge
    return None


def change_words(page: str) -> str:
    """How people write a change: `pull request #5`, `merge request !5`."""
    for pattern, _, words in _CHANGES:
        found = re.search(pattern, page)
        if found:
            return f"{words}{found[1]}"
    return "the change"


def build_words(page: str) -> str:
    """`build 12`, where the address ends in a number, as on Jenkins."""
    number = page.rstrip("/").rpartition("/")[2]
    if number.isdecimal():
        return f"build {number}"
    return "the build"


def change_url(environ: Mapping[str, str]) -> str | None:
    """The page of the pull request or merge request that CI is building."""
    # Jenkins: branch-api sets it in builds of pull requests only.
    if environ.get("CHANGE_URL"):
        return environ["CHANGE_URL"]
    # https://docs.gitlab.com/ci/variables/predefined_variables/
    project, number = environ.get("CI_MERGE_REQUEST_PROJECT_URL"), "CI_MERGE_REQUEST_IID"
    if project and environ.get(number):
        return f"{project}/-/merge_requests/{environ[number]}"
    # GitHub Actions names the pull request only in its ref, refs/pull/NUMBER/merge.
    ref = environ.get("GITHUB_REF", "").split("/")
    if ref[:2] == ["refs", "pull"] and len(ref) > 2:
        return f"{_github_repository(environ)}/pull/{ref[2]}"
    return None


def build_url(environ: Mapping[str, str]) -> str | None:
    """The page of the build on Jenkins, or of a job on other servers."""
    found = environ.get("BUILD_URL") or environ.get("RUN_DISPLAY_URL") or environ.get("CI_JOB_URL")
    if not found and environ.get("GITHUB_RUN_ID"):
        return f"{_github_repository(environ)}/actions/runs/{environ['GITHUB_RUN_ID']}"
    return found


def _github_repository(environ: Mapping[str, str]) -> str:
    server = environ.get("GITHUB_SERVER_URL", "https://github.com")
    return f"{server}/{environ.get('GITHUB_REPOSITORY', '')}"
