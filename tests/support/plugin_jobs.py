"""Jobs of Jenkins as their config.xml has them."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from tests.support.tools import NBCI_ON_AGENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLDER: Final = "com.cloudbees.hudson.plugins.folder.Folder"
STEP: Final = "io.nbci.jenkins.step.NotebookBuilder"
THESE_TESTS: Final = f"these_tests = '{secrets.token_hex(4)}'"
"""A line of Python that no other run of the tests has."""
_CELL: Final = "io.nbci.jenkins.step.NotebookCell"
_SECRET: Final = "io.nbci.jenkins.step.SecretBinding"


def element(name: str, content: str = "") -> str:
    """An element with content that is XML already."""
    return f"<{name}>{content}</{name.partition(' ')[0]}>"


def notebook_step(
    *cells: str | tuple[str, str],
    bound: Mapping[str, str] | None = None,
    command: str = NBCI_ON_AGENTS,
    **fields: str,
) -> str:
    """The step "Run a notebook": cells with their tags, secrets with their credentials.

    The last cell names these tests, so that no earlier ones' results are reused on the agents.
    """
    pairs = [cell if isinstance(cell, tuple) else (cell, "") for cell in cells]
    pairs[-1:] = [(f"{code}\n{THESE_TESTS}", tags) for code, tags in pairs[-1:]]
    typed = [
        element(_CELL, element("code", escape(code)) + element("tags", tags))
        for code, tags in pairs
    ]
    secret = [
        element(_SECRET, element("secret", name) + element("credentialsId", credentials))
        for name, credentials in (bound or {}).items()
    ]
    parts = [element("command", escape(command))]
    parts += [element("cells", "".join(typed))] if typed else []
    parts += [element("secrets", "".join(secret))] if secret else []
    parts += [element(name, escape(text)) for name, text in fields.items()]
    return element(STEP, "".join(parts))


def shell_step(script: str) -> str:
    """The step "Execute shell"."""
    return element("hudson.tasks.Shell", element("command", escape(script)))


def freestyle(
    *builders: str,
    label: str = "",
    parameters: Mapping[str, str] | None = None,
    properties: str = "",
    more: str = "",
) -> str:
    """A freestyle job; its parameters are texts with defaults."""
    return element(
        "project",
        element("properties", _asked(parameters or {}) + properties)
        + _place(label)
        + element("concurrentBuild", "true")
        + element("builders", "".join(builders))
        + more,
    )


def matrix(*builders: str, axis: str, values: Sequence[str]) -> str:
    """A multi-configuration job with one axis of texts."""
    texts = "".join(element("string", escape(value)) for value in values)
    return element(
        "matrix-project",
        element(
            "axes",
            element("hudson.matrix.TextAxis", element("name", axis) + element("values", texts)),
        )
        + element("builders", "".join(builders))
        + "<publishers/><buildWrappers/>"
        + '<executionStrategy class="hudson.matrix.DefaultMatrixExecutionStrategyImpl">'
        + "<runSequentially>true</runSequentially></executionStrategy>",
    )


def pipeline(script: str) -> str:
    """A pipeline job with its script."""
    return element(
        "flow-definition",
        '<definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition">'
        + element("script", escape(script))
        + element("sandbox", "true")
        + "</definition>",
    )


def secret_text(name: str, value: str) -> str:
    """Credentials: a text."""
    return _credentials(
        "org.jenkinsci.plugins.plaincredentials.impl.StringCredentialsImpl",
        name,
        element("secret", escape(value)),
    )


def secret_user(name: str, user: str, password: str) -> str:
    """Credentials: a user with a password."""
    return _credentials(
        "com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl",
        name,
        element("username", user) + element("password", escape(password)),
    )


def secret_file(name: str, content: bytes) -> str:
    """Credentials: a file."""
    encoded = base64.b64encode(content).decode()
    return _credentials(
        "org.jenkinsci.plugins.plaincredentials.impl.FileCredentialsImpl",
        name,
        element("fileName", "../key.txt") + element("secretBytes", encoded),
    )


def _credentials(kind: str, name: str, content: str) -> str:
    return element(kind, element("scope", "GLOBAL") + element("id", name) + content)


def _asked(parameters: Mapping[str, str]) -> str:
    asked = [
        element(
            "hudson.model.StringParameterDefinition",
            element("name", name) + element("defaultValue", escape(default)),
        )
        for name, default in parameters.items()
    ]
    if not asked:
        return ""
    definitions = element("parameterDefinitions", "".join(asked))
    return element("hudson.model.ParametersDefinitionProperty", definitions)


def _place(label: str) -> str:
    if not label:
        return element("canRoam", "true")
    return element("assignedNode", escape(label)) + element("canRoam", "false")
