"""Each real file counts once, whatever links lead to it, and no search goes on for ever."""

import glob
import logging
import os
from pathlib import Path

import pytest
from PIL import Image

from vig_pyg.data import folders
from vig_pyg.data.coco import load_coco
from vig_pyg.data.folders import Search, check_apart, find_images, identity, image_files, images_by_class, is_folder
from vig_pyg.segmentation import load_segmentation_data
from vig_pyg.train import load_data


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two classes of five images each, some in a folder below."""
    for name in ("cat", "dog"):
        for number in range(5):
            write(tmp_path / "set" / name / ("more" if number > 2 else ".") / f"{number}.png")
    return tmp_path / "set"


def test_files_come_in_the_order_of_their_names(folder: Path) -> None:
    (folder / "cat" / "notes.txt").touch()
    found = list(image_files(folder))
    assert found == sorted(path for path in folder.rglob("*") if path.suffix == ".png") and len(found) == 10


@pytest.mark.parametrize("target", [".", "more", "..", "../.."])
def test_links_in_a_circle_end(target: str, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = list(image_files(folder))
    for name in ("again", "once_more"):  # with two, following them would double the data at every step
        (folder / "cat" / "more" / name).symlink_to(folder / "cat" / target, target_is_directory=True)
    real = {path.resolve() for path in image_files(folder)}
    assert real == {path.resolve() for path in plain} and len(list(image_files(folder))) == 10
    assert "each counts once" in caplog.text
    assert len(list(find_images([folder]))) == len(list(find_images([f"{folder}/**/*.png"]))) == 10


@pytest.mark.parametrize(
    "pattern",
    ["**", "**/*.png", "cat/**/*.png", "*/**/*.png", "**/more/*", "*/more/*.png", "**/[12].png", "**/cat/**/3*"],
)
def test_patterns_name_what_glob_names(pattern: str, folder: Path) -> None:
    write(folder / ".hidden" / "1.png"), write(folder / "cat" / ".1.png")
    expected = sorted(Path(file) for file in glob.glob(f"{folder}/{pattern}", recursive=True) if file.endswith(".png"))
    assert list(find_images([f"{folder}/{pattern}"])) == expected != []


def test_a_circle_does_not_multiply_data_or_share_it(folder: Path) -> None:
    (folder / "cat" / "loop").symlink_to(folder / "cat", target_is_directory=True)
    data = load_data(str(folder))
    assert (len(data.train), len(data.test)) == (8, 2)
    parts = [{os.path.realpath(path) for path, _ in part.samples} for part in (data.train, data.test)]
    assert not parts[0] & parts[1] and len(parts[0] | parts[1]) == 10


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_file_with_two_names_counts_once(link: object, folder: Path) -> None:
    link(folder / "cat" / "0.png", folder / "cat" / "same.png")  # type: ignore[operator]
    found = images_by_class(folder)
    assert len(found.samples) == len(found.files) == 10


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_file_in_two_classes_is_refused(link: object, folder: Path) -> None:
    link(folder / "cat" / "0.png", folder / "dog" / "same.png")  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"cat/0.png and .*dog/same.png are one file, but in two classes, cat and dog"):
        load_data(str(folder))


def test_a_class_that_links_to_all_is_refused(folder: Path) -> None:
    (folder / "every").symlink_to(folder, target_is_directory=True)
    with pytest.raises(ValueError, match="are one file, but in two classes, cat and every"):
        load_data(str(folder))


def test_a_file_to_train_on_is_not_held_out(folder: Path) -> None:
    folder.rename(folder.parent / "train")
    for name in ("cat", "dog"):
        write(folder.parent / "val" / name / "9.png")
    assert len(load_data(str(folder.parent)).test) == 2
    os.link(folder.parent / "train" / "dog" / "1.png", folder.parent / "val" / "dog" / "x.png")
    with pytest.raises(ValueError, match=r"train/dog/1.png and .*val/dog/x.png are one file, but the one is to train"):
        load_data(str(folder.parent))


def test_masks_have_files_of_their_own(tmp_path: Path) -> None:
    for part in ("train", "val"):
        for kind in ("images", "masks"):
            write(tmp_path / kind / part / "0.png")
    assert len(load_segmentation_data(str(tmp_path)).test) == 1
    (tmp_path / "images" / "val" / "0.png").unlink()
    (tmp_path / "images" / "val" / "0.png").symlink_to(tmp_path / "images" / "train" / "0.png")
    with pytest.raises(ValueError, match="are one file, but the one is to train on and the other held out"):
        load_segmentation_data(str(tmp_path))


def test_what_looks_like_an_image_and_is_none_is_not_passed_over(folder: Path) -> None:
    os.mkfifo(folder / "cat" / "pipe.png")
    (folder / "cat" / "gone.png").symlink_to("nowhere")
    (folder / "cat" / "self.png").symlink_to(folder / "cat" / "self.png")
    assert {path.name for path in image_files(folder)} >= {"pipe.png", "gone.png", "self.png"}


def test_a_class_with_one_image_is_refused(folder: Path) -> None:
    write(folder / "bird" / "only.png")
    with pytest.raises(ValueError, match=r"the class bird has one image only, .*only.png: it needs two"):
        load_data(str(folder))
    write(folder / "bird" / "second.png")
    data = load_data(str(folder))
    assert [sum(label == 0 for _, label in part.samples) for part in (data.train, data.test)] == [1, 1]


def test_a_single_pair_is_refused(tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        write(tmp_path / kind / "0.png")
    with pytest.raises(ValueError, match=r"images holds one image only, .*0.png: one must be held out"):
        load_segmentation_data(str(tmp_path))


def test_a_folder_of_hardly_any_images_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(100):
        (folder / "cat" / f"{number}.txt").touch()
    monkeypatch.setattr(folders, "OTHERS", 100)
    assert len(list(image_files(folder))) == 10  # so many are borne
    for number in range(101):
        (folder / "dog" / f"{number}.txt").touch()
    for search in (lambda: list(image_files(folder)), lambda: load_data(str(folder))):
        with pytest.raises(ValueError, match=r"holds 1\d\d files that are no images and \d+ that are: name the folder"):
            search()


def test_a_long_search_says_how_far_it_is(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "REPORT_SECONDS", -1.0)
    search = Search("somewhere")
    with caplog.at_level(logging.WARNING):
        for number in range(2000):
            search.count(number % 2 == 0)
    assert "searching somewhere: 1000 images among 2000 files" in caplog.text


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "/".join(["x" * 200] * 30)])
@pytest.mark.parametrize("door", [load_data, load_coco, load_segmentation_data, lambda name: list(find_images([name]))])
def test_what_can_be_no_name_is_one_sentence(door: object, name: str) -> None:
    with pytest.raises(ValueError, match=r"is no folder: (File name too long|embedded null byte)") as caught:
        door(name)  # type: ignore[operator]
    assert len(str(caught.value)) < 150


def test_a_folder_is_told_from_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_folder(folder) and not is_folder(folder / "cat" / "0.png") and not is_folder(folder / "none" / "x")
    (folder / "self").symlink_to(folder / "self")
    monkeypatch.chdir(folder)  # long names are shortened in sentences
    with pytest.raises(ValueError, match=r"^'self' is no folder: Too many levels of symbolic links$"):
        is_folder("self")


def test_parts_are_compared_by_identity(folder: Path) -> None:
    first, second = (str(folder / "cat" / f"{number}.png") for number in (0, 1))
    check_apart({identity(first): first}, {identity(second): second})
    with pytest.raises(ValueError, match="are one file"):
        check_apart({identity(first): first}, {identity(first): first})
