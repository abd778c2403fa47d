"""Reads the settings from environment, ``.env`` and ``pipeline.toml`` into one frozen object."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ingestion.config.aws_credentials import (
    AWS_SECRET_ACCESS_KEY,
    AWS_SESSION_TOKEN,
    EMBEDDED_CREDENTIALS,
    AwsCredentials,
    decrypted_credentials,
)
from ingestion.config.database_url import SQLITE
from ingestion.config.mistakes import Mistakes
from ingestion.config.profiles import FileProfile
from ingestion.config.secrets import load_key
from ingestion.config.setting_sources import CONFIG_FILE, PREFIX, Given, open_sources, variable_name
from ingestion.config.setting_values import (
    check_bucket,
    check_date,
    check_endpoint,
    check_prefix,
    check_time_zone,
    complete_path,
    complete_url,
    open_password,
    region_of_endpoint,
    text_of,
)
from ingestion.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

_PREFIX_RULE = "folder names with / between them, such as sales_data/"
Prefix = Annotated[str, AfterValidator(check_prefix), Field(description=_PREFIX_RULE)]


class Settings(BaseSettings):
    """Everything a run may be told, checked; made by `load_settings`.

    Paths are absolute, prefixes end with ``/`` and none begins with another. A field is checked
    with those above it at hand.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        enable_decoding=False,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    project: Path
    uses_embedded_s3: bool = False
    dbt_variables: dict[str, str] = Field(default={}, repr=False)

    workspace: Annotated[Path, AfterValidator(complete_path)] = Field(
        default=Path(".workspace"), description="a folder"
    )
    bucket: Annotated[str, AfterValidator(check_bucket)] = Field(
        default="retail-mart",
        description="3 to 63 lowercase letters, digits, dots and hyphens, such as acme-retail",
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
    s3_region: Annotated[str | None, AfterValidator(region_of_endpoint)] = Field(
        default=None, pattern=r"^[a-z0-9-]{1,63}\z", description="a region, such as eu-west-1"
    )
    s3_threads: int = Field(default=4, ge=1, le=64, description="a whole number from 1 to 64")
    secret_key: SecretStr | None = Field(default=None, description="text")
    secret_key_file: Path | None = Field(default=None, description="a file")
    database_url: Annotated[SecretStr, AfterValidator(complete_url)] = Field(
        default=SecretStr(""), description="text"
    )
    database_password: Annotated[SecretStr, AfterValidator(open_password)] | None = Field(
        default=None, description="text"
    )
    log_format: Annotated[
        Literal["text", "json"], BeforeValidator(lambda word: str(word).lower())
    ] = Field(default="text", description="text or json")
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        BeforeValidator(lambda word: str(word).upper()),
    ] = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR")
    business_date: Annotated[date, BeforeValidator(check_date)] | None = Field(
        default=None, description="a valid date as yyyy-mm-dd"
    )
    time_zone: Annotated[str, AfterValidator(check_time_zone)] = Field(
        default="UTC", description="a name such as Asia/Kolkata"
    )
    publish_reports: bool = Field(default=True, description="true or false")
    keep_publications: int = Field(
        default=10, ge=1, le=1000, description="a whole number from 1 to 1000"
    )
    profiles: tuple[FileProfile, ...] = Field(
        default=(), description=f"[[profiles]] before each profile in {CONFIG_FILE}"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the sources that `load_settings` opened, in place of the process's own."""
        values = dict(init_settings())
        sources = values.pop("sources", ())
        return (InitSettingsSource(settings_cls, values), *sources)

    @property
    def database(self) -> URL:
        """The SQLAlchemy URL with its password, which its ``str`` and ``repr`` do not show."""
        from sqlalchemy.engine import make_url

        url = make_url(self.database_url.get_secret_value())
        password = self.database_password
        return url.set(password=password.get_secret_value()) if password else url

    @property
    def is_embedded(self) -> bool:
        """Whether nothing but the workspace and a database file can be touched."""
        return self.uses_embedded_s3 and self.database.get_backend_name() == SQLITE

    def today(self) -> date:
        """The day that a run takes for today: the one that is given, or the time zone's own."""
        return self.day_of(datetime.now(UTC).replace(tzinfo=None))

    def day_of(self, moment: datetime) -> date:
        """The stores' day of a moment in UTC; the business date, where one is given."""
        zone = UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone)
        return self.business_date or moment.replace(tzinfo=UTC).astimezone(zone).date()

    def aws_credentials(self, environ: Mapping[str, str]) -> AwsCredentials | None:
        """Return the credentials for the S3 client, or None where the standard chain finds them.

        The embedded server has fixed ones. Where one of the AWS variables in ``environ`` is
        encrypted, all of them come back decrypted, since the chain cannot read them. Raises
        UsageError when that fails.
        """
        if self.uses_embedded_s3:
            return EMBEDDED_CREDENTIALS
        mistakes = Mistakes()
        credentials = decrypted_credentials(environ, text_of(self.secret_key), mistakes)
        mistakes.raise_if_any()
        return credentials

    def secret_values(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Return every secret a run knows, for the log to mask."""
        aws = [environ.get(name, "") for name in (AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN)]
        credentials = None if self.uses_embedded_s3 else self.aws_credentials(environ)
        if credentials:
            aws += [credentials.secret_access_key, credentials.session_token or ""]
        secrets = [self.database.password, text_of(self.secret_key), *aws]
        return tuple(dict.fromkeys(str(secret) for secret in secrets if secret))


_DERIVED = frozenset({"project", "uses_embedded_s3", "dbt_variables"})
SETTING_NAMES = frozenset(Settings.model_fields) - _DERIVED


def load_settings(project: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of the project in the folder ``project``.

    A variable in ``environ`` (the process's own by default) wins over ``.env``, and that over
    ``pipeline.toml``; an empty variable counts as not given. Nothing is created or connected to.
    Raises one UsageError that lists every mistake.
    """
    environ = os.environ if environ is None else environ
    project = project.resolve()
    mistakes = Mistakes()
    given = open_sources(Settings, SETTING_NAMES, project, environ, mistakes)
    is_embedded = not {"bucket", "s3_endpoint_url"} & given.names.keys()
    key = _secret_key(given, project, environ, mistakes)
    if not is_embedded:
        decrypted_credentials(environ, key, mistakes)
    _check_together(given, mistakes)
    values: dict[str, Any] = {
        "project": project,
        "uses_embedded_s3": is_embedded,
        "dbt_variables": given.dbt_variables,
        "secret_key": key,
        "sources": given.sources,
    }
    try:
        settings = Settings(**values)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            setting, *inside = detail["loc"][:3]  # inside the profiles: an index and a field
            model, field = (FileProfile, inside[1]) if inside[1:] else (Settings, setting)
            written = given.written(str(setting), *inside)
            mistakes.add_invalid(written, model, str(field), detail)
    else:
        is_file = settings.database_url.get_secret_value().startswith(SQLITE)
        if settings.database_password and is_file and "database_url" in given.names:
            mistakes.add(
                given.written("database_password"),
                f"A password, although {given.written('database_url')} is an SQLite file",
                action="Remove it; a file has none",
            )
    mistakes.raise_if_any()
    return settings


def load_secret_key(project: Path, environ: Mapping[str, str] | None = None) -> str:
    """Return the key for secrets; nothing else that is set needs to be right.

    Raises UsageError where there is none, and as `load_key` does.
    """
    environ = os.environ if environ is None else environ
    project = project.resolve()
    given = open_sources(Settings, SETTING_NAMES, project, environ, Mistakes())
    mistakes = Mistakes()
    key = _secret_key(given, project, environ, mistakes)
    mistakes.raise_if_any()
    if key is None:
        raise UsageError(
            "There is no encryption key",
            expected="RETAIL_SECRET_KEY or RETAIL_SECRET_KEY_FILE",
            action="Create one: python run_pipeline.py secrets generate-key",
        )
    return key


def _secret_key(
    given: Given, project: Path, environ: Mapping[str, str], mistakes: Mistakes
) -> str | None:
    key_file = given.value("secret_key_file")
    with mistakes.under(given.written("secret_key" if key_file is None else "secret_key_file")):
        path = Path(key_file) if isinstance(key_file, str) else None
        return load_key(environ.get(variable_name("secret_key")), path, project)
    return None


def _check_together(given: Given, mistakes: Mistakes) -> None:
    """Note the settings that are given without another that they need."""
    if "s3_endpoint_url" in given.names and "bucket" not in given.names:
        mistakes.add(
            given.written("bucket"),
            f"Missing, although {given.written('s3_endpoint_url')} is given",
            action="Name the bucket at that endpoint",
        )
    if "database_password" in given.names and "database_url" not in given.names:
        mistakes.add(
            given.written("database_password"),
            f"A password without {given.written('database_url')}",
            action="Give the URL of its database",
        )
    titles = given.profile_titles()
    for title, count in Counter(titles).items():
        if count > 1:
            mistakes.add(
                given.written("profiles", titles.index(title)),
                f"{count} profiles have this name",
                action="Give each its own",
            )
