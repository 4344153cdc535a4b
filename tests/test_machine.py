"""What is said of the machine is what Python and torch say."""

import hashlib
import os
import platform
from pathlib import Path

import torch

import vig_pyg
from vig_pyg.machine import PACKAGES, describe_machine, installed_version, source_hash


def test_the_machine_is_the_one_that_computes():
    found = describe_machine()
    assert found["python"] == platform.python_version() and found["cores"] == os.cpu_count()
    assert found["threads"] == torch.get_num_threads() and (found["gpu"] is None) != torch.cuda.is_available()
    assert found["processor"] and list(found["versions"]) == list(PACKAGES)
    assert found["versions"]["timm"] == __import__("timm").__version__


def test_what_is_not_installed_has_no_version():
    assert installed_version("no-package-has-this-name") is None


def test_the_hash_is_of_every_source_file_and_its_name():
    package = Path(vig_pyg.__file__).parent
    files = sorted(path.relative_to(package) for path in package.rglob("*.py"))
    content = b"".join(f"{name}\n".encode() + (package / name).read_bytes() for name in files)
    assert source_hash() == hashlib.sha256(content).hexdigest()
