"""Sums are those of ``sha256sum``, and no change of a file goes unseen."""

import shutil
import subprocess

import pytest

from vig_pyg.manifest import SUMS, DamagedError, check, sealed, sums_of, unseal


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "weights of mine.bin"
    file.write_bytes(bytes(range(256)) * 5000)  # longer than a block
    (tmp_path / SUMS).write_text(sums_of([file]))
    return file


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="the tool is not installed")
def test_sums_are_checked_by_sha256sum(file):
    subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=file.parent, check=True, capture_output=True)


def test_a_file_that_changed_is_damaged(file):
    check(file, required=True)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedError, match=rf"{file.name} is damaged: its SHA-256 is not the one in {SUMS}"):
        check(file)


def test_a_file_that_is_gone_or_not_listed_is_named(file):
    other = file.with_name("other.bin")
    check(other)  # neither listed nor there
    with pytest.raises(DamagedError, match=r"other.bin is missing"):
        check(other, required=True)
    other.touch()
    with pytest.raises(DamagedError, match=rf"other.bin cannot be checked: .*{SUMS} does not list it"):
        check(other, required=True)
    file.unlink()
    with pytest.raises(DamagedError, match=rf"{file.name} is missing"):
        check(file)


def test_damaged_sums_are_named(file):
    file.with_name(SUMS).write_text("no sum\n")
    with pytest.raises(DamagedError, match=rf"{SUMS} is damaged: delete it"):
        check(file)


def test_what_is_sealed_is_read_again(tmp_path):
    content = {"loss": [0.1, 1e-9], "name": "größer"}
    (tmp_path / "a.json").write_text(sealed(content))
    assert unseal(tmp_path / "a.json") == content


@pytest.mark.parametrize("change", [("0.1", "0.2"), ("{", ""), ('"sha256"', '"sha1"'), ("loss", "cost")])
def test_a_broken_seal_is_refused(change, tmp_path):
    (tmp_path / "a.json").write_text(sealed({"loss": 0.1}).replace(*change, 1))
    with pytest.raises(DamagedError, match=r"a.json is damaged: it is not what was written"):
        unseal(tmp_path / "a.json")
