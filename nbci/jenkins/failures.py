"""What a controller answers when it does not do what was asked, as errors for people.

python-jenkins gives most answers one exception whose message is the page; what Jenkins said is in
the response, which is found in the chain of exceptions.
"""

from __future__ import annotations

import contextlib
import html
import importlib
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nbci.errors import InfrastructureError, NbciError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from nbci.secrets import Mask

_MESSAGE = re.compile(r"<th>MESSAGE:</th><td>(.*?)</td>", re.DOTALL)
_MISSING = re.compile(r"([^\s<>]+) is missing the ([\w/ -]+?) permission")
_NEEDED = re.compile(r"Permission you need to have \(but didn't\): ([\w.$]+)")
_LONGEST_SAID = 200


def python_jenkins() -> Any:
    """The module `jenkins` of python-jenkins, which publishes no annotations; UsageError where it
    is not installed.
    """
    try:
        return importlib.import_module("jenkins")
    except ImportError:
        raise UsageError(
            "python-jenkins is not installed",
            hint="pip install 'nbci[jenkins]', or pip install python-jenkins",
        ) from None


class UnreachableError(InfrastructureError):
    """The controller does not answer now and may answer later: it restarts, or the network is away."""


class MissingError(UsageError):
    """What was asked for is not there, or the user may not see it."""


class StaleCrumbError(InfrastructureError):
    """The crumb is of a session that is over."""


@contextlib.contextmanager
def explained(about: str, mask: Mask) -> Iterator[None]:
    """Turn whatever python-jenkins and requests raise into an error about `about` that says what
    Jenkins said.
    """
    try:
        yield
    except NbciError:
        raise
    except Exception as error:
        try:
            found = _explained(error, about)
        except NbciError as said:
            found = said
        if found is None:
            raise
        found.message = mask.text(found.message)
        raise found from error


def _explained(error: BaseException, about: str) -> NbciError | None:
    import requests

    response = _response(error)
    if response is not None:
        return of_response(response, about)
    for link in _chain(error):
        if isinstance(link, requests.exceptions.SSLError):
            return InfrastructureError(
                f"the certificate of the controller is not trusted: {_root(link)}",
                hint="set REQUESTS_CA_BUNDLE to the certificates of your authority",
            )
        if isinstance(link, requests.exceptions.TooManyRedirects):
            return UsageError(
                "the address redirects in a circle",
                hint="open it in a browser and take the address that it ends at",
            )
        if isinstance(link, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
            return UsageError(f"{about}: {_root(link)}")
        if isinstance(link, requests.exceptions.JSONDecodeError):
            continue
        if isinstance(link, requests.exceptions.RequestException | OSError):
            return UnreachableError(
                f"the controller does not answer: {_root(link)}",
                hint="is it running, and is the address right?",
            )
    if isinstance(error, python_jenkins().JenkinsException | json.JSONDecodeError):
        return InfrastructureError(
            f"{about}: the controller answered what is not understood: {_short(str(error))}"
        )
    return None


def of_response(response: requests.Response, about: str) -> NbciError:
    """The error that an answer of 400 or more stands for."""
    refuse_other_origin(response)
    said = said_in(response)
    status = response.status_code
    if status == 401:
        return UsageError(
            "Jenkins does not accept the user and token (401)",
            hint="set NBCI_JENKINS_USER and NBCI_JENKINS_TOKEN; a token is made on the user's page, under Security",
        )
    if status == 403:
        return _forbidden(response, about, said)
    if status == 404:
        return MissingError(
            f"{about}: there is no such thing on the controller, or you may not see it (404)",
            hint="names of jobs are paths through folders, as in nbci/digits",
        )
    if status == 409:
        return UsageError(
            f"{about}: {said or 'this cannot be done now'} (409)", hint="is the job disabled?"
        )
    if status in {502, 503, 504}:
        starting = "getting ready to work" in response.text
        return UnreachableError(
            "the controller is starting" if starting else f"{about}: {said or status} ({status})"
        )
    if status >= 500:
        return InfrastructureError(
            f"{about}: the controller failed: {said or response.reason} ({status})",
            hint="its log says why",
        )
    return UsageError(f"{about}: Jenkins refuses: {said or response.reason} ({status})")


def refuse_other_origin(response: requests.Response) -> None:
    """UsageError when the answer came from elsewhere than was asked: user and token were not sent
    there.
    """
    if not response.history:
        return
    asked, ended = (urlsplit(str(url)) for url in (response.history[0].url, response.url))
    if (asked.scheme, asked.netloc) != (ended.scheme, ended.netloc):
        raise UsageError(
            f"the controller's address redirects to {ended.scheme}://{ended.netloc}/",
            hint="if that is the controller, set this address; user and token were not sent there",
        )


def _forbidden(response: requests.Response, about: str, said: str) -> NbciError:
    if "No valid crumb" in said:
        return StaleCrumbError(
            f"{about}: {said} (403)", hint="use an API token instead of a password"
        )
    text = html.unescape(response.text)
    missing = _MISSING.search(text)
    needed = response.headers.get("X-Required-Permission")
    if missing is not None:
        return UsageError(
            f"{about}: {missing[1]} is missing the {missing[2]} permission (403)",
            hint="an administrator of the controller grants it",
        )
    if needed is None and (listed := _NEEDED.search(text)):
        needed = listed[1]
    if needed is None:
        return UsageError(f"{about}: Jenkins refuses: {said or 'Forbidden'} (403)")
    return UsageError(
        f"{about}: the permission {needed} is missing (403)",
        hint="set NBCI_JENKINS_USER and NBCI_JENKINS_TOKEN, or have an administrator grant it",
    )


def said_in(response: requests.Response) -> str:
    """The sentence in an error page of Jenkins', as one line; empty when there is none."""
    found = _MESSAGE.search(response.text)
    return _short(html.unescape(found[1])) if found else ""


def _response(error: BaseException) -> requests.Response | None:
    import requests

    for link in _chain(error):
        if isinstance(link, requests.exceptions.HTTPError) and link.response is not None:
            return link.response
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _root(error: BaseException) -> str:
    """What is at the bottom of requests' nested messages."""
    reason: object = error
    while isinstance(reason, BaseException):
        below = getattr(reason, "reason", None) or next(
            (part for part in reason.args if isinstance(part, BaseException)), None
        )
        if below is None or below is reason:
            break
        reason = below
    text = str(reason)
    return _short(text.rpartition(": ")[2] if "object at 0x" in text else text)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_SAID else text[: _LONGEST_SAID - 3] + "..."
