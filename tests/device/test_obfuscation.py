"""The artifact format `rules.bin`."""

from __future__ import annotations

import json
from itertools import cycle

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.cases import each_case
from support.device import contents, decision_of, mboxes_of, request_for, rule
from targetry.device.artifact import artifact_text
from targetry.device.obfuscation import deobfuscate, is_obfuscated, obfuscate
from targetry.device.ruleset import compile_artifact
from targetry.errors import ArtifactError

ORGANIZATION = "0DD934B85278256B0A490D44@AdobeOrg"
KEY = "0123456789abcdefghijklmnopqrstuv"
HELLO = mboxes_of(rule(content="hello"))
TEXT = json.dumps(HELLO).encode()


def obfuscated(
    text: bytes, organization: str = ORGANIZATION, key: str = KEY, magic: str = "ATOD:001"
) -> bytes:
    """Return `text` in the format `rules.bin`."""
    stream = cycle((organization + key).encode())
    return (
        magic.encode() + key.encode() + bytes(byte ^ mask for byte, mask in zip(text, stream, strict=False))
    )


def test_obfuscated_artifact_is_read_with_the_organization_id() -> None:
    rules = compile_artifact(obfuscated(TEXT), organization_id=ORGANIZATION)
    assert contents(decision_of(rules, request_for("hero"))) == ["hello"]
    assert rules.document() == HELLO


@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=50), max_size=5),
    st.text(min_size=1, max_size=40),
    st.binary(min_size=32, max_size=32).filter(lambda key: key.isascii()) | st.just(KEY.encode()),
)
def test_deobfuscated_text_is_the_original(document: dict[str, str], organization: str, key: bytes) -> None:
    text = json.dumps(document).encode()
    hidden = obfuscated(text, organization, key.decode())
    assert is_obfuscated(hidden)
    assert deobfuscate(hidden, organization) == text
    assert artifact_text(hidden, organization_id=organization) == text


@given(st.binary(max_size=300))
@example(b"ATOD:001" + b"k" * 32)
@example(b"ATOD:001" + b"k" * 31)
@example(b"ATOD:001")
@example(b"ATOD:002" + b"k" * 40)
def test_random_bytes_are_an_artifact_error(junk: bytes) -> None:
    for data in (junk, b"ATOD:001" + junk, b"ATOD:001" + KEY.encode() + junk):
        with pytest.raises(ArtifactError):
            compile_artifact(data, organization_id=ORGANIZATION)


def test_artifact_obfuscated_without_organization_is_read_without_one() -> None:
    assert artifact_text(obfuscated(TEXT, organization="")) == TEXT


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"ATOD:001" + b"k" * 31, "Invalid Artifact"),
        (b"ATOD:001" + b"k" * 32, "Unable to read artifact JSON"),
        (b"ATOD:001" + b"k" * 33, "Unable to read artifact JSON"),
    ],
    ids=["no whole key", "nothing behind the key", "no JSON behind the key"],
)
def test_truncated_artifact_is_an_artifact_error(data: bytes, reason: str) -> None:
    with pytest.raises(ArtifactError, match=f"^{reason}$"):
        compile_artifact(data, organization_id=ORGANIZATION)


@each_case("magic", ["ATOD:000", "ATOD:002", "ATOD:010", "ATOD:100"])
def test_unsupported_version_is_invalid(magic: str) -> None:
    with pytest.raises(ArtifactError, match=r"^Invalid Artifact$"):
        compile_artifact(obfuscated(TEXT, magic=magic), organization_id=ORGANIZATION)


@pytest.mark.parametrize("length", [8, 9, 39])
def test_artifact_that_ends_in_its_head_is_invalid(length: int) -> None:
    with pytest.raises(ArtifactError, match=r"^Invalid Artifact$"):
        compile_artifact(obfuscated(TEXT)[:length], organization_id=ORGANIZATION)


@each_case("organization", ["", None, "another@AdobeOrg", "\ud800"], ids=ascii)
def test_wrong_organization_id_is_an_artifact_error(organization: str | None) -> None:
    with pytest.raises(ArtifactError, match=r"^Unable to read artifact JSON$"):
        compile_artifact(obfuscated(TEXT), organization_id=organization)


@each_case(
    "data, answer",
    [
        (b"ATOD:001xyz", True),
        (b"ABCD:999", True),
        (b"atod:001", False),
        (b"AT0D:001", False),
        (b"ATOD;001", False),
        (b"ATOD:01x", False),
        (b"ATOD:01", False),
        (b":0010000", False),
        (b"", False),
        (b'{"version', False),
    ],
)
def test_obfuscated_artifact_is_recognized_by_its_head(data: bytes, answer: bool) -> None:
    assert is_obfuscated(data) is answer


@given(st.binary(max_size=300), st.text(max_size=40))
def test_obfuscate_writes_the_documented_format(text: bytes, organization: str) -> None:
    key = obfuscate(text, organization)[8:40]
    assert obfuscate(text, organization) == obfuscated(text, organization, key.decode())
    assert deobfuscate(obfuscate(text, organization), organization) == text
