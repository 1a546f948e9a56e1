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
# how the forges abbreviate a change in their own text, as in group/name!5
_SIGNS = {"github": "#", "gitlab": "!"}
_TOKENS = {"github": ("GITHUB_TOKEN", "GH_TOKEN"), "gitlab": ("GITLAB_TOKEN",)}
TOKEN = "NBCI_FORGE_TOKEN"  # noqa: S105 - the variable's name
API = "NBCI_FORGE_API"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A pull request (GitHub) or merge request (GitLab).

    `api` is the address of the REST API, without a final `/`.
    """

    forge: Literal["github", "gitlab"]
    api: str
    repository: str
    number: int

    @property
    def title(self) -> str:
        """How people write it."""
        return f"{self.repository}{_SIGNS[self.forge]}{self.number}"


def find_change(url: str | None, environ: Mapping[str, str]) -> Change:
    """The change at an address, or without one the change that CI is building.

    UsageError when there is none, or when its API would get the token unencrypted.
    """
    if url:
        found: Change | None = _change_of_page(url, environ)
    else:
        found = _change_of_environment(environ)

    if found is None:
        raise UsageError(
            "this is no build of a pull request",
            hint="name one: --change https://github.com/OWNER/NAME/pull/NUMBER",
        )

    parts = urlsplit(found.api)
    # loopback without TLS is for tests, and for a forge that runs on this machine
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise UsageError(
            f"{found.api} is no https address", hint="a token is not sent where others can read it"
        )
    return found


def find_token(change: Change, environ: Mapping[str, str]) -> str:
    """The token from the environment; UsageError without one."""
    names = (TOKEN, *_TOKENS[change.forge])
    for name in names:
        if environ.get(name):
            # a token from a mounted file often ends in a newline, which no header may hold
            return environ[name].strip()
    raise UsageError(
        f"there is no token to comment on {change.title}",
        hint=f"set {' or '.join(names)} in the environment; it needs to write comments",
    )


def _change_of_environment(environ: Mapping[str, str]) -> Change | None:
    # Jenkins: branch-api sets CHANGE_URL in builds of pull requests only, for both forges
    if environ.get("CHANGE_URL"):
        return _change_of_page(environ["CHANGE_URL"], environ)

    # GitHub Actions names the pull request only in its ref, refs/pull/NUMBER/merge
    github = _GITHUB_REF.match(environ.get("GITHUB_REF", ""))
    if github and environ.get("GITHUB_REPOSITORY"):
        api = environ.get(API) or environ.get("GITHUB_API_URL") or "https://api.github.com"
        return Change(
            forge="github",
            api=api.rstrip("/"),
            repository=environ["GITHUB_REPOSITORY"],
            number=int(github[1]),
        )

    # GitLab CI: in a fork's pipeline CI_PROJECT_PATH is the fork, and the comment goes elsewhere
    number = environ.get("CI_MERGE_REQUEST_IID", "")
    api = environ.get(API) or environ.get("CI_API_V4_URL", "")
    project = environ.get("CI_MERGE_REQUEST_PROJECT_PATH") or environ.get("CI_PROJECT_PATH", "")
    if number.isdecimal() and api and project:
        return Change(forge="gitlab", api=api.rstrip("/"), repository=project, number=int(number))
    return None


def _change_of_page(url: str, environ: Mapping[str, str]) -> Change:
    parts = urlsplit(url)
    given_api = environ.get(API, "").rstrip("/")
    # an address may hold a user and a password, which belong in no request of ours
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    github, gitlab = _GITHUB.match(parts.path), _GITLAB.match(parts.path)

    if parts.netloc and gitlab:
        return Change(
            forge="gitlab",
            api=given_api or f"{host}/api/v4",
            repository=gitlab["repository"],
            number=int(gitlab["number"]),
        )
    if parts.netloc and github:
        # GitHub Enterprise Server has its API below /api/v3 of the same host
        api = f"{host}/api/v3"
        if parts.hostname == "github.com":
            api = "https://api.github.com"
        return Change(
            forge="github",
            api=given_api or api,
            repository=github["repository"],
            number=int(github["number"]),
        )
    raise UsageError(
        f"{url} is no pull request's page",
        hint="such as https://github.com/OWNER/NAME/pull/5"
        " or https://gitlab.com/GROUP/NAME/-/merge_requests/5",
    )
