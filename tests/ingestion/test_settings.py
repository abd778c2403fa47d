"""Settings: three sources become one checked object, and one message names every mistake."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import botocore
import pytest
from pydantic import ValidationError

from ingestion.config.aws_credentials import EMBEDDED_CREDENTIALS, AwsCredentials
from ingestion.config.secrets import encrypt, generate_key
from ingestion.config.settings import SETTING_NAMES, Settings, load_settings
from ingestion.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
KEY = generate_key()
PASSWORD = "p@ss:w/rd?#%41 é'\"\\"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return an empty project folder with room beside it."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def mistakes(project: Path, environ: Mapping[str, str]) -> list[str]:
    """Return the lines of the one error, without its head."""
    with pytest.raises(UsageError) as caught:
        load_settings(project, environ)
    head, *lines = str(caught.value).splitlines()
    count = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    assert head == f"The settings have {count}:"
    return lines


def password_of(settings: Settings) -> str | None:
    """Return the password that a connection would use."""
    return settings.database.password


# --- defaults and sources ------------------------------------------------------------------------


def test_with_nothing_given_all_is_embedded(project: Path) -> None:
    """Risk: a fresh clone asks for settings, or looks outside its workspace."""
    settings = load_settings(project, {})
    assert settings.uses_embedded_s3
    assert settings.workspace == project / ".workspace"
    assert (settings.bucket, settings.s3_endpoint_url) == ("retail-mart", None)
    assert settings.s3_region == "us-east-1"
    assert [
        getattr(settings, name) for name in Settings.model_fields if name.endswith("_prefix")
    ] == [
        "sales_data/",
        "sales_data_error/",
        "sales_data_processed/",
        "customer_data_mart/",
        "sales_data_mart/",
        "publications/",
    ]
    assert str(settings.database) == f"sqlite:///{project}/.workspace/database.sqlite"
    assert settings.aws_credentials({}) == EMBEDDED_CREDENTIALS
    assert (settings.business_date, settings.profiles, settings.secret_key) == (None, (), None)
    assert not list(project.iterdir())


def test_the_environment_wins_over_dotenv_and_that_over_toml(project: Path) -> None:
    """Risk: what an operator sets for one run is overruled by a forgotten file."""
    (project / "pipeline.toml").write_text(
        'log_level = "ERROR"\nkeep_publications = 1\ns3_threads = 1\n'
    )
    (project / ".env").write_text("RETAIL_KEEP_PUBLICATIONS=2\nRETAIL_S3_THREADS=2\n")
    environ = {"RETAIL_S3_THREADS": "3", "RETAIL_LOG_FORMAT": "", "PATH": "/bin"}
    settings = load_settings(project, environ)
    assert (settings.log_level, settings.log_format) == ("ERROR", "text")
    assert (settings.keep_publications, settings.s3_threads) == (2, 3)


def test_the_process_environment_is_the_default(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: only tests, which pass a mapping, see the variables."""
    monkeypatch.setenv("RETAIL_LOG_LEVEL", "debug")
    assert load_settings(project).log_level == "DEBUG"


@pytest.mark.parametrize("place", ["environment", "dotenv"])
def test_the_config_file_may_lie_elsewhere(project: Path, place: str) -> None:
    """Risk: the named file is ignored, and the one in the project read in its stead."""
    (project / "pipeline.toml").write_text("keep_publications = 1\n")
    (project.parent / "other.toml").write_text("keep_publications = 2\n")
    if place == "dotenv":
        (project / ".env").write_text("RETAIL_CONFIG=../other.toml\n")
    environ = {"RETAIL_CONFIG": "../other.toml"} if place == "environment" else {}
    assert load_settings(project, environ).keep_publications == 2


def test_values_take_their_types(project: Path) -> None:
    """Risk: a TOML date, a text number or a word for false is refused or misread."""
    (project / "pipeline.toml").write_text("business_date = 2024-02-29\npublish_reports = false\n")
    settings = load_settings(project, {"RETAIL_DATABASE_POOL_SIZE": "9"})
    assert settings.business_date == datetime.date(2024, 2, 29)
    assert (settings.publish_reports, settings.database_pool_size) == (False, 9)
    settings = load_settings(
        project, {"RETAIL_BUSINESS_DATE": "2024-03-01", "RETAIL_PUBLISH_REPORTS": "yes"}
    )
    assert settings.business_date == datetime.date(2024, 3, 1)
    assert settings.publish_reports is True


def test_variables_of_the_dbt_profile_are_passed_on(project: Path) -> None:
    """Risk: the profile's own variables are refused as unknown, or stay behind in .env."""
    (project / ".env").write_text("RETAIL_SPARK_MASTER=local[1]\nRETAIL_SPARK_QUEUE=a\n")
    settings = load_settings(project, {"RETAIL_SPARK_QUEUE": "b", "OTHER": "c"})
    assert settings.dbt_variables == {"RETAIL_SPARK_MASTER": "local[1]", "RETAIL_SPARK_QUEUE": "b"}


def test_a_variable_that_nothing_reads_is_refused(project: Path) -> None:
    """Risk: a name of the profile is misspelt, and its value is passed over."""
    with pytest.raises(UsageError, match="RETAIL_DBT_TARGET"):
        load_settings(project, {"RETAIL_DBT_TARGET": "b"})


@pytest.mark.parametrize(("folder", "marks"), [("Acme [new]", "[ or ]"), ('24" \\b', '" or \\')])
def test_a_workspace_that_spark_would_misread_is_refused(
    project: Path, folder: str, marks: str
) -> None:
    """Risk: a folder named 'Acme [new]' fails in the middle of the first run, in Spark's words."""
    with pytest.raises(UsageError) as refused:
        load_settings(project, {"RETAIL_WORKSPACE": f"/data/{folder}"})
    assert str(refused.value) == (
        f"The settings have 1 mistake:\n- RETAIL_WORKSPACE: No folder with {marks} in its path can "
        f"be used. Expected: a folder. Found: {f'/data/{folder}'!r}."
    )


def test_paths_count_from_the_project(project: Path) -> None:
    """Risk: a run from another folder makes a second workspace or an empty database."""
    settings = load_settings(
        project, {"RETAIL_WORKSPACE": "../work#1", "RETAIL_DATABASE_URL": "sqlite:///data/x y.db"}
    )
    assert settings.workspace == project.parent / "work#1"
    assert settings.database.database == str(project / "data" / "x y.db")
    settings = load_settings(project, {"RETAIL_WORKSPACE": "../work#1"})
    assert settings.database.database == str(project.parent / "work#1" / "database.sqlite")
    settings = load_settings(project, {"RETAIL_DATABASE_URL": "sqlite:////tmp/a@b.db?timeout=9"})
    assert (settings.database.database, settings.database.query) == (
        "/tmp/a@b.db",
        {"timeout": "9"},
    )


def test_settings_cannot_be_changed(project: Path) -> None:
    """Risk: one step changes what a later one reads."""
    with pytest.raises(ValidationError, match="frozen"):
        load_settings(project, {}).bucket = "other"  # type: ignore[misc]


def test_reading_the_settings_is_quick() -> None:
    """Risk: every command, even one with nothing to do, waits for libraries it does not use."""
    code = "import sys, ingestion.config.settings; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"sqlalchemy", "boto3", "botocore", "pyarrow", "pyspark", "dbt", "cryptography"}
    assert "ingestion.config.settings" in loaded
    assert heavy.isdisjoint(loaded)


# --- S3 ------------------------------------------------------------------------------------------


def test_a_bucket_alone_is_one_on_aws(project: Path) -> None:
    """Risk: with a bucket set, the run still goes to the embedded server or to a wrong region."""
    settings = load_settings(project, {"RETAIL_BUCKET": "acme-retail"})
    assert not settings.uses_embedded_s3
    assert (settings.bucket, settings.s3_endpoint_url, settings.s3_region) == (
        "acme-retail",
        None,
        None,
    )
    assert settings.aws_credentials({"AWS_ACCESS_KEY_ID": "a"}) is None


def test_an_endpoint_has_a_region_and_no_slash(project: Path) -> None:
    """Risk: the S3 client refuses to start without a region, or writes // into addresses."""
    environ = {"RETAIL_BUCKET": "acme", "RETAIL_S3_ENDPOINT_URL": "http://127.0.0.1:8333/"}
    settings = load_settings(project, environ)
    assert (settings.s3_endpoint_url, settings.s3_region) == ("http://127.0.0.1:8333", "us-east-1")
    environ["RETAIL_S3_ENDPOINT_URL"] = "HTTPS:s3.example.com/base/"
    assert load_settings(project, environ).s3_endpoint_url == "https://s3.example.com/base"
    settings = load_settings(project, {**environ, "RETAIL_S3_REGION": "eu-west-1"})
    assert settings.s3_region == "eu-west-1"


def test_an_endpoint_without_a_bucket_is_a_gap(project: Path) -> None:
    """Risk: the embedded bucket's name is looked for on a real service."""
    assert mistakes(project, {"RETAIL_S3_ENDPOINT_URL": "https://s3.example.com"}) == [
        "- RETAIL_BUCKET: Missing, although RETAIL_S3_ENDPOINT_URL is given. "
        "Name the bucket at that endpoint."
    ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3.example.com", "s3.example.com"),
        ("ftp://s3.example.com", "ftp://s3.example.com"),
        ("https://", "https://"),
        ("http://host:port", "http://host:port"),
        ("https://me:hunt/er2@s3.example.com", "https://***s3.example.com"),
        ("https://s3.example.com?token=hunter2", "https://s3.example.com?***"),
        ("me:hunter2@s3.example.com", "***s3.example.com"),
        ("https:/me:hunter2@s3.example.com", "***s3.example.com"),
    ],
)
def test_an_endpoint_is_a_plain_http_address(project: Path, url: str, shown: str) -> None:
    """Risk: a bad address fails only at the first request, or its password is shown."""
    (line,) = mistakes(project, {"RETAIL_BUCKET": "acme", "RETAIL_S3_ENDPOINT_URL": url})
    assert line.rstrip("'.") == (
        "- RETAIL_S3_ENDPOINT_URL: Not the address of an S3 service. "
        "Expected: http:// or https:// and a host, such as https://s3.example.com, "
        f"without a user or a query. Found: '{shown}"
    )


@pytest.mark.parametrize("host", ["bad_host_name:9000", "s3..example.com"])
def test_an_endpoint_has_a_host_that_the_s3_client_takes(project: Path, host: str) -> None:
    """Risk: a name that Docker allows ends in a stack trace of the S3 client's."""
    (line,) = mistakes(
        project, {"RETAIL_BUCKET": "acme", "RETAIL_S3_ENDPOINT_URL": f"http://{host}"}
    )
    assert "host" in line
    assert line.endswith(f"Found: 'http://{host}'.")


@pytest.mark.parametrize("name", ["RETAIL_WORKSPACE", "RETAIL_CONFIG", "RETAIL_SECRET_KEY_FILE"])
def test_a_home_folder_that_is_not_there_is_one_mistake(project: Path, name: str) -> None:
    """Risk: a mistyped ~user ends in a stack trace."""
    assert mistakes(project, {name: "~nobody-of-this-name/x"}) == [
        f"- {name}: There is no such home folder. Found: ~nobody-of-this-name."
    ]


def test_links_in_a_loop_are_no_missing_home_folder(project: Path, tmp_path: Path) -> None:
    """Risk: somebody looks for a user's home folder that no setting names."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    found = f"{loop / 'x'} (Too many levels of symbolic links)."
    assert mistakes(project, {"RETAIL_CONFIG": str(loop / "x")}) == [
        f"- RETAIL_CONFIG: The file cannot be read. Found: {found}"
    ]
    assert mistakes(project, {"RETAIL_SECRET_KEY_FILE": str(loop / "x")}) == [
        f"- RETAIL_SECRET_KEY_FILE: The key file cannot be read. Found: {found} Correct the path. "
        "Create one with `python run_pipeline.py secrets generate-key`."
    ]


@pytest.mark.parametrize("name", ["ab", "Acme", "a_b", "-ab", "a..b", "10.0.0.1", "a" * 64])
def test_a_bucket_name_follows_s3(project: Path, name: str) -> None:
    """Risk: a name that S3 refuses shows as a puzzling failure of the first request."""
    assert mistakes(project, {"RETAIL_BUCKET": name}) == [
        "- RETAIL_BUCKET: Not a bucket name that S3 allows. Expected: 3 to 63 lowercase letters, "
        f"digits, dots and hyphens, such as acme-retail. Found: {name!r}."
    ]


def test_a_bucket_is_not_an_address(project: Path) -> None:
    """Risk: s3:// in front is taken for a part of the name."""
    (line,) = mistakes(project, {"RETAIL_BUCKET": "s3://acme/in"})
    assert line.startswith(
        "- RETAIL_BUCKET: Not just a bucket name, but a path, URL or ARN. Expected: 3 to 63 "
    )


def test_a_prefix_gets_its_slash(project: Path) -> None:
    """Risk: 'in' as a prefix also takes the keys of 'inventory/'."""
    assert load_settings(project, {"RETAIL_INBOX_PREFIX": "in/tills"}).inbox_prefix == "in/tills/"


@pytest.mark.parametrize("prefix", ["/in", "in//tills", "/", "in//"])
def test_a_prefix_has_no_empty_folder(project: Path, prefix: str) -> None:
    """Risk: keys with // that most tools cannot reach."""
    assert mistakes(project, {"RETAIL_INBOX_PREFIX": prefix}) == [
        "- RETAIL_INBOX_PREFIX: An empty folder name: it begins with / or contains //. Expected: "
        f"folder names with / between them, such as sales_data/. Found: {prefix!r}."
    ]


@pytest.mark.parametrize("prefix", ["../in", "in/./x", "in\tx"])
def test_a_prefix_can_be_read_by_every_tool(project: Path, prefix: str) -> None:
    """Risk: a download path leaves its folder."""
    (line,) = mistakes(project, {"RETAIL_INBOX_PREFIX": prefix})
    assert "A folder name that some S3 tools cannot read" in line


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ("sales_data/", "sales_data/"),
        ("sales_data/", "sales_data/errors/"),
        ("in/tills/", "in/"),
    ],
)
def test_no_prefix_lies_in_another(project: Path, inner: str, outer: str) -> None:
    """Risk: a file set aside is listed as new, again and again."""
    environ = {"RETAIL_INBOX_PREFIX": inner, "RETAIL_ERROR_PREFIX": outer}
    outer, inner = sorted((outer, inner), key=len)
    assert mistakes(project, environ) == [
        "- RETAIL_ERROR_PREFIX: The same as RETAIL_INBOX_PREFIX, or one is inside the other. "
        f"Expected: a separate prefix. Found: '{inner}' in '{outer}'."
    ]


# --- database ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"])
def test_mysql_goes_through_one_driver_in_utf8mb4(project: Path, scheme: str) -> None:
    """Risk: another driver is looked for, or names lose their letters."""
    authority = Path(botocore.__file__).with_name("cacert.pem")
    url = f"{scheme}://me:pw@db.example.com:3307/retail?charset=latin1&ssl_ca={authority}"
    database = load_settings(project, {"RETAIL_DATABASE_URL": url}).database
    assert database.render_as_string(hide_password=False) == (
        "mysql+pymysql://me:pw@db.example.com:3307/retail?charset=utf8mb4&ssl_ca="
        + quote(str(authority), safe="")
    )


def test_a_password_apart_may_hold_any_character(project: Path) -> None:
    """Risk: a strong password breaks the URL or reaches the server altered."""
    environ = {"RETAIL_DATABASE_URL": "mysql://me@db/retail", "RETAIL_DATABASE_PASSWORD": PASSWORD}
    database = load_settings(project, environ).database
    assert (database.username, database.password, database.host) == ("me", PASSWORD, "db")
    (project / ".env").write_text("RETAIL_DATABASE_PASSWORD='$a ${HOME} #b@c'\n")
    environ.pop("RETAIL_DATABASE_PASSWORD")
    assert password_of(load_settings(project, environ)) == "$a ${HOME} #b@c"


def test_a_password_apart_wins_over_the_one_in_the_url(project: Path) -> None:
    """Risk: a rotated password given apart is not used."""
    environ = {"RETAIL_DATABASE_URL": "mysql://me:old%40@db/retail"}
    assert password_of(load_settings(project, environ)) == "old@"
    environ["RETAIL_DATABASE_PASSWORD"] = "new"
    assert password_of(load_settings(project, environ)) == "new"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (
            "mysql://me:hunt@er2@db/retail",
            "The URL has more than one @, so it is unclear where the password ends and the host "
            "begins. Give the password separately, in RETAIL_DATABASE_PASSWORD, where any "
            "character is allowed, or write @ as %40.",
        ),
        (
            "mysql://root:hunter2/retail",
            "The URL cannot be read, perhaps because of unescaped special characters in the "
            "password, such as : / @ ?. Expected: mysql://user@host:3306/database, mariadb://… or "
            "sqlite:///file. Give the password separately, in RETAIL_DATABASE_PASSWORD, where any "
            "character is allowed.",
        ),
        (
            "mysql://me@db/retail?password=hunter2",
            "The password is given after the ?. Give the password separately, "
            "in RETAIL_DATABASE_PASSWORD, where any character is allowed.",
        ),
        (
            "mysql://me:hunter2@db",
            "The URL names no database. Expected: mysql://user@host:3306/database, mariadb://… or "
            "sqlite:///file.",
        ),
        (
            "postgresql://me:hunter2@db/retail",
            "The pipeline does not support this database. Expected: "
            "mysql://user@host:3306/database, mariadb://… or sqlite:///file. Found: "
            "postgresql://.",
        ),
        (
            "me:hunter2@db/retail",
            "Not a database URL. Expected: mysql://user@host:3306/database, mariadb://… or "
            "sqlite:///file.",
        ),
        (
            "sqlite://",
            "The SQLite URL names no file. Expected: sqlite:///retail.sqlite. Name a file: the "
            "pipeline's records must outlive the run.",
        ),
        (
            "mysql://me@db/retail?ssl_mode=REQUIRED",
            "The URL has an unknown option, ssl_mode. Expected: ssl_ca, ssl_cert, ssl_key, "
            "ssl_capath, ssl_cipher, ssl_check_hostname, connect_timeout, read_timeout, "
            "write_timeout, unix_socket, charset.",
        ),
        (
            "mysql://me@db/retail?conect_timeout=5",
            "The URL has an unknown option, conect_timeout. Expected: ssl_ca, ssl_cert, ssl_key, "
            "ssl_capath, ssl_cipher, ssl_check_hostname, connect_timeout, read_timeout, "
            "write_timeout, unix_socket, charset. Perhaps you meant connect_timeout.",
        ),
        (
            "mysql://me@db/retail?connect_timeout=abc",
            "connect_timeout is not a time in seconds. Expected: whole seconds. Found: abc.",
        ),
        (
            "mysql://me@db/retail?ssl_ca=/nowhere/ca.pem",
            "The file given as ssl_ca does not exist. Expected: its absolute path. Found: "
            "/nowhere/ca.pem.",
        ),
        (
            "mysql://me@db/retail?read_timeout=0",
            "read_timeout is not a time in seconds. Expected: whole seconds. Found: 0.",
        ),
        (
            "mysql://me@db/retail?ssl_check_hostname=banana",
            "ssl_check_hostname has a wrong value. Expected: true or false.",
        ),
        (
            "mysql://me@db/retail?ssl_capath=/nowhere",
            "The folder given as ssl_capath does not exist. Found: /nowhere.",
        ),
        (
            "mysql://me@db/retail?ssl_check_hostname=true",
            "ssl_check_hostname checks nothing without a certificate authority. Expected: ssl_ca, "
            "a file, or ssl_capath, a folder. Give one of them; the server's certificate and host "
            "are then checked.",
        ),
        (
            "mysql://me@db/retail?ssl_key=/etc/hostname",
            "ssl_key is given without its ssl_cert.",
        ),
        (
            "mysql://me@db..example/retail",
            "The host is not a valid host name. Found: db..example.",
        ),
        (
            "sqlite://foo:bar/x",
            "The URL cannot be read. Expected: sqlite:///retail.sqlite.",
        ),
        (
            "sqlite:///retail.sqlite?foo=bar",
            "The URL has an unknown option, foo. Expected: timeout.",
        ),
        (
            "sqlite://retail.sqlite",
            "The SQLite URL names a host. Expected: three slashes and a file, such as "
            "sqlite:///retail.sqlite.",
        ),
    ],
)
def test_a_bad_database_url_is_explained_and_not_shown(project: Path, url: str, told: str) -> None:
    """Risk: the first connection fails with the library's words, or the message shows a secret."""
    (line,) = mistakes(project, {"RETAIL_DATABASE_URL": url})
    assert line == f"- RETAIL_DATABASE_URL: {told}"
    assert "hunt" not in line


@pytest.mark.parametrize("option", ["ssl_ca", "ssl_cert", "ssl_cipher"])
def test_tls_that_cannot_be_is_told_before_a_connection(project: Path, option: str) -> None:
    """Risk: it is told as a full disk, or nothing is checked and nobody knows."""
    url = f"mysql://me@db/retail?{option}={project / 'pipeline.toml'}"
    (project / "pipeline.toml").touch()
    (line,) = mistakes(project, {"RETAIL_DATABASE_URL": url})
    assert line.startswith(f"- RETAIL_DATABASE_URL: {option} cannot be used. Found: ")


def test_a_file_has_no_password(project: Path) -> None:
    """Risk: a trial beside the settings of production ends in a stack trace."""
    environ = {"RETAIL_DATABASE_URL": "sqlite:///x", "RETAIL_DATABASE_PASSWORD": "hunter2"}
    assert mistakes(project, environ) == [
        "- RETAIL_DATABASE_PASSWORD: A password, although RETAIL_DATABASE_URL is an SQLite file. "
        "Remove it; a file has none."
    ]


def test_a_password_without_a_url_is_a_gap(project: Path) -> None:
    """Risk: the URL is forgotten and the data goes to the embedded database."""
    assert mistakes(project, {"RETAIL_DATABASE_PASSWORD": "hunter2"}) == [
        "- RETAIL_DATABASE_PASSWORD: A password without RETAIL_DATABASE_URL. "
        "Give the URL of its database."
    ]


# --- secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["variable", "file"])
def test_encrypted_values_are_opened_with_the_key(project: Path, place: str) -> None:
    """Risk: the text enc:… itself is sent as a password."""
    key_file = project.parent / "key"
    key_file.write_text(KEY)
    key_file.chmod(0o600)
    environ = {"RETAIL_SECRET_KEY": KEY} if place == "variable" else {}
    if place == "file":
        (project / "pipeline.toml").write_text('secret_key_file = "../key"\n')
    whole = {"RETAIL_DATABASE_URL": encrypt("mysql://me:inner@db/retail", KEY)}
    assert password_of(load_settings(project, {**environ, **whole})) == "inner"
    in_url = {"RETAIL_DATABASE_URL": f"mysql://me:{encrypt(PASSWORD, KEY)}@db/retail"}
    assert password_of(load_settings(project, {**environ, **in_url})) == PASSWORD
    apart = {**whole, "RETAIL_DATABASE_PASSWORD": encrypt(PASSWORD, KEY)}
    assert password_of(load_settings(project, {**environ, **apart})) == PASSWORD


def test_encrypted_aws_variables_are_opened_together(project: Path) -> None:
    """Risk: the S3 client gets half of its credentials, or encrypted ones."""
    settings = load_settings(project, {"RETAIL_BUCKET": "acme", "RETAIL_SECRET_KEY": KEY})
    environ = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": encrypt("secret", KEY)}
    assert settings.aws_credentials(environ) == AwsCredentials("id", "secret", None)
    environ["AWS_SESSION_TOKEN"] = encrypt("token", KEY)
    credentials = settings.aws_credentials(environ)
    assert credentials == AwsCredentials("id", "secret", "token")
    assert repr(credentials) == "AwsCredentials(access_key_id='id')"
    assert settings.aws_credentials(dict.fromkeys(environ, "plain")) is None


def test_encrypted_values_that_do_not_open_are_each_named(project: Path) -> None:
    """Risk: the user mends one secret at a time, or reads one in the message."""
    foreign = encrypt("hunter2", generate_key())
    environ = {
        "RETAIL_BUCKET": "acme",
        "RETAIL_SECRET_KEY": KEY,
        "RETAIL_DATABASE_URL": "mysql://me@db/retail",
        "RETAIL_DATABASE_PASSWORD": foreign,
        "AWS_SECRET_ACCESS_KEY": foreign[:-9],
    }
    lines = mistakes(project, environ)
    assert [line.split(".")[0] for line in lines] == [
        "- AWS_ACCESS_KEY_ID: Missing, although another AWS variable is given encrypted",
        "- AWS_SECRET_ACCESS_KEY: The encrypted value is damaged",
        "- RETAIL_DATABASE_PASSWORD: The encrypted value cannot be decrypted with this key",
    ]
    assert not [line for line in lines if KEY in line or foreign[4:20] in line]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pipeline.toml", f'secret_key = "{KEY}"\n'),
        (".env", f"RETAIL_SECRET_KEY={KEY}\n"),
    ],
    ids=["toml", "dotenv"],  # the key is another one in each process
)
def test_the_key_never_lies_beside_what_it_opens(project: Path, name: str, text: str) -> None:
    """Risk: whoever copies the project folder can open its secrets."""
    (project / name).write_text(text)
    setting = "secret_key" if name == "pipeline.toml" else "RETAIL_SECRET_KEY"
    assert mistakes(project, {}) == [
        f"- {setting} ({name}): The key is in a settings file, beside what it decrypts. "
        "Give it in the environment, or in a key file outside the project."
    ]


def test_no_text_of_the_settings_shows_a_secret(project: Path) -> None:
    """Risk: settings in a log or a traceback give a secret away."""
    environ = {
        "RETAIL_BUCKET": "acme",
        "RETAIL_DATABASE_URL": "mysql://me:hunter2@db/retail",
        "RETAIL_SECRET_KEY": KEY,
        "RETAIL_SPARK_TOKEN": "hunter2",
    }
    settings = load_settings(project, environ)
    for text in (repr(settings), str(settings), repr(settings.database), str(settings.database)):
        assert "hunter2" not in text
        assert KEY not in text


def test_the_log_is_told_every_secret(project: Path) -> None:
    """Risk: a secret that the log does not know is not masked."""
    environ = {
        "RETAIL_BUCKET": "acme",
        "RETAIL_DATABASE_URL": "mysql://me:hunter2@db/retail",
        "RETAIL_SECRET_KEY": KEY,
    }
    settings = load_settings(project, environ)
    aws = {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": encrypt("opened", KEY),
        "AWS_SESSION_TOKEN": "token",
    }
    known = set(settings.secret_values(aws))
    assert known == {"hunter2", KEY, aws["AWS_SECRET_ACCESS_KEY"], "opened", "token"}
    assert load_settings(project, {}).secret_values({}) == ()


# --- mistakes ------------------------------------------------------------------------------------


def test_all_mistakes_come_in_one_list(project: Path) -> None:
    """Risk: the user mends one mistake per run."""
    (project / "pipeline.toml").write_text(
        'bucket = "Acme"\ninbox_prefx = "in/"\n[[profiles]]\nname = "a"\nskip_lines = -1\n'
    )
    (project / ".env").write_text("RETAIL_S3_THREADS=0\nRETAIL_LOG_FORMAT\n")
    environ = {
        "RETAIL_BUKET": "acme",
        "retail_log_level": "INFO",
        "RETAIL_WHATEVER": "1",
        "RETAIL_BUSINESS_DATE": "2024-02-30",
        "RETAIL_DATABASE_URL": "oracle://me@db/retail",
        "RETAIL_SECRET_KEY_FILE": "key",
    }
    assert mistakes(project, environ) == [
        "- .env, line 2: This line cannot be read. Expected: NAME=value, with '…' around a "
        "value that contains blanks, quotes or #.",
        "- inbox_prefx (pipeline.toml): There is no such setting. Perhaps you meant inbox_prefix.",
        "- RETAIL_BUKET: There is no such setting. Perhaps you meant RETAIL_BUCKET.",
        "- retail_log_level: There is no such setting. Perhaps you meant RETAIL_LOG_LEVEL.",
        "- RETAIL_WHATEVER: There is no such setting. Remove it.",
        "- RETAIL_SECRET_KEY_FILE: The key file is inside the project folder. Expected: a file "
        "elsewhere, so that key and encrypted values never travel together. Found: "
        f"{project / 'key'}. Move it, for instance to ~/.config/retail-mart/key.",
        "- bucket (pipeline.toml): Not a bucket name that S3 allows. Expected: 3 to 63 lowercase "
        "letters, digits, dots and hyphens, such as acme-retail. Found: 'Acme'.",
        "- RETAIL_S3_THREADS (.env): Wrong value. Expected: a whole number from 1 to 64. "
        "Found: '0'.",
        "- RETAIL_DATABASE_URL: The pipeline does not support this database. Expected: "
        "mysql://user@host:3306/database, mariadb://… or sqlite:///file. Found: oracle://.",
        "- RETAIL_BUSINESS_DATE: Wrong value. Expected: a valid date as yyyy-mm-dd. "
        "Found: '2024-02-30'.",
        "- profile a, pattern (pipeline.toml): Wrong value. Expected: a glob for the key below "
        "the inbox, such as north/*.csv, where * also crosses folders, or re: and a regular "
        "expression for the whole key. Found: nothing.",
        "- profile a, skip_lines (pipeline.toml): Wrong value. Expected: the lines above the "
        "header, from 0 to 1000. Found: -1.",
    ]


def test_profiles_stand_in_the_file_alone(project: Path) -> None:
    """Risk: a variable that cannot hold tables hides the profiles of the file."""
    assert mistakes(project, {"RETAIL_PROFILES": "[]"}) == [
        "- RETAIL_PROFILES: Wrong value. Expected: [[profiles]] before each profile in "
        "pipeline.toml. Found: '[]'."
    ]


def test_what_the_pipeline_works_out_cannot_be_set(project: Path) -> None:
    """Risk: a field of the object that is no setting passes for one, and does nothing."""
    (project / "pipeline.toml").write_text('project = "/"\nRETAIL_BUCKET = "acme"\n')
    assert mistakes(project, {"RETAIL_USES_EMBEDDED_S3": "no"}) == [
        "- project (pipeline.toml): There is no such setting. Remove it.",
        "- RETAIL_BUCKET (pipeline.toml): There is no such setting. Perhaps you meant bucket.",
        "- RETAIL_USES_EMBEDDED_S3: There is no such setting. Remove it.",
    ]


@pytest.mark.parametrize("text", ["1710000000", "2024-3-5", "20240305", "today"])
def test_a_business_date_is_never_guessed(project: Path, text: str) -> None:
    """Risk: a number is taken for seconds since 1970."""
    (line,) = mistakes(project, {"RETAIL_BUSINESS_DATE": text})
    assert line.endswith(f"Not a date. Expected: a valid date as yyyy-mm-dd. Found: {text!r}.")


def test_today_is_the_stores_own(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Risk: the morning's sales of a shop in the east are set aside as of tomorrow."""

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Clock:
            return cls(2024, 3, 1, 23, 30, tzinfo=datetime.UTC).astimezone(tz)

    monkeypatch.setattr("ingestion.config.settings.datetime", Clock)
    assert load_settings(project, {}).today() == datetime.date(2024, 3, 1)
    east = {"RETAIL_TIME_ZONE": "Asia/Kolkata"}
    assert load_settings(project, east).today() == datetime.date(2024, 3, 2)
    given = load_settings(project, east | {"RETAIL_BUSINESS_DATE": "2024-03-05"})
    assert given.today() == datetime.date(2024, 3, 5)
    for name in ("Asia/Kalkutta", "../zone"):
        (line,) = mistakes(project, {"RETAIL_TIME_ZONE": name})
        assert line == (
            "- RETAIL_TIME_ZONE: Unknown time zone. Expected: a name such"
            f" as Asia/Kolkata. Found: {name!r}."
        )


@pytest.mark.parametrize("name", ["prod/pipeline.toml", "pipeline.toml"])
def test_a_named_config_file_of_the_usual_name_must_be_there(project: Path, name: str) -> None:
    """Risk: a mistyped folder makes production run on the sample, and end well."""
    [line] = mistakes(project, {"RETAIL_CONFIG": name})
    assert line == (
        f"- RETAIL_CONFIG: The file cannot be read. Found: {project / name} "
        "(No such file or directory)."
    )


def test_a_named_config_file_must_be_there(project: Path) -> None:
    """Risk: a typing error in RETAIL_CONFIG runs the pipeline on its defaults."""
    assert mistakes(project, {"RETAIL_CONFIG": "prod.toml"}) == [
        f"- RETAIL_CONFIG: The file cannot be read. Found: {project / 'prod.toml'} "
        "(No such file or directory)."
    ]


def test_files_that_cannot_be_read_are_named(project: Path) -> None:
    """Risk: a broken file shows as a stack trace, or hides other mistakes."""
    path = project / "pipeline.toml"
    path.write_text("bucket = acme\n")
    (project / ".env").write_bytes(b"RETAIL_BUCKET=caf\xe9\n")
    assert mistakes(project, {"RETAIL_LOG_FORMAT": "xml"}) == [
        f"- .env: Not a UTF-8 text file. Found: {project / '.env'}.",
        f"- pipeline.toml: Not valid TOML. Found: {path}: Invalid value (at line 1, column 10).",
        "- RETAIL_LOG_FORMAT: Wrong value. Expected: text or json. Found: 'xml'.",
    ]


def test_a_byte_order_mark_is_named(project: Path) -> None:
    """Risk: an editor's invisible mark is told as an invalid statement, and nobody sees one."""
    path = project / "pipeline.toml"
    path.write_text('\ufeffbucket = "acme-retail"\n', encoding="utf-8")
    assert mistakes(project, {}) == [
        "- pipeline.toml: The file begins with a byte order mark, which TOML does not allow. Found:"
        f" {path}. Save it as UTF-8 without one."
    ]


def test_a_secret_of_the_wrong_type_is_not_shown(project: Path) -> None:
    """Risk: a password of digits without quotes in the file is echoed."""
    (project / "pipeline.toml").write_text(
        'database_url = "mysql://me@db/retail"\ndatabase_password = 482915\n'
    )
    assert mistakes(project, {}) == [
        "- database_password (pipeline.toml): Wrong value. Expected: text."
    ]


# --- the example files ---------------------------------------------------------------------------


def test_the_example_as_it_stands_changes_nothing(project: Path) -> None:
    """Risk: copying the example moves a run away from the defaults that it claims to show."""
    example = (ROOT / "pipeline.example.toml").read_text(encoding="utf-8")
    defaults = load_settings(project, {})
    (project / "pipeline.toml").write_text(example, encoding="utf-8")
    (project / ".env").write_text((ROOT / ".env.example").read_text(encoding="utf-8"))
    assert load_settings(project, {}) == defaults


def test_the_example_file_shows_every_setting(project: Path) -> None:
    """Risk: the example lags behind the settings, or shows one that does not work."""
    example = (ROOT / "pipeline.example.toml").read_text(encoding="utf-8")
    everything = re.sub(r"(?m)^#(?=[a-z\[])", "", example)
    assert tomllib.loads(everything).keys() == SETTING_NAMES - {"secret_key"}
    usable = re.sub(r"(?m)^(database_password|secret_key_file) = .*$", "", everything)
    (project / "pipeline.toml").write_text(usable, encoding="utf-8")
    (profile,) = load_settings(project, {}).profiles
    assert profile.model_fields_set == type(profile).model_fields.keys()


def test_the_dotenv_example_shows_every_variable(project: Path) -> None:
    """Risk: a variable's name is wrong where people copy it from."""
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    shown = re.findall(r"(?m)^#(RETAIL_\w+)=.", example)
    variables = {f"RETAIL_{name.upper()}" for name in SETTING_NAMES - {"profiles", "secret_key"}}
    assert sorted(shown) == sorted({*variables, "RETAIL_CONFIG"})
    usable = re.sub(r"(?m)^#(RETAIL_(SECRET_KEY_FILE|CONFIG)=.*)$", "", example)
    (project / ".env").write_text(re.sub(r"(?m)^#(?=RETAIL_)", "", usable), encoding="utf-8")
    settings = load_settings(project, {})
    assert settings.database.password == "any characters: @ / # %"
    assert settings.bucket == "acme-retail"
