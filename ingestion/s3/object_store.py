"""Lists, reads, writes and moves the objects of one bucket."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from ingestion.errors import PipelineError
from ingestion.s3.errors import (
    GONE,
    PRECONDITION,
    UNSUPPORTED,
    error_code,
    s3_errors,
)
from ingestion.s3.keys import fitting_key, unique_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")
ATTEMPTS = 5
_CHUNK = 1 << 20
_SINGLE_COPY_LIMIT = 5 << 30  # CopyObject's own limit; above it a copy goes in parts
_PART_SIZE = 64 << 20
_PART_IN_MEMORY = 16 << 20
_COPY_PART_SIZE = 512 << 20


class ObjectChanged(PipelineError):
    """The object is no longer the version that was listed, or a conditional write lost."""


class ObjectGone(PipelineError):
    """There is no object at this key."""


class _BodyCut(Exception):
    """The connection broke in the middle of an object's bytes."""


@dataclasses.dataclass(frozen=True)
class ObjectInfo:
    """One version of an object: whole key, ETag without its quotes, size in bytes."""

    key: str
    etag: str
    size: int


@dataclasses.dataclass(frozen=True)
class ObjectStore:
    """The objects of one bucket, through list, get, put and delete alone.

    Methods may be called from several threads. Transient failures are tried again with a growing,
    random pause; what remains is raised as PipelineError.
    """

    client: S3Client
    bucket: str

    def location(self, key: str) -> str:
        """The key as users read it: ``s3://bucket/key``."""
        return f"s3://{self.bucket}/{key}"

    def key_at(self, location: str) -> str:
        """The key of what ``location`` returned."""
        return location.removeprefix(f"s3://{self.bucket}/")

    def list_objects(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object under ``prefix``, page by page, in the order that the server gives."""
        with self._errors("listing", prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    yield ObjectInfo(item["Key"], item["ETag"].strip('"'), item["Size"])

    def head(self, key: str) -> ObjectInfo | None:
        """The object's current version, or None where there is none."""
        with self._errors("looking at", key):
            try:
                found = self.client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if error_code(error) in GONE:
                    return None
                # An answer to HEAD has no body, so it does not say that a token has expired, say.
                self.client.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1)
                raise
            return ObjectInfo(key, found["ETag"].strip('"'), found["ContentLength"])

    def get_bytes(self, key: str) -> bytes:
        """The whole object. Raises ObjectGone."""
        return self._read(key, None, b"".join)

    def download(
        self, info: ObjectInfo, path: Path, progress: Callable[[int], None] | None = None
    ) -> str:
        """Writes this version of the object to ``path`` and returns its SHA-256 in hex.

        ``path`` appears whole or not at all; its folder must exist. ``progress`` gets the bytes of
        each piece, and all of them taken back where reading starts anew. Raises ObjectChanged when
        the object was replaced meanwhile, ObjectGone when it was removed.
        """
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "r+b") as file:

                def write(chunks: Iterator[bytes]) -> str:
                    if progress:
                        progress(-file.tell())
                    file.seek(0)
                    file.truncate()
                    digest = hashlib.sha256()
                    for chunk in chunks:
                        digest.update(chunk)
                        file.write(chunk)
                        if progress:
                            progress(len(chunk))
                    if file.tell() != info.size:
                        raise _BodyCut
                    return digest.hexdigest()

                sha256 = self._read(info.key, info.etag, write)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
        return sha256

    def put_bytes(
        self,
        key: str,
        data: bytes,
        *,
        if_none_match: str | None = None,
        if_match: str | None = None,
    ) -> None:
        """Writes an object: always, only where none is (``"*"``), or only over this ETag.

        Raises ObjectChanged when the condition does not hold, unless the object has exactly these
        bytes already: a repeated write is no conflict. Raises PipelineError where the server knows
        no conditions; the object is never written without its own.
        """
        condition: dict[str, Any] = {}
        if if_none_match is not None:
            condition["IfNoneMatch"] = if_none_match
        if if_match is not None:
            condition["IfMatch"] = f'"{if_match}"'
        guard = self._condition_of(key, lambda _: self.get_bytes(key) == data)
        with self._errors("writing", key), guard if condition else contextlib.nullcontext():
            self.client.put_object(Bucket=self.bucket, Key=key, Body=data, **condition)

    def put_new_file(self, key: str, path: Path) -> None:
        """Writes a local file as an object where none is, as ``put_bytes`` does; in parts where it
        is big."""

        def is_same(there: ObjectInfo) -> bool:
            with path.open("rb") as file:
                return self.sha256(there) == hashlib.file_digest(file, "sha256").hexdigest()

        guard = self._condition_of(key, is_same)
        with self._errors("writing", key), path.open("rb") as file, guard:
            if path.stat().st_size > _PART_SIZE:
                self._put_new_parts(key, file)
            else:
                self.client.put_object(Bucket=self.bucket, Key=key, Body=file, IfNoneMatch="*")

    def _put_new_parts(self, key: str, file: IO[bytes]) -> None:
        """Writes the file where no object is; the client's own transfer knows no condition."""
        address: dict[str, Any] = {"Bucket": self.bucket, "Key": key}
        address["UploadId"] = self.client.create_multipart_upload(**address)["UploadId"]
        try:
            parts: list[Any] = []
            for number, part in enumerate(iter(lambda: file.read(_PART_IN_MEMORY), b""), start=1):
                sent = self.client.upload_part(**address, PartNumber=number, Body=part)
                parts.append({"PartNumber": number, "ETag": sent["ETag"]})
            self.client.complete_multipart_upload(
                **address, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
        except BaseException:
            with contextlib.suppress(BotoCoreError, ClientError):
                self.client.abort_multipart_upload(**address)
            raise

    @contextlib.contextmanager
    def _condition_of(self, key: str, is_same: Callable[[ObjectInfo], bool]) -> Iterator[None]:
        """Raises ObjectChanged where the block's condition does not hold, unless the object is what
        it writes; PipelineError where the server knows no conditions."""
        try:
            yield
        except ClientError as error:
            if error_code(error) in UNSUPPORTED:
                raise self._unconditional(key, error_code(error)) from error
            if error_code(error) not in PRECONDITION | GONE:
                raise
            there = self.head(key)
            if there is None or not is_same(there):
                raise self._overtaken(key) from error

    def put_file(self, key: str, path: Path) -> None:
        """Writes a local file as an object, in parts where it is big, on the calling thread."""
        from boto3.s3.transfer import TransferConfig

        config = TransferConfig(
            multipart_threshold=_PART_SIZE, multipart_chunksize=_PART_SIZE, use_threads=False
        )
        with self._errors("writing", key), path.open("rb") as file:
            self.client.upload_fileobj(file, self.bucket, key, Config=config)

    def sha256(self, info: ObjectInfo) -> str:
        """The SHA-256 in hex of this version's bytes, which are read piece by piece.

        Raises ObjectChanged when the object was replaced meanwhile, ObjectGone when it was removed.
        """

        def digest(chunks: Iterator[bytes]) -> str:
            found = hashlib.sha256()
            for chunk in chunks:
                found.update(chunk)
            return found.hexdigest()

        return self._read(info.key, info.etag, digest)

    def copy(self, info: ObjectInfo, key: str) -> None:
        """Copies this version of an object, on the server, to a key where none is.

        Raises ObjectChanged where another object is at ``key`` (one with the same content is no
        conflict), or when this version was replaced; ObjectGone when it was removed.
        """
        if self.head(key) is None:
            self._copy(info, key)
        there = self.head(key)
        if there is None or not self._is_copy(there, info, None):
            raise self._overtaken(key)

    def delete(self, key: str) -> None:
        """Removes the object; none at this key is no error."""
        with self._errors("deleting", key):
            self.client.delete_object(Bucket=self.bucket, Key=key)

    def delete_all(self, keys: Iterable[str], threads: int) -> None:
        """Removes these objects, ``threads`` of them at a time. An error is raised when those under
        way have ended; what is not begun by then stays."""
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            list(pool.map(self.delete, keys))

    def move(self, info: ObjectInfo, target_key: str, sha256: str | None = None) -> str:
        """Moves this version of an object: copy, verify, delete. Returns the key it has now.

        Never overwrites: where ``target_key`` holds other content, the name gets a part of the
        content's SHA-256. The same call after a crash at any point ends at the same key. A newer
        version that arrives at the old key meanwhile stays there. ``sha256`` is the content's, if
        known; without it, it is computed where it is needed. Raises ObjectChanged or ObjectGone
        when this version is at neither key.
        """
        target_key = key = fitting_key(target_key)
        for _ in range(ATTEMPTS):
            there = self.head(key)
            if there is None:
                self._copy(info, key)
            elif self._is_copy(there, info, sha256):
                self._delete_version(info)
                return key
            else:
                key = unique_key(target_key, sha256 or self.sha256(info))
        raise PipelineError(
            f"{self.location(info.key)} cannot be moved to {self.location(target_key)}",
            expected="a copy equal to the object",
            found=f"other content at {self.location(key)}",
            action="Remove that object and run again",
        )

    def _copy(self, info: ObjectInfo, key: str) -> None:
        """Copies this version to ``key`` if that is still free; the caller looks at what is there.

        Raises ObjectChanged or ObjectGone when the version to copy is no longer there.
        """
        source = {"Bucket": self.bucket, "Key": info.key}
        conditions = {"CopySourceIfMatch": f'"{info.etag}"', "IfNoneMatch": "*"}
        with self._errors("copying", info.key):
            try:
                if info.size > _SINGLE_COPY_LIMIT:
                    self._copy_in_parts(info, key)
                else:
                    self._copy_at_once(source, key, conditions)
            except ClientError as error:
                code = error_code(error)
                if _is_too_large(error):
                    self._copy_in_parts(info, key)
                elif code in GONE:
                    raise self._gone(info.key) from error
                elif code not in PRECONDITION:
                    raise
                else:
                    self._check_unchanged(info)

    def _copy_at_once(self, source: Any, key: str, conditions: dict[str, Any]) -> None:
        try:
            self.client.copy_object(Bucket=self.bucket, Key=key, CopySource=source, **conditions)
        except ClientError as error:
            if error_code(error) not in UNSUPPORTED:
                raise
            del conditions["IfNoneMatch"]  # an older server: the caller has seen that it is free
            self.client.copy_object(Bucket=self.bucket, Key=key, CopySource=source, **conditions)

    def _copy_in_parts(self, info: ObjectInfo, key: str) -> None:
        from boto3.s3.transfer import TransferConfig
        from s3transfer.exceptions import S3CopyFailedError

        config = TransferConfig(
            multipart_threshold=1, multipart_chunksize=_COPY_PART_SIZE, max_concurrency=4
        )
        try:
            self.client.copy(
                {"Bucket": self.bucket, "Key": info.key},
                self.bucket,
                key,
                ExtraArgs={"CopySourceIfMatch": f'"{info.etag}"'},
                Config=config,
            )
        except S3CopyFailedError as error:  # a part found another version
            raise self._changed(info.key) from error

    def _is_copy(self, there: ObjectInfo, info: ObjectInfo, sha256: str | None) -> bool:
        """Whether ``there`` has the content of ``info``.

        Equal ETags say so. Others may differ for equal content (copied in parts, encrypted), so
        then the bytes are compared.
        """
        if there.size != info.size:
            return False
        return there.etag == info.etag or self.sha256(there) == (sha256 or self.sha256(info))

    def _delete_version(self, info: ObjectInfo) -> None:
        """Removes this version; a newer one at the key stays."""
        there = self.head(info.key)
        if there is None or there.etag != info.etag:
            return
        with self._errors("deleting", info.key):
            try:
                self.client.delete_object(
                    Bucket=self.bucket, Key=info.key, IfMatch=f'"{info.etag}"'
                )
            except ClientError as error:
                if error_code(error) in UNSUPPORTED:  # an older server: the look above decides
                    self.client.delete_object(Bucket=self.bucket, Key=info.key)
                elif error_code(error) not in PRECONDITION | GONE:
                    raise

    def _check_unchanged(self, info: ObjectInfo) -> None:
        there = self.head(info.key)
        if there is None:
            raise self._gone(info.key)
        if there.etag != info.etag:
            raise self._changed(info.key)

    def _read(self, key: str, etag: str | None, consume: Callable[[Iterator[bytes]], T]) -> T:
        """What ``consume`` makes of the object's bytes; it starts anew when a connection breaks."""
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt
        from tenacity.wait import wait_exponential_jitter

        condition: dict[str, Any] = {} if etag is None else {"IfMatch": f'"{etag}"'}

        def once() -> T:
            body = self.client.get_object(Bucket=self.bucket, Key=key, **condition)["Body"]
            with body:
                try:
                    return consume(body.iter_chunks(_CHUNK))
                except (BotoCoreError, HTTPError) as error:  # an error of TLS comes as urllib3's
                    raise _BodyCut from error

        tries = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential_jitter(multiplier=0.2, max=5, jitter=0.2),
            retry=retry_if_exception_type(_BodyCut),
            reraise=True,
        )
        with self._errors("reading", key):
            try:
                return tries(once)
            except _BodyCut as error:
                raise PipelineError(
                    f"{self.location(key)} could not be read completely in several attempts",
                    action="Run again; the run continues where it stopped",
                ) from error
            except ClientError as error:
                if error_code(error) in GONE:
                    raise self._gone(key) from error
                if error_code(error) in PRECONDITION:
                    raise self._changed(key) from error
                raise

    def _errors(self, doing: str, key: str) -> AbstractContextManager[None]:
        what = f"{doing} {self.location(key)}"
        return s3_errors(what, self.bucket, self.client.meta.endpoint_url)

    def _unconditional(self, key: str, code: str) -> PipelineError:
        return PipelineError(
            f"The S3 server at {self.client.meta.endpoint_url} does not support conditional writes",
            expected="a server that supports If-Match and If-None-Match for PutObject: they keep"
            " two writers from overwriting each other's object",
            found=f"{code} while writing {self.location(key)}",
            action="Upgrade the server, or name another in RETAIL_S3_ENDPOINT_URL; python"
            " run_pipeline.py doctor tests it",
        )

    def _gone(self, key: str) -> ObjectGone:
        return ObjectGone(f"There is no object {self.location(key)}")

    def _overtaken(self, key: str) -> ObjectChanged:
        return ObjectChanged(f"{self.location(key)} was written by someone else meanwhile")

    def _changed(self, key: str) -> ObjectChanged:
        return ObjectChanged(f"{self.location(key)} was replaced by another version meanwhile")


def _is_too_large(error: ClientError) -> bool:
    """Whether CopyObject was refused because the object has to be copied in parts."""
    message = error.response.get("Error", {}).get("Message", "")
    return error_code(error) == "EntityTooLarge" or (
        error_code(error) == "InvalidRequest" and "maximum allowable size" in message
    )
