"""Which pull request or merge request a build is for, from what CI says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from nbci.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_GITHUB = re.compile(r"^/(?P<repository>[^/]+/[^/]+)/pull/(?P<number>\d+)(/.*)?$")
_GITLAB = re.compile(r"^/(?P<repository>[^/].*?)(/-)?/merge_requests/(?P<number>\d+)(/.*)?$")
_GITHUB_REF = re.compile(r"^refs/pull/(\d+)/")
_TOKENS = {"github": ("GITHUB_TOKEN", "GH_TOKEN"), "gitlab": ("GITLAB_TOKEN",)}
TOKEN = "NBCI_FORGE_TOKEN"  # noqa: S105 - the variable's name
API = "NBCI_FORGE_API"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A pull request (GitHub) or merge request (GitLab); `api` is the address of the REST API,
    without a final `/`.
    """

    forge: Literal["github", "gitlab"]
    api: str
    repository: str
    number: int

    @property
    def title(self) -> str:
        """How people write it."""
        return f"{self.repository}{'#' if self.forge == 'github' else '!'}{self.number}"


def find_change(url: str | None, environ: Mapping[str, str]) -> Change:
    """The change that a page's address names, else the one that Jenkins, GitHub Actions or GitLab
    CI is building.
    """
    found = _of_page(url, environ) if url else _of_environment(environ)
    if found is None:
        raise UsageError(
            "this is no build of a pull request",
            hint="name one: --change https://github.com/OWNER/NAME/pull/NUMBER",
        )
    parts = urlsplit(found.api)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise UsageError(
            f"{found.api} is no https address", hint="a token is not sent where others can read it"
        )
    return found


def find_token(change: Change, environ: Mapping[str, str]) -> str:
    """The token from the environment; UsageError without one."""
    names = (TOKEN, *_TOKENS[change.forge])
    token = next((environ[name] for name in names if environ.get(name)), None)
    if token is None:
        raise UsageError(
            f"there is no token to comment on {change.title}",
            hint=f"set {' or '.join(names)} in the environment; it needs to write comments",
        )
    return token.strip()


def _of_environment(environ: Mapping[str, str]) -> Change | None:
    if environ.get("CHANGE_URL"):
        return _of_page(environ["CHANGE_URL"], environ)
    github = _GITHUB_REF.match(environ.get("GITHUB_REF", ""))
    if github and environ.get("GITHUB_REPOSITORY"):
        api = environ.get(API) or environ.get("GITHUB_API_URL") or "https://api.github.com"
        return Change(
            forge="github",
            api=api.rstrip("/"),
            repository=environ["GITHUB_REPOSITORY"],
            number=int(github[1]),
        )
    number, api = (
        environ.get("CI_MERGE_REQUEST_IID", ""),
        environ.get(API) or environ.get("CI_API_V4_URL", ""),
    )
    project = environ.get("CI_MERGE_REQUEST_PROJECT_PATH") or environ.get("CI_PROJECT_PATH", "")
    if number.isdecimal() and api and project:
        return Change(forge="gitlab", api=api.rstrip("/"), repository=project, number=int(number))
    return None


def _of_page(url: str, environ: Mapping[str, str]) -> Change:
    parts = urlsplit(url)
    given = environ.get(API, "").rstrip("/")
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    github, gitlab = _GITHUB.match(parts.path), _GITLAB.match(parts.path)
    if parts.netloc and gitlab:
        return Change(
            forge="gitlab",
            api=given or f"{host}/api/v4",
            repository=gitlab["repository"],
            number=int(gitlab["number"]),
        )
    if parts.netloc and github:
        api = "https://api.github.com" if parts.hostname == "github.com" else f"{host}/api/v3"
        return Change(
            forge="github",
            api=given or api,
            repository=github["repository"],
            number=int(github["number"]),
        )
    raise UsageError(
        f"{url} is no pull request's page",
        hint="such as https://github.com/OWNER/NAME/pull/5 or https://gitlab.com/GROUP/NAME/-/merge_requests/5",
    )
