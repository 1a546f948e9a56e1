"""Comments through the REST APIs of GitHub and GitLab, with errors that say what to do."""

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
        self._session.headers.update({"Accept": "application/json", "User-Agent": "nbci"})
        # otherwise an entry in ~/.netrc would take the token's place
        self._session.auth = _keep_headers

        if change.forge == "github":
            name = quote(change.repository, safe="/")
            self._session.headers["Authorization"] = f"Bearer {token}"
            # a comment on a pull request as a whole is, to GitHub's API, one on its issue
            self._comments = f"/repos/{name}/issues/{change.number}/comments"
            self._one = f"/repos/{name}/issues/comments"
        else:
            # GitLab takes the path of a project as one segment, so its slashes are escaped, too
            name = quote(change.repository, safe="")
            self._session.headers["PRIVATE-TOKEN"] = token
            self._comments = f"/projects/{name}/merge_requests/{change.number}/notes"
            self._one = self._comments

    def me(self) -> int | None:
        """The id of the token's user; None where tokens of this kind may not ask."""
        answer = self._ask("GET", "/user", refused_is_fine=True)
        if isinstance(answer, dict) and "id" in answer:
            return int(answer["id"])
        return None

    def comments(self) -> Iterator[Comment]:
        """Every comment, oldest first."""
        page = 1
        while True:
            query = f"?per_page={_PAGE}&page={page}"
            # GitLab lists the newest first unless asked otherwise, GitHub the oldest
            if self._change.forge == "gitlab":
                query += "&order_by=created_at&sort=asc"
            found = self._ask("GET", self._comments + query)
            yield from map(_read_comment, found)
            # both APIs fill every page but the last
            if len(found) < _PAGE:
                return
            page += 1

    def create(self, body: str) -> Comment:
        """Add a comment."""
        return _read_comment(self._ask("POST", self._comments, {"body": body}))

    def update(self, comment: Comment, body: str) -> Comment:
        """Replace its text."""
        method = {"github": "PATCH", "gitlab": "PUT"}[self._change.forge]
        return _read_comment(self._ask(method, f"{self._one}/{comment.id}", {"body": body}))

    def remove(self, comment: Comment) -> None:
        """Delete it."""
        self._ask("DELETE", f"{self._one}/{comment.id}")

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, str] | None = None,
        *,
        refused_is_fine: bool = False,
    ) -> Any:
        """Send a request and return the answer's JSON; failures that may pass are tried again.

        A POST is not: the comment may be there although the answer was lost. Redirects are not
        followed: the token would go along.
        """
        import requests

        for tries_left in range(_TRIES - 1, -1, -1):
            attempt = _TRIES - tries_left
            try:
                response = self._session.request(
                    method,
                    self._change.api + path,
                    json=body,
                    timeout=_SECONDS,
                    allow_redirects=False,
                )
            except requests.exceptions.SSLError as error:
                raise self._unreachable(f"its certificate is not trusted: {error}") from error
            except requests.RequestException as error:
                if not tries_left or method == "POST":
                    raise self._unreachable(str(error)) from error
                self._sleep(2.0 ** (attempt - 1))
                continue

            wait = _wait_seconds(response, attempt)
            may_be_done = method == "POST" and response.status_code >= 500
            if wait is None or not tries_left or may_be_done:
                break
            self._sleep(wait)

        if refused_is_fine and response.status_code in (401, 403, 404):
            return None
        self._refuse(response)
        # a deletion is answered with 204 and no body
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise self._unreachable(
                "it answers with something else than JSON; is this the address of its API?"
            ) from None

    def _refuse(self, response: requests.Response) -> None:
        """Raise the error that the answer stands for; a success passes."""
        status = response.status_code
        if status < 300:
            return

        reason = _error_text(response)
        title = self._change.title
        if status < 400:
            moved = f"{title} has moved"
            target = urlsplit(response.headers.get("Location", "")).netloc
            if target:
                moved += f" to {target}"
            raise UsageError(moved, hint="use its new address")
        if status == 401:
            raise UsageError(
                f"the token is not accepted for {title}{reason}", hint="has it expired?"
            )
        # GitHub answers 403, not 429, to some who are over their limit
        if status == 429 or (status == 403 and _is_limited(response)):
            raise InfrastructureError(
                f"too many requests to {self._change.api}{reason}", hint="try again later"
            )
        if status == 403:
            raise UsageError(
                f"the token may not comment on {title}{reason}", hint=_RIGHTS[self._change.forge]
            )
        # both forges answer 404, not 403, to a token that may not know of the project
        if status == 404:
            raise UsageError(
                f"{title} is not there, or the token may not see it{reason}",
                hint=_RIGHTS[self._change.forge],
            )
        if status >= 500:
            raise self._unreachable(f"it answers {status}{reason}")
        raise UsageError(f"the comment on {title} was refused with {status}{reason}")

    def _unreachable(self, why: str) -> InfrastructureError:
        return InfrastructureError(
            f"{self._change.api} cannot be asked: {why}", hint="try again later"
        )


_RIGHTS = {
    "github": "a fine-grained token needs to read and write pull requests,"
    " a classic one the scope `repo`",
    "gitlab": "the token needs the scope `api` and the role Reporter or higher",
}


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Authenticate as requests asks for, by leaving the headers as they are."""
    return request


def _read_comment(document: Mapping[str, Any]) -> Comment:
    # `user` is GitHub's name for the author, `author` GitLab's, which has no page for a note
    author = document.get("user") or document.get("author") or {}
    return Comment(
        id=int(document["id"]),
        body=str(document.get("body") or ""),
        author=author.get("id"),
        by_bot=author.get("type") == "Bot",
        page=str(document.get("html_url") or f"note {document['id']}"),
    )


def _error_text(response: requests.Response) -> str:
    """What the forge gives as the reason, behind a colon; empty where it gives none."""
    try:
        document = response.json()
    except ValueError:
        return ""
    if not isinstance(document, dict):
        return ""
    message = document.get("message") or document.get("error")
    if not message:
        return ""
    return f": {' '.join(str(message).split())[:200]}"


def _is_limited(response: requests.Response) -> bool:
    return "Retry-After" in response.headers or response.headers.get("X-RateLimit-Remaining") == "0"


def _wait_seconds(response: requests.Response, tries: int) -> float | None:
    """How long to wait before the same is asked again; None where that would not help."""
    # GitHub's secondary limits come as 403 with Retry-After
    is_limit = response.status_code == 403 and "Retry-After" in response.headers
    if response.status_code not in (429, 500, 502, 503, 504) and not is_limit:
        return None

    wait = 2.0 ** (tries - 1)
    given = response.headers.get("Retry-After", "")
    # the header may also be a date (RFC 9110, 10.2.3): then our own pause counts
    if given.isdecimal():
        wait = float(given)

    # a build that waits longer holds an executor for a comment
    if wait > _LONGEST_WAIT_SECONDS:
        return None
    return wait
