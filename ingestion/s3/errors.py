"""Turns the errors of the S3 client into one clear sentence each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from ingestion.errors import PipelineError

GONE = frozenset({"NoSuchKey", "404", "NotFound"})
PRECONDITION = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
UNSUPPORTED = frozenset({"NotImplemented", "501", "InvalidArgument", "MethodNotAllowed", "405"})
_KEY = frozenset({"InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"})
_SECRET = frozenset({"SignatureDoesNotMatch", "AuthFailure"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
_DENIED = frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem"})
_REGION = frozenset({"PermanentRedirect", "301", "AuthorizationHeaderMalformed"})
_BUSY = frozenset({"SlowDown", "503", "ServiceUnavailable", "InternalError", "500", "502", "504"})
_UNREACHABLE = (
    exceptions.EndpointConnectionError,
    exceptions.ConnectTimeoutError,
    exceptions.ProxyConnectionError,
)
_NO_CREDENTIALS = (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)
_BAD_AWS_SETUP = (
    exceptions.ProfileNotFound,
    exceptions.ConfigParseError,
    exceptions.CredentialRetrievalError,
    exceptions.UnauthorizedSSOTokenError,
    exceptions.SSOTokenLoadError,
    exceptions.TokenRetrievalError,
    exceptions.NoRegionError,
    exceptions.InvalidRegionError,
    exceptions.InvalidConfigError,
)


class ObjectRefused(PipelineError):
    """The server refuses this call for this object: by its policy, key, storage class or lock."""


def error_code(error: ClientError) -> str:
    """The code that S3 answered with; a status such as '404' where the answer has no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextlib.contextmanager
def s3_errors(doing: str, bucket: str, endpoint: str) -> Iterator[None]:
    """Raises PipelineError for what botocore raises; ``doing`` is such as 'listing s3://b/in/'."""
    try:
        yield
    except ClientError as error:
        raise _answer(error, doing, bucket, endpoint) from error
    except BotoCoreError as error:
        raise _no_answer(error, doing, endpoint) from error


def unreachable(endpoint: str, found: str) -> PipelineError:
    """The error of an S3 server that does not answer."""
    return PipelineError(
        f"The S3 server at {endpoint} cannot be reached",
        found=found,
        action="Check RETAIL_S3_ENDPOINT_URL and the network, then run again",
    )


def _answer(error: ClientError, doing: str, bucket: str, endpoint: str) -> PipelineError:
    """What the server's own error answer means."""
    code = error_code(error)
    failed = f"S3 failed while {doing}"
    if code in _KEY:
        return PipelineError(
            f"{failed}: the server at {endpoint} does not know the access key",
            found=code,
            action="Check AWS_ACCESS_KEY_ID or the AWS profile",
        )
    if code in _SECRET:
        return PipelineError(
            f"{failed}: the secret does not match the access key",
            found=code,
            action="Check AWS_SECRET_ACCESS_KEY or the AWS profile",
        )
    if code in _EXPIRED or code == "InvalidToken":
        state = "has expired" if code in _EXPIRED else "is not valid"
        return PipelineError(
            f"{failed}: the AWS session token {state}",
            found=code,
            action="Get new credentials and run again; the run continues where it stopped",
        )
    if code == "RequestTimeTooSkewed":
        return PipelineError(
            f"{failed}: this machine's clock differs too much from the server's",
            action="Set the clock and run again",
        )
    if code in _DENIED:
        return ObjectRefused(
            f"{failed}: access denied",
            expected=f"permission to list, get, put and delete in the bucket {bucket}",
            found=code,
            action="Check the credentials and the policy of the bucket",
        )
    if code == "InvalidObjectState":
        return ObjectRefused(
            f"{failed}: it lies in an archive",
            expected="a storage class that can be read at once",
            found=code,
            action="Restore the object, or take it out of the inbox",
        )
    if code.startswith("KMS."):
        return ObjectRefused(
            f"{failed}: its encryption key cannot be used",
            expected="an enabled key with kms:Decrypt and kms:GenerateDataKey for this account",
            found=code,
            action="Check the key and its policy, or take the object out of the inbox",
        )
    if code == "NoSuchBucket":
        return PipelineError(
            f"The bucket {bucket} does not exist at {endpoint}",
            action="Create it, or name another one in RETAIL_BUCKET",
        )
    if code in _REGION:
        return PipelineError(
            f"{failed}: the bucket {bucket} is in another region",
            found=code,
            action="Set RETAIL_S3_REGION to the region of the bucket",
        )
    if code in _BUSY:
        return PipelineError(
            f"{failed}: the server was busy or failing on every attempt",
            found=code,
            action="Run again later; the run continues where it stopped",
        )
    message = error.response.get("Error", {}).get("Message", "")
    return PipelineError(failed, found=f"{code}: {message}" if message else code)


def _no_answer(error: BotoCoreError, doing: str, endpoint: str) -> PipelineError:
    """What it means that a request could not be sent or its answer not be read."""
    if isinstance(error, _NO_CREDENTIALS):
        return PipelineError(
            "No complete AWS credentials were found",
            expected="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, an AWS profile, or a role",
            action="Set them and run again",
        )
    if isinstance(error, _BAD_AWS_SETUP):
        return PipelineError(
            "The AWS configuration of this machine cannot be used",
            found=str(error),
            action="Check the AWS_ variables and the files in ~/.aws",
        )
    if isinstance(error, exceptions.SSLError):
        return PipelineError(
            f"The S3 server at {endpoint} cannot be trusted: its TLS certificate was refused",
            action=(
                "Check RETAIL_S3_ENDPOINT_URL, or name the certificate authority in AWS_CA_BUNDLE"
            ),
        )
    if isinstance(error, _UNREACHABLE):
        return unreachable(endpoint, type(error).__name__)
    if isinstance(error, exceptions.HTTPClientError):
        return PipelineError(
            f"The connection to S3 was lost on every attempt while {doing}",
            found=type(error).__name__,
            action="Run again; the run continues where it stopped",
        )
    return PipelineError(f"S3 failed while {doing}", found=f"{type(error).__name__}: {error}")
