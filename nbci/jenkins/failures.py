"""Turn a controller's refusals and failures into errors that say what to do.

python-jenkins raises one exception for most answers, whose message is the page; the reason is in
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
# the pages of failures hold stack traces
_LONGEST_REASON = 200


def python_jenkins() -> Any:
    """Import the module `jenkins` of python-jenkins; UsageError where it is not installed."""
    # by name: python-jenkins publishes no annotations, and is an extra
    try:
        return importlib.import_module("jenkins")
    except ImportError:
        raise UsageError(
            "python-jenkins is not installed",
            hint="pip install 'nbci[jenkins]', or pip install python-jenkins",
        ) from None


class UnreachableError(InfrastructureError):
    """The controller does not answer now and may later: it restarts, or the network is down."""


class MissingError(UsageError):
    """What was asked for is not there, or the user may not see it."""


class StaleCrumbError(InfrastructureError):
    """The crumb is of a session that is over."""


@contextlib.contextmanager
def translate_errors(about: str, mask: Mask) -> Iterator[None]:
    """Turn what python-jenkins and requests raise into an error about `about`, with the reason."""
    try:
        yield
    except NbciError:
        raise
    except Exception as error:
        try:
            translated = _translate(error, about)
        except NbciError as refusal:
            # as for an answer from another host, which is refused before it is read
            translated = refusal
        if translated is None:
            raise
        # messages of requests quote addresses, and a proxy's page may quote headers
        translated.message = mask.text(translated.message)
        raise translated from error


def _translate(error: BaseException, about: str) -> NbciError | None:
    """The error to raise in the place of another; None for one that only a bug can cause."""
    import requests

    response = _response(error)
    if response is not None:
        return of_response(response, about)

    # from the outermost on: requests' own classes say more than the errors that they were made of
    for link in _chain(error):
        # before the others: SSLError is a ConnectionError, which would be tried again for minutes
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
        # also a RequestException, but the controller did answer
        if isinstance(link, requests.exceptions.JSONDecodeError):
            continue
        if isinstance(link, requests.exceptions.RequestException | OSError):
            return UnreachableError(
                f"the controller does not answer: {_root(link)}",
                hint="is it running, and is the address right?",
            )
    if isinstance(error, python_jenkins().JenkinsException | json.JSONDecodeError):
        return InfrastructureError(
            f"{about}: the controller answered what is not understood: {_shorten(str(error))}"
        )
    return None


def of_response(response: requests.Response, about: str) -> NbciError:
    """The error that an answer of 400 or more stands for."""
    refuse_other_origin(response)
    reason = error_text(response)
    status = response.status_code
    if status == 401:
        return UsageError(
            "Jenkins does not accept the user and token (401)",
            hint="set NBCI_JENKINS_USER and NBCI_JENKINS_TOKEN;"
            " a token is made on the user's page, under Security",
        )
    if status == 403:
        return _forbidden(response, about, reason)
    if status == 404:
        return MissingError(
            f"{about}: there is no such thing on the controller, or you may not see it (404)",
            hint="names of jobs are paths through folders, as in nbci/digits",
        )
    if status == 409:
        return UsageError(
            f"{about}: {reason or 'this cannot be done now'} (409)", hint="is the job disabled?"
        )
    if status in {502, 503, 504}:
        # the page that Jenkins serves until it has read its jobs
        if "getting ready to work" in response.text:
            return UnreachableError("the controller is starting")
        return UnreachableError(f"{about}: {reason or status} ({status})")
    if status >= 500:
        return InfrastructureError(
            f"{about}: the controller failed: {reason or response.reason} ({status})",
            hint="its log says why",
        )
    return UsageError(f"{about}: Jenkins refuses: {reason or response.reason} ({status})")


def refuse_other_origin(response: requests.Response) -> None:
    """Raise UsageError when redirects led to another host than was asked.

    requests drops user and token on the way there, so its answer is one for nobody.
    """
    if not response.history:
        return
    asked = urlsplit(str(response.history[0].url))
    ended = urlsplit(str(response.url))
    if (asked.scheme, asked.netloc) != (ended.scheme, ended.netloc):
        raise UsageError(
            f"the controller's address redirects to {ended.scheme}://{ended.netloc}/",
            hint="if that is the controller, set this address; user and token were not sent there",
        )


def _forbidden(response: requests.Response, about: str, reason: str) -> NbciError:
    if "No valid crumb" in reason:
        return StaleCrumbError(
            f"{about}: {reason} (403)", hint="use an API token instead of a password"
        )

    # Jenkins names the permission in a sentence, in a header, or in a comment of the page
    text = html.unescape(response.text)
    missing = _MISSING.search(text)
    if missing is not None:
        return UsageError(
            f"{about}: {missing[1]} is missing the {missing[2]} permission (403)",
            hint="an administrator of the controller grants it",
        )

    needed = response.headers.get("X-Required-Permission")
    listed = _NEEDED.search(text)
    if needed is None and listed is not None:
        needed = listed[1]
    if needed is None:
        return UsageError(f"{about}: Jenkins refuses: {reason or 'Forbidden'} (403)")
    return UsageError(
        f"{about}: the permission {needed} is missing (403)",
        hint="set NBCI_JENKINS_USER and NBCI_JENKINS_TOKEN, or have an administrator grant it",
    )


def error_text(response: requests.Response) -> str:
    """The sentence in an error page of Jenkins', as one line; empty when there is none."""
    found = _MESSAGE.search(response.text)
    if found is None:
        return ""
    return _shorten(html.unescape(found[1]))


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
    """The innermost of the nested reasons of requests and urllib3, which people can read."""
    reason: object = error
    while isinstance(reason, BaseException):
        # urllib3 keeps the cause in `reason`, requests among its arguments
        causes = [part for part in reason.args if isinstance(part, BaseException)]
        below = getattr(reason, "reason", None) or next(iter(causes), None)
        if below is None or below is reason:
            break
        reason = below

    text = str(reason)
    # urllib3 puts the connection before the reason, as "<… object at 0x…>: "
    if "object at 0x" in text:
        text = text.rpartition(": ")[2]
    return _shorten(text)


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    if len(text) <= _LONGEST_REASON:
        return text
    return text[: _LONGEST_REASON - 3] + "..."
