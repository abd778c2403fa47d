"""Secrets: what is encrypted opens with its key alone, and nothing secret reaches a message."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.config.secrets import (
    decrypt,
    encrypt,
    generate_key,
    is_encrypted,
    load_key,
    open_secret,
)
from ingestion.errors import UsageError

KEY = generate_key()


def write_key(path: Path, mode: int = 0o600) -> Path:
    """Write the key as an editor would, with a line end, and set the file's mode."""
    path.write_text(f"{KEY}\n")
    path.chmod(mode)
    return path


def message_of(call: object, *arguments: object) -> str:
    """Return the message of the UsageError that the call raises."""
    assert callable(call)
    with pytest.raises(UsageError) as caught:
        call(*arguments)
    return str(caught.value)


@given(st.text())
def test_any_text_comes_back(secret: str) -> None:
    """Risk: a password with odd characters, or none, opens as another one."""
    token = encrypt(secret, KEY)
    assert is_encrypted(token)
    assert decrypt(token, KEY) == secret


def test_every_key_and_token_is_new() -> None:
    """Risk: equal secrets are seen to be equal, or two installations share a key."""
    assert generate_key() != generate_key()
    assert encrypt("a", KEY) != encrypt("a", KEY)


@pytest.mark.parametrize("cut", [slice(0, -8), slice(0, 20), slice(0, 4), slice(0, -1)])
def test_another_key_and_a_value_cut_short_are_told(cut: slice) -> None:
    """Risk: the user re-encrypts everything although half a value was lost in copying, or the key
    was mixed up; or a value that is no token at all ends in a stack trace."""
    expected = (
        "The encrypted value cannot be decrypted with this key. "
        "Expected: the whole value as it was printed, and the key it was encrypted with. "
        "Found: a value cut short, altered, or encrypted with another key. "
        "Copy the value again, give its key, or re-encrypt the secret with this key."
    )
    assert message_of(decrypt, encrypt("hunter2", generate_key()), KEY) == expected
    assert message_of(decrypt, encrypt("hunter2", KEY)[cut], KEY) == expected
    assert message_of(decrypt, "enc:gÄAAAA", KEY) == expected


def test_plain_text_is_not_decrypted() -> None:
    """Risk: a plain secret is echoed by the message that refuses it."""
    assert message_of(decrypt, "hunter2", KEY) == (
        "The value is not encrypted. Expected: text that begins with enc:. "
        "Create it with `python run_pipeline.py secrets encrypt`."
    )


def test_a_wrong_key_is_described_and_not_shown() -> None:
    """Risk: a mistyped key ends up in a terminal's history of errors."""
    expected = (
        "The key is not a Fernet key. Expected: 44 characters of URL-safe base64. "
        "Found: 7 characters. Create one with `python run_pipeline.py secrets generate-key`."
    )
    assert message_of(encrypt, "a", "hunter2") == expected
    assert message_of(load_key, "hunter2", None, Path()) == expected


def test_open_secret_takes_plain_and_encrypted() -> None:
    """Risk: a plain value needs a key, or an encrypted one is used as it stands."""
    assert open_secret("plain", None) == "plain"
    assert open_secret(encrypt("hunter2", KEY), KEY) == "hunter2"
    assert message_of(open_secret, encrypt("hunter2", KEY), None) == (
        "The value is encrypted, and there is no usable key. "
        "Give the key in RETAIL_SECRET_KEY or RETAIL_SECRET_KEY_FILE."
    )


def test_the_key_comes_from_text_or_file_or_nowhere(project: Path) -> None:
    """Risk: a line end in the file or a relative path makes a good key useless."""
    path = write_key(project.parent / "key")
    assert load_key(None, None, project) is None
    assert load_key(f" {KEY}\n", None, project) == KEY
    assert load_key(None, path, project) == KEY
    assert load_key(None, Path("../key"), project) == KEY


def test_two_keys_are_refused(project: Path) -> None:
    """Risk: after a change of key the old one silently stays in use."""
    path = write_key(project.parent / "key")
    assert message_of(load_key, KEY, path, project) == (
        "The key is given twice, as text and as a file. "
        "Keep only one of RETAIL_SECRET_KEY and RETAIL_SECRET_KEY_FILE."
    )


def test_a_key_inside_the_project_is_refused(project: Path) -> None:
    """Risk: key and encrypted values are committed or copied together, a link notwithstanding."""
    path = write_key(project / "key")
    link = project.parent / "link"
    link.symlink_to(path)
    expected = (
        "The key file is inside the project folder. "
        "Expected: a file elsewhere, so that key and encrypted values never travel together. "
        f"Found: {path}. Move it, for instance to ~/.config/retail-mart/key."
    )
    assert message_of(load_key, None, path, project) == expected
    assert message_of(load_key, None, link, project) == expected


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_key_file_open_to_others_is_refused(project: Path, mode: int) -> None:
    """Risk: another user of the machine reads the key."""
    path = write_key(project.parent / "key", mode)
    assert message_of(load_key, None, path, project) == (
        "The key file is accessible to other users. Expected: mode 600 or 400. "
        f"Found: mode {mode:03o} on {path}. Run chmod 600 {path}."
    )


def test_a_missing_key_file_is_named(project: Path) -> None:
    """Risk: a typing error in the path shows as a stack trace."""
    path = project.parent / "nowhere"
    assert message_of(load_key, None, path, project) == (
        f"The key file cannot be read. Found: {path} (No such file or directory). "
        "Correct the path. Create one with `python run_pipeline.py secrets generate-key`."
    )
    assert message_of(load_key, None, project.parent, project) == (
        f"The key file is not a file. Found: {project.parent}."
    )
