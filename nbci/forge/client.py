"""The few requests that a comment takes, to GitHub's and GitLab's REST APIs, and their answers as
errors for people.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from nbci.errors import InfrastructureError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import requests

    from nbci.forge.change import Change

_SECONDS = 30
_TRIES = 4
_LONGEST_WAIT_SECONDS = 60.0
_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment that is there; `author` is None where the forge does not say."""

    id: int
    body: str
    author: int | None
    by_bot: bool
    page: str


class Forge:
    """One change's comments. `sleep` waits between tries, in seconds."""

    def __init__(
        self, change: Change, token: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        import requests

        self._change = change
        self._sleep = sleep
        self._session = requests.Session()
        header = (
            ("Authorization", f"Bearer {token}")
            if change.forge == "github"
            else ("PRIVATE-TOKEN", token)
        )
        self._session.headers.update(
            {"Accept": "application/json", "User-Agent": "nbci"} | dict([header])
        )
        self._session.auth = (
            _as_it_is  # otherwise an entry in ~/.netrc would take the token's place
        )
        name = quote(change.repository, safe="/" if change.forge == "github" else "")
        self._comments, self._one = {
            "github": (
                f"/repos/{name}/issues/{change.number}/comments",
                f"/repos/{name}/issues/comments",
            ),
            "gitlab": (f"/projects/{name}/merge_requests/{change.number}/notes",) * 2,
        }[change.forge]

    def me(self) -> int | None:
        """The number of the user that the token is for; None where tokens of this kind may not ask."""
        answer = self._ask("GET", "/user", refused_is_fine=True)
        return int(answer["id"]) if isinstance(answer, dict) and "id" in answer else None

    def comments(self) -> Iterator[Comment]:
        """Every comment, oldest first."""
        page = 1
        while True:
            query = f"?per_page={_PAGE}&page={page}"
            query += "&order_by=created_at&sort=asc" if self._change.forge == "gitlab" else ""
            found = self._ask("GET", self._comments + query)
            yield from (self._comment(said) for said in found)
            if len(found) < _PAGE:
                return
            page += 1

    def create(self, body: str) -> Comment:
        """Add a comment."""
        return self._comment(self._ask("POST", self._comments, {"body": body}))

    def update(self, comment: Comment, body: str) -> Comment:
        """Write it anew."""
        method = "PATCH" if self._change.forge == "github" else "PUT"
        return self._comment(self._ask(method, f"{self._one}/{comment.id}", {"body": body}))

    def remove(self, comment: Comment) -> None:
        """Take it away."""
        self._ask("DELETE", f"{self._one}/{comment.id}")

    def _comment(self, said: Mapping[str, Any]) -> Comment:
        author = said.get("user") or said.get("author") or {}
        return Comment(
            id=int(said["id"]),
            body=str(said.get("body") or ""),
            author=author.get("id"),
            by_bot=author.get("type") == "Bot",
            page=str(said.get("html_url") or f"note {said['id']}"),
        )

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, str] | None = None,
        *,
        refused_is_fine: bool = False,
    ) -> Any:
        """The answer's JSON. What may pass is tried again, but a comment that may have been made is
        not made twice.

        Redirects are not followed: the token would go along.
        """
        import requests

        for tries_left in range(_TRIES - 1, -1, -1):
            try:
                response = self._session.request(
                    method,
                    self._change.api + path,
                    json=body,
                    timeout=_SECONDS,
                    allow_redirects=False,
                )
            except requests.exceptions.SSLError as error:
                raise self._away(f"its certificate is not trusted: {error}") from error
            except requests.RequestException as error:
                if not tries_left or method == "POST":
                    raise self._away(str(error)) from error
                self._sleep(2.0 ** (_TRIES - tries_left - 1))
                continue
            wait = _wait_seconds(response, _TRIES - tries_left)
            if wait is None or not tries_left or (method == "POST" and response.status_code >= 500):
                break
            self._sleep(wait)
        if refused_is_fine and response.status_code in (401, 403, 404):
            return None
        self._refuse(response)
        try:
            return response.json() if response.content else None
        except ValueError:
            raise self._away(
                "it answers with something else than JSON; is this the address of its API?"
            ) from None

    def _refuse(self, response: requests.Response) -> None:
        status, said = response.status_code, _said(response)
        title = self._change.title
        if status < 300:
            return
        if status < 400:
            target = urlsplit(response.headers.get("Location", "")).netloc
            raise UsageError(
                f"{title} has moved{f' to {target}' if target else ''}", hint="use its new address"
            )
        if status == 401:
            raise UsageError(f"the token is not accepted for {title}{said}", hint="has it expired?")
        if status == 429 or (status == 403 and _is_limited(response)):
            raise InfrastructureError(
                f"too many requests to {self._change.api}{said}", hint="try again later"
            )
        if status == 403:
            raise UsageError(
                f"the token may not comment on {title}{said}", hint=_RIGHTS[self._change.forge]
            )
        if status == 404:
            raise UsageError(
                f"{title} is not there, or the token may not see it{said}",
                hint=_RIGHTS[self._change.forge],
            )
        if status >= 500:
            raise self._away(f"it answers {status}{said}")
        raise UsageError(f"the comment on {title} was refused with {status}{said}")

    def _away(self, why: str) -> InfrastructureError:
        return InfrastructureError(
            f"{self._change.api} cannot be asked: {why}", hint="try again later"
        )


_RIGHTS = {
    "github": "a fine-grained token needs to read and write pull requests, a classic one the scope `repo`",
    "gitlab": "the token needs the scope `api` and the role Reporter or higher",
}


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _said(response: requests.Response) -> str:
    try:
        said = response.json()
    except ValueError:
        return ""
    message = said.get("message") or said.get("error") if isinstance(said, dict) else None
    return f": {' '.join(str(message).split())[:200]}" if message else ""


def _is_limited(response: requests.Response) -> bool:
    return "Retry-After" in response.headers or response.headers.get("X-RateLimit-Remaining") == "0"


def _wait_seconds(response: requests.Response, tries: int) -> float | None:
    """How long to wait before the same is asked again; None where that would not help."""
    if response.status_code not in (429, 500, 502, 503, 504) and not (
        response.status_code == 403 and "Retry-After" in response.headers
    ):
        return None
    given = response.headers.get("Retry-After", "")
    wait = float(given) if given.isdecimal() else 2.0 ** (tries - 1)
    return wait if wait <= _LONGEST_WAIT_SECONDS else None
