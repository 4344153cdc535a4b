import json
import struct
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.datasets import load_digits as sklearn_digits

from tests.data.written_folders import write_images
from tests.tasks.loading import held_out_batches
from vig_pyg.data.decoded import IGNORE_INDEX
from vig_pyg.data.labeled import ImageTensorDataset
from vig_pyg.data.samplers import Draw
from vig_pyg.tasks import Classification
from vig_pyg.train import Split, accelerator_for, build_model, fit, load_data, load_digits, read_recipe


@pytest.fixture(scope="module")
def digits() -> Split:
    return load_digits()


def test_images_in_memory_move_as_their_seed_says(digits):
    data = ImageTensorDataset(digits.train_images, digits.train_labels, pixels=2)
    draws = [Draw(3, 7), Draw(5, 8)]
    first, again = data.__getitems__(draws), data.__getitems__(draws)
    assert torch.equal(first.images, again.images) and first.labels.tolist() == digits.train_labels[[3, 5]].tolist()
    still = data.__getitems__([Draw(3, None), Draw(-1, None)])
    assert torch.equal(still.images[0], digits.train_images[3]) and still.labels[1] == IGNORE_INDEX


def test_a_folder_is_split_by_class(folder):
    data = load_data(str(folder))
    assert data.classes == ["flower", "temple"]
    assert (len(data.train), len(data.test)) == (16, 4)
    assert sorted(label for _, label in data.test.samples) == [0, 0, 1, 1]
    assert not set(data.train.samples) & set(data.test.samples)
    assert load_data(str(folder)).test.samples == data.test.samples


def test_held_out_images_alone_are_enough_to_evaluate(tmp_path):
    write_images(tmp_path / "val", 3)
    data = load_data(str(tmp_path))
    assert (data.classes, len(data.train), len(data.test)) == (["flower", "temple"], 0, 6)
    with pytest.raises(ValueError, match="more than the 0 training images"):
        Classification(data, read_recipe("finetune")).train_loader(timm.create_model("vig_micro"), 1)


@pytest.mark.parametrize("name", ["val", "validation", "test"])
def test_a_folder_may_hold_its_own_test_images(name, tmp_path):
    write_images(tmp_path / "train", 3)
    write_images(tmp_path / name, 2)
    data = load_data(str(tmp_path))
    assert (len(data.train), len(data.test)) == (6, 4)


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write MNIST's file format: a magic number, the sizes, the bytes."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def test_torchvisions_data_sets_are_read(tmp_path):
    digits = sklearn_digits()
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, chosen in (("train", slice(0, 40)), ("t10k", slice(40, 60))):
        write_idx(
            raw / f"{part}-images-idx3-ubyte", np.kron(digits.images[chosen] * 15, np.ones((1, 4, 4)))[:, 2:30, 2:30]
        )
        write_idx(raw / f"{part}-labels-idx1-ubyte", digits.target[chosen])
    data = load_data("torch/mnist", root=str(tmp_path))
    assert (len(data.train), len(data.test), len(data.classes)) == (40, 20, 10)
    model = timm.create_model("vig_micro", in_chans=1, num_classes=10)
    batches = list(held_out_batches(Classification, data, 8, model))
    assert batches[0].images.shape == (8, 1, 32, 32)
    assert torch.cat([batch.labels for batch in batches]).tolist() == digits.target[40:60].tolist()


def test_hugging_face_data_sets_are_read(tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_images(tmp_path / "images" / "train", 6)
    write_images(tmp_path / "images" / "validation", 2)
    data = load_data(f"hfds/{tmp_path / 'images'}", root=str(tmp_path / "cache"))
    assert data.classes == ["flower", "temple"]
    (batch,) = held_out_batches(Classification, data, 8, timm.create_model("vig_micro"))
    assert sorted(batch.labels.tolist()) == [0, 0, 1, 1]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Return a folder of tar shards with 24 images to train on and 10 to test on, red ones 0 and blue ones 1."""
    wds = pytest.importorskip("webdataset")
    splits = {}
    for split, lengths in (("train", (10, 14)), ("validation", (4, 6))):
        names = [f"{split}-{number}.tar" for number in range(len(lengths))]
        for name, length in zip(names, lengths, strict=True):
            with wds.TarWriter(str(tmp_path / name)) as shard:
                for number in range(length):
                    label = number % 2
                    image = Image.new("RGB", (32, 32), ("red", "blue")[label])
                    shard.write({"__key__": f"{number:03d}", "png": image, "cls": label})
        splits[split] = {"name": split, "num_samples": sum(lengths), "filenames": names, "shard_lengths": lengths}
    (tmp_path / "_info.json").write_text(json.dumps({"splits": splits}))
    return tmp_path


@pytest.mark.parametrize("workers", [0, 2])
def test_shards_train_and_are_evaluated_once(workers, shards):
    words = ["epochs=2", "warmup_epochs=0", "batch=8", "device_batch=4", f"workers={workers}", "mixup=0", "cutmix=0"]
    recipe = read_recipe("deit", ["model=vig_micro", f"data=wds/{shards}", "classes=2", *words])
    history = fit(build_model(recipe, 2), recipe.data, recipe, accelerator=accelerator_for(recipe, "cpu"))
    assert len(history) == 2
    data = load_data(recipe.data, classes=2)
    batches = list(held_out_batches(Classification, data, 4, timm.create_model("vig_micro")))
    labels, images = (torch.cat([batch[i] for batch in batches]) for i in (1, 0))
    assert len(labels) == 10 and (images[:, 2] > images[:, 0]).flatten(1).all(1).equal(labels == 1)
    with pytest.raises(ValueError, match=r"does not say how many classes it has: add classes=NUMBER"):
        load_data(recipe.data)


def test_a_data_set_that_timm_cannot_load_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="timm cannot load 'torch/nowhere' from"):
        load_data("torch/nowhere", root=str(tmp_path))


def test_missing_empty_and_single_class_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder 'nowhere'; data may be digits, an image folder"):
        load_data("nowhere")
    with pytest.raises(FileNotFoundError, match="holds no images in folders, one per class"):
        load_data(str(tmp_path))
    (tmp_path / "cats").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no images in folders, one per class"):
        load_data(str(tmp_path))
    Image.new("RGB", (8, 8)).save(tmp_path / "cats" / "one.png")
    with pytest.raises(ValueError, match=r"has one class only \(cats\): classification needs at least two folders"):
        load_data(str(tmp_path))


def test_test_images_of_other_classes_are_refused(tmp_path):
    write_images(tmp_path / "train", 2)
    write_images(tmp_path / "val", 2)
    (tmp_path / "val" / "flower").rename(tmp_path / "val" / "rose")
    with pytest.raises(ValueError, match="have other classes, 'flower' first"):
        load_data(str(tmp_path))
