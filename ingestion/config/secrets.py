"""Encrypts and decrypts the secrets in the settings; their key lives outside the project."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.config.paths import from_project
from ingestion.errors import UsageError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

ENCRYPTED_PREFIX = "enc:"

_MAKE_A_KEY = "Create one with `python run_pipeline.py secrets generate-key`"


def generate_key() -> str:
    """Return a new random key: 44 characters of URL-safe base64."""
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode("ascii")


def single_line(content: bytes) -> str:
    """Return the value that was handed over on stdin; a line break at its end is no part of it.

    Raises UsageError where there is none, or more than a line, or no text.
    """
    try:
        lines = content.decode("utf-8").removesuffix("\n").removesuffix("\r").split("\n")
    except UnicodeDecodeError:
        raise UsageError("The value is not text", expected="UTF-8") from None
    if len(lines) != 1 or not lines[0]:
        raise UsageError(
            "There is no value to encrypt",
            expected="one line on stdin",
            found=f"{len(lines)} lines" if len(lines) > 1 else "nothing",
        )
    return lines[0]


def is_encrypted(value: str) -> bool:
    """Tell whether a setting's value is the text that `encrypt` makes."""
    return value.startswith(ENCRYPTED_PREFIX)


def encrypt(value: str, key: str) -> str:
    """Return ``value`` as ``enc:…``, readable only with ``key``.

    Raises UsageError when ``key`` is no Fernet key.
    """
    token = _fernet(key).encrypt(value.encode("utf-8"))
    return ENCRYPTED_PREFIX + token.decode("ascii")


def decrypt(value: str, key: str) -> str:
    """Return the text behind ``enc:…``.

    Raises UsageError when ``value`` is not such a text, is cut short or altered, or was encrypted
    with another key. The message holds neither the value nor the key.
    """
    from cryptography.fernet import InvalidToken

    if not is_encrypted(value):
        raise UsageError(
            "The value is not encrypted",
            expected=f"text that begins with {ENCRYPTED_PREFIX}",
            action="Create it with `python run_pipeline.py secrets encrypt`",
        )
    fernet = _fernet(key)
    try:
        return fernet.decrypt(value.removeprefix(ENCRYPTED_PREFIX)).decode("utf-8")
    except (InvalidToken, ValueError):  # ValueError: a token that is not ASCII
        raise UsageError(
            "The encrypted value cannot be decrypted with this key",
            expected="the whole value as it was printed, and the key it was encrypted with",
            found="a value cut short, altered, or encrypted with another key",
            action="Copy the value again, give its key, or re-encrypt the secret with this key",
        ) from None


def open_secret(value: str, key: str | None) -> str:
    """Return ``value`` as it is, or decrypted where it is encrypted.

    Raises UsageError where it is encrypted and there is no key, and as `decrypt` does.
    """
    if not is_encrypted(value):
        return value
    if key is None:
        raise UsageError(
            "The value is encrypted, and there is no usable key",
            action="Give the key in RETAIL_SECRET_KEY or RETAIL_SECRET_KEY_FILE",
        )
    return decrypt(value, key)


def load_key(secret_key: str | None, key_file: Path | None, project: Path) -> str | None:
    """Return the key from the environment's text or from a key file; None when neither is given.

    A relative ``key_file`` counts from ``project``. Raises UsageError when both are given, when
    the text is no Fernet key, or when the file is missing, lies inside ``project`` (where it would
    travel with the values it opens), or may be read by other users.
    """
    if secret_key and key_file:
        raise UsageError(
            "The key is given twice, as text and as a file",
            action="Keep only one of RETAIL_SECRET_KEY and RETAIL_SECRET_KEY_FILE",
        )
    if key_file:
        return _checked_key(_read_key_file(key_file, project))
    return _checked_key(secret_key.strip()) if secret_key else None


def _read_key_file(key_file: Path, project: Path) -> str:
    path = from_project(key_file, project)
    if path.is_relative_to(project.resolve()):
        raise UsageError(
            "The key file is inside the project folder",
            expected="a file elsewhere, so that key and encrypted values never travel together",
            found=str(path),
            action="Move it, for instance to ~/.config/retail-mart/key",
        )
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise UsageError("The key file is not a file", found=str(path))
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UsageError(
                "The key file is accessible to other users",
                expected="mode 600 or 400",
                found=f"mode {stat.S_IMODE(mode):03o} on {path}",
                action=f"Run chmod 600 {path}",
            )
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise UsageError(
            "The key file cannot be read",
            found=f"{path} ({error.strerror})",
            action=f"Correct the path. {_MAKE_A_KEY}",
        ) from error


def _checked_key(key: str) -> str:
    _fernet(key)
    return key


def _fernet(key: str) -> Fernet:
    from cryptography.fernet import Fernet

    try:
        return Fernet(key)
    except ValueError:
        raise UsageError(
            "The key is not a Fernet key",
            expected="44 characters of URL-safe base64",
            found=f"{len(key)} characters",
            action=_MAKE_A_KEY,
        ) from None
