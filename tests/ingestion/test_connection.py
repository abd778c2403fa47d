"""The connection to S3: credentials, an unknown bucket, and servers that fail."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any

import pytest

from ingestion.config.aws_credentials import AwsCredentials
from ingestion.config.settings import Settings
from ingestion.errors import PipelineError
from ingestion.s3.connection import connect
from ingestion.s3.object_store import ObjectInfo, ObjectStore
from tests.services import Bucket


def failing(store: ObjectStore) -> str:
    with pytest.raises(PipelineError) as raised:
        list(store.list_objects("in/"))
    assert "hush" not in str(raised.value)
    return str(raised.value)


def test_wrong_credentials_are_told(s3_settings: Settings, s3_bucket: Bucket) -> None:
    """Risk: a wrong key shows as a stack trace, or the secret in the message."""
    place = f"{s3_bucket.name}/in/"
    unknown = connect(s3_settings, AwsCredentials("nobody", "hush"))
    assert failing(unknown) == (
        f"S3 failed while listing s3://{place}: the server at {s3_bucket.endpoint} does not know"
        " the access key. Found: InvalidAccessKeyId. Check AWS_ACCESS_KEY_ID or the AWS profile."
    )
    wrong = connect(s3_settings, AwsCredentials("retail-mart", "hush"))
    assert failing(wrong) == (
        f"S3 failed while listing s3://{place}: the secret does not match the access key."
        " Found: SignatureDoesNotMatch. Check AWS_SECRET_ACCESS_KEY or the AWS profile."
    )


def test_no_credentials_are_told(
    s3_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Risk: a machine without credentials waits for a role that it cannot have."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert failing(connect(s3_settings, None)) == (
        "No complete AWS credentials were found. Expected: AWS_ACCESS_KEY_ID and"
        " AWS_SECRET_ACCESS_KEY, an AWS profile, or a role. Set them and run again."
    )
    monkeypatch.setenv("AWS_PROFILE", "gone")
    with pytest.raises(PipelineError) as raised:
        connect(s3_settings, None)
    assert str(raised.value) == (
        "The AWS configuration of this machine cannot be used. Found: The config profile (gone) "
        "could not be found. Check the AWS_ variables and the files in ~/.aws."
    )


def test_the_embedded_server_needs_no_aws_set_up(
    s3_settings: Settings, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a profile or proxy for other work keeps the local default from running."""
    monkeypatch.setenv("AWS_PROFILE", "gone")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    store = connect(
        s3_settings, AwsCredentials("retail-mart", "retail-mart-embedded"), s3_bucket.endpoint
    )
    assert list(store.list_objects("")) == []


def test_a_missing_bucket_is_told(store: ObjectStore, s3_bucket: Bucket) -> None:
    """Risk: an empty inbox and a missing bucket look the same."""
    assert failing(dataclasses.replace(store, bucket="no-such-bucket")) == (
        f"The bucket no-such-bucket does not exist at {s3_bucket.endpoint}."
        " Create it, or name another one in RETAIL_BUCKET."
    )


def test_an_unreachable_server_is_told_within_seconds(s3_settings: Settings) -> None:
    """Risk: a wrong address looks like a hang."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening: nobody else can take the port
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(PipelineError) as raised:
            connect(s3_settings.model_copy(update={"s3_endpoint_url": url}), None)
    assert time.monotonic() - started < 5
    assert str(raised.value) == (
        f"The S3 server at {url} cannot be reached. Found: Connection refused."
        " Check RETAIL_S3_ENDPOINT_URL and the network, then run again."
    )


@contextlib.contextmanager
def stub_server(answers: Iterator[tuple[int, bytes, int]]) -> Iterator[str]:
    """A server that gives these answers: status, body, bytes of the body that it really sends."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            status, body, sent = next(answers)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"1"')
            self.end_headers()
            self.wfile.write(body[:sent])
            self.close_connection = True

        do_GET = do_HEAD = do_PUT = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def error_body(code: str) -> tuple[int, bytes, int]:
    status = {"SlowDown": 503, "ExpiredToken": 400}.get(code, 403)
    body = f"<Error><Code>{code}</Code><Message>hush</Message></Error>".encode()
    return status, body, len(body)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "ExpiredToken",
            "S3 failed while listing s3://{bucket}/in/: the AWS session token has expired."
            " Found: ExpiredToken. Get new credentials and run again; the run continues where it"
            " stopped.",
        ),
        (
            "AccessDenied",
            "S3 failed while listing s3://{bucket}/in/: access denied. Expected: permission to"
            " list, get, put and delete in the bucket {bucket}. Found: AccessDenied. Check the"
            " credentials and the policy of the bucket.",
        ),
        (
            "RequestTimeTooSkewed",
            "S3 failed while listing s3://{bucket}/in/: this machine's clock differs too much"
            " from the server's. Set the clock and run again.",
        ),
    ],
)
def test_permanent_errors_are_told_at_once(s3_settings: Settings, code: str, expected: str) -> None:
    """Risk: a permanent error is tried again and again, or told in the server's words only."""
    asked = []

    def answers() -> Iterator[tuple[int, bytes, int]]:
        while True:
            asked.append(code)
            yield error_body(code)

    with stub_server(answers()) as url:
        settings = s3_settings.model_copy(update={"s3_endpoint_url": url})
        store = connect(settings, AwsCredentials("retail-mart", "hush", "hush token"))
        assert failing(store) == expected.format(bucket=settings.bucket)
    assert len(asked) <= 3


def test_a_busy_server_is_asked_again(s3_settings: Settings) -> None:
    """Risk: one passing failure ends a night's run."""
    good = b"<ListBucketResult><Contents><Key>in/a</Key><ETag>1</ETag><Size>1</Size></Contents>"
    good += b"</ListBucketResult>"
    answers = iter([error_body("SlowDown"), error_body("SlowDown"), (200, good, len(good))])
    with stub_server(answers) as url:
        settings = s3_settings.model_copy(update={"s3_endpoint_url": url})
        store = connect(settings, AwsCredentials("retail-mart", "hush"))
        assert list(store.list_objects("in/")) == [ObjectInfo("in/a", "1", 1)]


def test_a_connection_that_breaks_in_the_middle_is_tried_again(
    s3_settings: Settings, tmp_path: Path
) -> None:
    """Risk: half a file is taken for the whole, or a broken connection ends the run."""
    content = b"0123456789" * 1000
    answers = iter([(200, content, 4000), (200, content, 0), (200, content, len(content))])
    with stub_server(answers) as url:
        settings = s3_settings.model_copy(update={"s3_endpoint_url": url})
        store = connect(settings, AwsCredentials("retail-mart", "hush"))
        info = ObjectInfo("in/a", "1", len(content))
        assert store.download(info, tmp_path / "a") == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "a").read_bytes() == content
