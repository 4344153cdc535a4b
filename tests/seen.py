"""Versions of libraries that their internals were seen to be as we use them."""

from importlib.metadata import version

from packaging.specifiers import SpecifierSet


def check_seen(library: str, seen: str, module: str) -> None:
    """Fail where another version of a library is installed than those in which its internals were looked at."""
    installed = version(library)
    assert installed.partition("+")[0] in SpecifierSet(seen, prereleases=True), (
        f"{module} was seen to work with {library}{seen}, but {installed} is installed: look whether what it uses is "
        "still there and still means the same, then widen SEEN"
    )
