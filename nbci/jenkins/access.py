"""The controller's address and the user's token, from the environment, a keyring or netrc.

A token is written nowhere and never shown.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nbci.errors import Location, UsageError
from nbci.secrets import Mask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.config import Project

URL, USER, TOKEN = "NBCI_JENKINS_URL", "NBCI_JENKINS_USER", "NBCI_JENKINS_TOKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An address, ending in `/`, with the user to be there; `source` is where both came from."""

    url: str
    user: str | None = None
    token: str | None = field(default=None, repr=False)
    source: str = "nobody: no user and token were found"

    @property
    def mask(self) -> Mask:
        """The mask that keeps the token out of everything that is shown."""
        secrets = list(filter(None, [self.token]))
        return Mask(secrets)


def find_access(project: Project, environ: Mapping[str, str]) -> Access:
    """Find the address, user and token; nobody's access where no user is known."""
    url = address(project, environ)
    if url is None:
        raise UsageError(
            "no controller is known",
            hint=f'set {URL}, or `jenkins.url = "https://..."` in [tool.nbci] of pyproject.toml',
        )

    # empty variables count as none: CI sets such for secrets that a build may not see
    user, token = environ.get(USER) or None, environ.get(TOKEN) or None
    if token is not None and user is None:
        raise UsageError(
            f"{TOKEN} is set and {USER} is not", hint="a token counts only with its user's name"
        )
    if user is not None and token is not None:
        return Access(url=url, user=user, token=token, source="environment")

    found = _from_keyring(url, user) or _from_netrc(url, user, environ)
    if found is None and user is not None:
        raise UsageError(
            f"there is no token for {user}",
            hint=f"set {TOKEN}, or keep it in a keyring or in ~/.netrc for this host",
        )
    return found or Access(url=url)


def address(project: Project, environ: Mapping[str, str]) -> str | None:
    """The controller's address, ending in `/`, if one is set."""
    url = environ.get(URL) or project.jenkins.url
    if not url:
        return None

    try:
        parts = urlsplit(url)
        # reading the port is what checks it: urlsplit itself takes any text there
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
    if not port_is_fine or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(
            "the controller's address is no http or https URL",
            hint="write https://jenkins.example.com/",
        )
    # the address is shown in messages and may stand in pyproject.toml, which is committed
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "the controller's address holds a user or a password",
            hint=f"take it out, and set {USER} and {TOKEN} in the environment",
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/"


def _from_keyring(url: str, user: str | None) -> Access | None:
    """Look under the controller's address, where the package keyring is installed."""
    try:
        import keyring
    except ImportError:
        return None
    try:
        found = keyring.get_credential(url.rstrip("/"), user)
    except Exception:  # noqa: BLE001 - locked or without a back end is as one without an entry
        return None
    if found is None or not found.password:
        return None
    return Access(url=url, user=found.username, token=found.password, source="keyring")


def _from_netrc(url: str, user: str | None, environ: Mapping[str, str]) -> Access | None:
    import netrc

    home = environ.get("HOME") or os.path.expanduser("~")
    # the variable with which curl and requests name another file
    path = environ.get("NETRC") or os.path.join(home, ".netrc")
    try:
        entry = netrc.netrc(path).authenticators(urlsplit(url).hostname or "")
    except OSError:
        return None
    except netrc.NetrcParseError as error:
        # its message may quote a password, so only the line's number is shown
        raise UsageError(f"line {error.lineno} is not understood", where=Location(path)) from None
    if entry is None:
        return None

    login, _, password = entry
    if not login or not password:
        return None
    if user is not None and login != user:
        return None
    return Access(url=url, user=login, token=password, source=path)
