"""The bucket, its endpoint and its prefixes are what S3 and its clients take."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.config.settings import load_settings
from tests.tried_settings import mistakes


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
