"""Images with several classes each are read from tables, and digits-scenes say which digits they show."""

import numpy as np
import pytest
import torch
from PIL import Image

from vig_pyg.data.multilabel import load_multilabel


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_a_column_of_words(folder):
    (folder / "train.csv").write_text("file,tags\n0.png,water forest\n1.png,\n2.png,road\n")
    (folder / "val.csv").write_text("file,tags\n3.png,road water\n")
    data = load_multilabel(str(folder))
    assert data.classes == ["forest", "road", "water"]
    assert [label.tolist() for _, label in data.train.samples] == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert data.test[0][1].tolist() == [0, 1, 1]


def test_a_column_per_class_and_a_fifth_held_out(folder):
    rows = [f"{i}.png,{i % 2},{int(i < 3)}" for i in range(6)]
    (folder / "labels.csv").write_text("\n".join(["file,odd,low", *rows]))
    data = load_multilabel(str(folder))
    assert data.classes == ["low", "odd"] and (len(data.train), len(data.test)) == (5, 1)
    for path, label in (*data.train.samples, *data.test.samples):
        number = int(path.split("/")[-1].split(".")[0])
        assert label.tolist() == [int(number < 3), number % 2]


def test_scenes_show_the_digits_that_are_annotated(tmp_path):
    data = load_multilabel("digits-scenes", tmp_path)
    assert data.classes == list("0123456789")
    counts = torch.stack([label for _, label in data.train.samples]).sum(1)
    assert counts.min() >= 1 and counts.max() <= 5


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file\n0.png\n", "must have a column of files, at least one of classes, and rows"),
        ("file,tags\n9.png,road\n", "there is no image .*9.png, which"),
        ("file,a,b\n0.png,1,0\n1.png,2,0\n", "must hold 0 or 1 for every class, but row 2 of a has '2'"),
        ("file,tags\n0.png,road\n", "names one image only"),
    ],
)
def test_a_wrong_table_is_refused(folder, table, message):
    (folder / "labels.csv").write_text(table)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_multilabel(str(folder))


def test_a_class_that_is_only_held_out_and_a_file_in_both_parts_are_refused(folder):
    (folder / "train.csv").write_text("file,tags\n0.png,road\n")
    (folder / "val.csv").write_text("file,tags\n3.png,lake\n")
    with pytest.raises(ValueError, match="has the class 'lake', which no image to train on has"):
        load_multilabel(str(folder))
    (folder / "val.csv").write_text("file,tags\n0.png,road\n")
    with pytest.raises(ValueError, match="are one file"):
        load_multilabel(str(folder))
    with pytest.raises(FileNotFoundError, match="there is no folder 'nowhere'"):
        load_multilabel("nowhere")
