"""A few scenes of digits on photographs."""

from pathlib import Path

import pytest

from vig_pyg.data.scenes import write_scenes


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> Path:
    """Return a folder of eight scenes to train on and four held out, each with a class map."""
    folder = write_scenes(tmp_path_factory.mktemp("data") / "digits-scenes", train=8, val=4)
    (folder / "segmentation").rename(folder / "masks")
    (folder / "classes.txt").write_text("\n".join(["background", *map(str, range(10))]))
    return folder
