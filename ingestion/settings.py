"""Reads the settings from environment, ``.env`` and ``pipeline.toml`` into one frozen object."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from ingestion.aws_credentials import (
    AWS_SECRET_ACCESS_KEY,
    AWS_SESSION_TOKEN,
    EMBEDDED_CREDENTIALS,
    AwsCredentials,
    decrypted_credentials,
)
from ingestion.database_url import split_database_url, sqlite_url
from ingestion.mistakes import Mistakes, check_fields
from ingestion.profiles import FileProfile, read_profiles
from ingestion.secrets import load_key, open_secret
from ingestion.setting_sources import Given, read_sources
from ingestion.setting_values import (
    check_bucket,
    check_date,
    check_endpoint,
    check_prefix,
    lower,
    upper,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

ENDPOINT_REGION = "us-east-1"


_PREFIX_RULE = "folder names with / between them, such as sales_data/"
Prefix = Annotated[str, AfterValidator(check_prefix), Field(description=_PREFIX_RULE)]


class Settings(BaseModel):
    """Everything a run may be told, checked; made by `load_settings`.

    Paths are absolute, prefixes end with ``/`` and none begins with another. ``database_url``
    holds no password: `database` puts the two together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    project: Path
    uses_embedded_s3: bool = False
    dbt_variables: dict[str, str] = Field(default={}, repr=False)

    workspace: Path = Field(description="a folder")
    bucket: Annotated[str, AfterValidator(check_bucket)] = Field(
        default="retail-mart",
        description="3 to 63 small letters, digits, dots and hyphens, such as acme-retail",
    )
    inbox_prefix: Prefix = "sales_data/"
    error_prefix: Prefix = "sales_data_error/"
    processed_prefix: Prefix = "sales_data_processed/"
    customer_mart_prefix: Prefix = "customer_data_mart/"
    sales_mart_prefix: Prefix = "sales_data_mart/"
    publication_prefix: Prefix = "publications/"
    s3_endpoint_url: Annotated[str, AfterValidator(check_endpoint)] | None = Field(
        default=None,
        description="http:// or https:// and a host, such as https://s3.example.com, without a"
        " user or a query",
    )
    s3_region: str | None = Field(
        default=None, pattern=r"^[a-z0-9-]{1,63}\z", description="a region, such as eu-west-1"
    )
    database_url: SecretStr
    database_password: SecretStr | None = Field(default=None, description="text")
    database_pool_size: int = Field(
        default=5, ge=1, le=100, description="a whole number from 1 to 100"
    )
    secret_key: SecretStr | None = Field(default=None, description="text")
    secret_key_file: Path | None = Field(default=None, description="a file")
    log_format: Annotated[Literal["text", "json"], BeforeValidator(lower)] = Field(
        default="text", description="text or json"
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(upper)] = (
        Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR")
    )
    business_date: Annotated[date, BeforeValidator(check_date)] | None = Field(
        default=None, description="a real day as yyyy-mm-dd"
    )
    publish_reports: bool = Field(default=True, description="true or false")
    keep_publications: int = Field(
        default=10, ge=1, le=1000, description="a whole number from 1 to 1000"
    )
    download_threads: int = Field(default=4, ge=1, le=64, description="a whole number from 1 to 64")
    profiles: tuple[FileProfile, ...] = ()

    @property
    def database(self) -> URL:
        """The SQLAlchemy URL with its password, which its ``str`` and ``repr`` do not show."""
        from sqlalchemy.engine import make_url

        url = make_url(self.database_url.get_secret_value())
        password = self.database_password
        return url if password is None else url.set(password=password.get_secret_value())

    def aws_credentials(self, environ: Mapping[str, str]) -> AwsCredentials | None:
        """Return the credentials for the S3 client, or None where the standard chain finds them.

        The embedded server has fixed ones. Where one of the AWS variables in ``environ`` is
        encrypted, all of them come back decrypted, since the chain cannot read them. Raises
        UsageError when that fails.
        """
        if self.uses_embedded_s3:
            return EMBEDDED_CREDENTIALS
        key = self.secret_key.get_secret_value() if self.secret_key else None
        mistakes = Mistakes()
        credentials = decrypted_credentials(environ, key, mistakes)
        mistakes.raise_if_any()
        return credentials

    def secret_values(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Return every secret a run knows, for the log to mask."""
        settings = [self.database_password, self.secret_key]
        own = [secret.get_secret_value() for secret in settings if secret is not None]
        aws = [environ.get(name, "") for name in (AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN)]
        credentials = None if self.uses_embedded_s3 else self.aws_credentials(environ)
        if credentials:
            aws += [credentials.secret_access_key, credentials.session_token or ""]
        return tuple(dict.fromkeys(secret for secret in own + aws if secret))


_DERIVED = frozenset({"project", "uses_embedded_s3", "dbt_variables"})
SETTING_NAMES = frozenset(Settings.model_fields) - _DERIVED
PREFIX_NAMES = tuple(name for name in Settings.model_fields if name.endswith("_prefix"))


def load_settings(project: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of the project in the folder ``project``.

    A variable in ``environ`` (the process's own by default) wins over ``.env``, and that over
    ``pipeline.toml``; an empty variable counts as not given. Nothing is created or connected to.
    Raises one UsageError that lists every mistake.
    """
    environ = os.environ if environ is None else environ
    project = project.resolve()
    mistakes = Mistakes()
    given = read_sources(project, environ, SETTING_NAMES, mistakes)
    in_config = given.written("profiles").removeprefix("profiles")
    profiles = read_profiles(
        given.values.pop("profiles", []), lambda place: place + in_config, mistakes
    )
    is_embedded = not {"bucket", "s3_endpoint_url"} & given.values.keys()
    has_own_endpoint = is_embedded or "s3_endpoint_url" in given.values
    fallbacks: dict[str, object] = {
        "project": project,
        "uses_embedded_s3": is_embedded,
        "dbt_variables": given.dbt_variables,
        "workspace": ".workspace",
        "s3_region": ENDPOINT_REGION if has_own_endpoint else None,
        "database_url": "",
        "profiles": profiles,
    }
    checked = check_fields(Settings, {**fallbacks, **given.values}, given.written, mistakes)
    draft = Settings.model_validate({**fallbacks, **checked})
    workspace = (project / draft.workspace.expanduser()).resolve()
    key = _load_key(draft, given, mistakes)
    url, password = _split_database(draft, workspace, key, given, mistakes)
    _check_together(draft, given, checked, mistakes)
    if not is_embedded:
        decrypted_credentials(environ, key, mistakes)
    mistakes.raise_if_any()
    return draft.model_copy(
        update={
            "workspace": workspace,
            "secret_key": SecretStr(key) if key else None,
            "database_url": SecretStr(url),
            "database_password": None if password is None else SecretStr(password),
        }
    )


def _load_key(draft: Settings, given: Given, mistakes: Mistakes) -> str | None:
    secret_key = draft.secret_key.get_secret_value() if draft.secret_key else None
    setting = "secret_key_file" if draft.secret_key_file else "secret_key"
    with mistakes.under(given.written(setting)):
        return load_key(secret_key, draft.secret_key_file, draft.project)
    return None


def _split_database(
    draft: Settings, workspace: Path, key: str | None, given: Given, mistakes: Mistakes
) -> tuple[str, str | None]:
    """Return the URL without its password, and the password: the one given apart, if there is."""
    url, password = sqlite_url(workspace / "database.sqlite"), None
    with mistakes.under(given.written("database_url")):
        text = draft.database_url.get_secret_value()
        if text:
            url, in_url = split_database_url(open_secret(text, key), draft.project)
            password = in_url and open_secret(in_url, key)
    with mistakes.under(given.written("database_password")):
        if draft.database_password:
            password = open_secret(draft.database_password.get_secret_value(), key)
    return url, password


def _check_together(
    draft: Settings, given: Given, checked: Mapping[str, object], mistakes: Mistakes
) -> None:
    """Note what is wrong between settings that are right one by one."""
    if "s3_endpoint_url" in given.values and "bucket" not in given.values:
        mistakes.add(
            given.written("bucket"),
            f"Missing, while {given.written('s3_endpoint_url')} is given",
            action="Name the bucket at that endpoint",
        )
    if "database_password" in given.values and "database_url" not in given.values:
        mistakes.add(
            given.written("database_password"),
            f"A password without {given.written('database_url')}",
            action="Give the URL of the database that it opens",
        )
    right = [name for name in PREFIX_NAMES if name in checked or name not in given.values]
    for one, other in combinations(right, 2):
        shorter, longer = sorted((one, other), key=lambda name: len(getattr(draft, name)))
        outer, inner = getattr(draft, shorter), getattr(draft, longer)
        if inner.startswith(outer):
            mistakes.add(
                given.written(longer),
                f"The same as or inside {given.written(shorter)}",
                expected="a prefix of its own",
                found=f"{inner!r} in {outer!r}",
            )
