"""Connects to the bucket of the settings."""

from __future__ import annotations

import os
import socket
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ingestion.s3.errors import s3_errors, unreachable
from ingestion.s3.object_store import ATTEMPTS, ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from ingestion.config.aws_credentials import AwsCredentials
    from ingestion.config.settings import Settings

# For the embedded server: session variables as (name in the file, variable, value, conversion).
# No profile of this machine may get in its way.
_NO_AWS_FILES = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


def connect(
    settings: Settings, credentials: AwsCredentials | None, endpoint: str | None = None
) -> ObjectStore:
    """The bucket of the settings, at ``endpoint`` if it is given (the embedded server's).

    ``credentials`` None leaves them to AWS's standard chain. An endpoint of one's own is tried
    with a plain connection, so that a wrong address is told within seconds; nothing else is sent.
    Raises PipelineError.
    """
    import botocore.session
    from boto3 import Session
    from botocore.config import Config

    is_embedded = endpoint is not None
    url = endpoint or settings.s3_endpoint_url
    with s3_errors("connecting", settings.bucket, url or "AWS"):
        core = botocore.session.Session(_NO_AWS_FILES if is_embedded else None)
        if credentials:
            core.set_credentials(
                credentials.access_key_id,
                credentials.secret_access_key,
                credentials.session_token,
            )
        session = Session(region_name=settings.s3_region, botocore_session=core)
        client: S3Client = session.client(
            "s3",
            endpoint_url=url,
            config=Config(
                connect_timeout=5,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                max_pool_connections=max(10, settings.s3_threads),
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                proxies={} if is_embedded else None,
                s3={"addressing_style": "path" if url else "auto"},
            ),
        )
    if url and not is_embedded:
        _check_reachable(url)
    return ObjectStore(client, settings.bucket)


def _check_reachable(url: str) -> None:
    """Raises PipelineError if nothing listens at ``url``, after three tries in about a second."""
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt
    from tenacity.retry import retry_if_not_exception_type
    from tenacity.wait import wait_chain, wait_fixed

    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    tries = Retrying(
        stop=stop_after_attempt(3),
        wait=wait_chain(wait_fixed(0.3), wait_fixed(0.7)),
        retry=retry_if_exception_type(OSError) & retry_if_not_exception_type(TimeoutError),
        reraise=True,
    )
    try:
        tries(socket.create_connection, (host, port), timeout=5).close()
    except TimeoutError as error:
        raise unreachable(url, "no answer within 5 seconds") from error
    except OSError as error:
        raise unreachable(url, error.strerror or type(error).__name__) from error
