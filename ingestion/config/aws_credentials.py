"""Decrypts AWS credentials that stand encrypted in the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ingestion.config.mistakes import Mistakes
from ingestion.config.secrets import is_encrypted, open_secret

AWS_ACCESS_KEY_ID = "AWS_ACCESS_KEY_ID"
AWS_SECRET_ACCESS_KEY = "AWS_SECRET_ACCESS_KEY"
AWS_SESSION_TOKEN = "AWS_SESSION_TOKEN"
AWS_VARIABLES = (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN)


@dataclass(frozen=True)
class AwsCredentials:
    """Credentials that are handed to the S3 client instead of the standard chain's."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


# The embedded server listens on this machine alone; these two words protect nothing.
EMBEDDED_CREDENTIALS = AwsCredentials("retail-mart", "retail-mart-embedded")


def decrypted_credentials(
    environ: Mapping[str, str], key: str | None, mistakes: Mistakes
) -> AwsCredentials | None:
    """Return the AWS variables decrypted, or None where the standard chain can read them as is.

    What cannot be decrypted is noted in ``mistakes``, under the variable's name.
    """
    given = {name: environ[name] for name in AWS_VARIABLES if environ.get(name)}
    if not any(is_encrypted(value) for value in given.values()):
        return None
    plain = {}
    for name in AWS_VARIABLES:
        if name in given:
            with mistakes.under(name):
                plain[name] = open_secret(given[name], key)
        elif name != AWS_SESSION_TOKEN:
            mistakes.add(name, "Missing, although another AWS variable is given encrypted")
    if not {AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY} <= plain.keys():
        return None
    return AwsCredentials(
        plain[AWS_ACCESS_KEY_ID], plain[AWS_SECRET_ACCESS_KEY], plain.get(AWS_SESSION_TOKEN)
    )
