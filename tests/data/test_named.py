"""Shards that are not there or hold nothing that decodes end in one sentence, at once."""

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from vig_pyg.data.named import named_data
from vig_pyg.train import accelerator_for, build_model, fit, load_data, read_recipe

pytest.importorskip("webdataset")
WORDS = ("epochs=1", "warmup_epochs=0", "batch=4", "device_batch=4", "mixup=0", "cutmix=0", "classes=2")


def write_shards(folder: Path, images: list[bytes]) -> None:
    splits = {}
    for split in ("train", "validation"):
        with tarfile.open(folder / f"{split}-0.tar", "w") as shard:
            for number, image in enumerate(images):
                for suffix, content in (("png", image), ("cls", str(number % 2).encode())):
                    member = tarfile.TarInfo(f"{number:03d}.{suffix}")
                    member.size = len(content)
                    shard.addfile(member, io.BytesIO(content))
        count = len(images)
        splits[split] = {"name": split, "num_samples": count, "shard_lengths": [count]}
        splits[split]["filenames"] = [f"{split}-0.tar"]
    (folder / "_info.json").write_text(json.dumps({"splits": splits}))


def picture(mode: str = "RGB", side: int = 32, value: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (side, side), value).save(file, "png")
    return file.getvalue()


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write_shards(tmp_path, [picture()] * 8)
    (tmp_path / "train-0.tar").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no shard .*train-0.tar, which _info.json names"):
        load_data(f"wds/{tmp_path}", classes=2)


@pytest.mark.parametrize("workers", [0, 2])
def test_shards_in_which_nothing_decodes_end(workers: int, tmp_path: Path) -> None:
    write_shards(tmp_path, [b"nothing"] * 8)
    recipe = read_recipe("deit", ["model=vig_micro", f"data=wds/{tmp_path}", f"workers={workers}", *WORDS])
    with pytest.raises(ValueError, match=r"the shards of .* give this process not one batch of 4 images that decode"):
        fit(build_model(recipe, 2), recipe.data, recipe, accelerator=accelerator_for(recipe, "cpu"))


def test_shards_keep_16_bits_and_pass_over_what_cannot_be_used(tmp_path: Path) -> None:
    write_shards(tmp_path, [picture("I;16", value=128 * 256)] * 4 + [b"nothing"] * 2)
    data = load_data(f"wds/{tmp_path}", classes=2)
    shown = [image for image, _ in data.test]
    assert len(shown) == 4 and {image.mode for image in shown} == {"I;16"}


def test_a_missing_shard_ends_the_command(tmp_path: Path) -> None:
    write_shards(tmp_path, [picture()] * 8)
    (tmp_path / "validation-0.tar").unlink()
    command = [sys.executable, "-m", "vig_pyg", "train", "--data", f"wds/{tmp_path}", "--model", "vig_micro", *WORDS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 2 and "there is no shard" in done.stdout and "Traceback" not in done.stderr


def test_what_shards_do_not_say_is_asked_for(tmp_path):
    write_shards(tmp_path, [picture()] * 8)
    with pytest.raises(ValueError, match="does not say how many classes it has: add classes=NUMBER"):
        named_data(f"wds/{tmp_path}", "data", None)
    assert named_data(f"wds/{tmp_path}", "data", 3)[2] == ["0", "1", "2"]
    with pytest.raises(FileNotFoundError, match=r"there is no nowhere/_info.json"):
        named_data("wds/nowhere", "data", 3)
