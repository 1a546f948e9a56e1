"""The rule about secrets written in the notebook itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nbci.lint.finding import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.lint.notebook_facts import NotebookFacts

# Detectors that know what a service's tokens look like, and one for literals given to names such as
# `password`. Those that go by randomness alone take every digest for a secret.
_DETECTORS = (
    "ArtifactoryDetector",
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "BasicAuthDetector",
    "DiscordBotTokenDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "JwtTokenDetector",
    "KeywordDetector",
    "MailchimpDetector",
    "NpmDetector",
    "OpenAIDetector",
    "PrivateKeyDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "SquareOAuthDetector",
    "StripeDetector",
    "TelegramBotTokenDetector",
    "TwilioKeyDetector",
)
_FILTERS = (
    "detect_secrets.filters.allowlist.is_line_allowlisted",
    "detect_secrets.filters.heuristic.is_indirect_reference",
    "detect_secrets.filters.heuristic.is_not_alphanumeric_string",
    "detect_secrets.filters.heuristic.is_templated_secret",
)
_WORTH_A_LOOK = re.compile(r"""["'][^"']{4,}["']|://[^/\s]+@|[\w-]{20,}|-----BEGIN""")


def secrets_in_source(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield each line that holds what looks like a token, a password or a private key.

    Text cells are searched, too.
    """
    lines: list[tuple[int, int, str]] = []
    for cell in facts.notebook.cells:
        for at, line in enumerate(cell.source.splitlines(), 1):
            if _WORTH_A_LOOK.search(line):
                lines.append((cell.number, at, line))
    if not lines:
        return
    # imported only where a line may hold a secret: loading detect_secrets takes time
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import transient_settings

    settings = {
        "plugins_used": [{"name": name} for name in _DETECTORS],
        "filters_used": [{"path": path} for path in _FILTERS],
    }
    # detect_secrets keeps its settings in a global of the process; this restores them afterwards
    with transient_settings(settings):
        for number, at, line in lines:
            # two detectors may take a token for the same kind of secret
            kinds = dict.fromkeys(found.type for found in scan_line(line))
            if kinds:
                yield Hit(
                    message=f"this line holds what looks like a secret ({', '.join(kinds)})",
                    hint="take it from the environment, with the tag secret:NAME, and change it: "
                    "it is in the notebook's history "
                    "(if it is none: `# pragma: allowlist secret`)",
                    cell=number,
                    line=at,
                )
