"""Images with several classes are learned by binary cross-entropy, and measured as scikit-learn does."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score, f1_score

from vig_pyg.data.multilabel import load_multilabel
from vig_pyg.tasks import read_recipe
from vig_pyg.tasks.multilabel import Multilabel
from vig_pyg.train import fit

SMALL = ("image_size=32", "epochs=4", "warmup_epochs=0", "batch=8", "device_batch=8", "workers=0", "crop_scale=1")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Images whose upper half may be bright and whose left half may be red."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    rows = ["file,labels"]
    for number in range(60):
        bright, red = rng.integers(2, size=2)
        pixels = rng.integers(40, 80, (32, 32, 3))
        pixels[:16] += 120 * bright
        pixels[:, :16, 0] += 55 * red
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{' '.join(['bright'] * bright + ['red'] * red)}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return load_multilabel(str(folder))


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    recipe, out = read_recipe("multilabel", SMALL), tmp_path_factory.mktemp("run") / "run"
    torch.manual_seed(0)
    model = Multilabel.build_model(recipe, data)
    return SimpleNamespace(recipe=recipe, out=out, history=fit(model, data, recipe, out))


def test_it_learns(trained):
    assert list(trained.history[-1].measured) == ["map", "f1", "macro_f1"]
    assert trained.history[-1].measured["map"] > 0.9


def test_what_is_measured_is_what_scikit_learn_measures(trained, data):
    kept, task = Multilabel.load(trained.out / "last"), Multilabel(data, trained.recipe)
    batches = list(task.test_loader(kept.model, 5))
    truth = torch.cat([batch.labels for batch in batches]).numpy()
    with torch.no_grad():
        shares = torch.cat([kept.model(batch.images).sigmoid() for batch in batches]).numpy()
    found = task.evaluate(kept.model, batches, "cpu")
    assert found.mean_ap == pytest.approx(average_precision_score(truth, shares, average="macro"))
    assert found.f1 == pytest.approx(f1_score(truth, shares >= 0.5, average="micro"))
    assert found.images == 12 and found.figures == pytest.approx(trained.history[-1].measured)


def test_the_loss_is_a_mean_over_images_and_classes(data, trained):
    task = Multilabel(data, trained.recipe)
    model = Multilabel.load(trained.out / "last").model
    batch = next(iter(task.test_loader(model, 5)))
    shares = model(batch.images).sigmoid()
    expected = -(batch.labels * shares.log() + (1 - batch.labels) * (1 - shares).log()).mean()
    torch.testing.assert_close(task.loss(model, batch, torch.device("cpu")), expected)


def test_every_class_of_every_file_is_written(trained, data, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    files, said = [data.test.samples[0][0], tmp_path / "broken.png"], {}
    kept = Multilabel.load(trained.out / "last")
    Multilabel.predict(kept, files, tmp_path / "out.csv", said.__setitem__, batch=2, device="cpu")
    rows = [row.split(",") for row in (tmp_path / "out.csv").read_text().splitlines()]
    assert rows[0] == ["file", "bright", "red", "error"]
    assert all(0 <= float(share) <= 1 for share in rows[1][1:3]) and "is no image" in rows[2][3]
    assert "does not decode" in said[files[1]]


def test_what_is_for_one_class_per_image_is_refused(tmp_path):
    with pytest.raises(ValueError, match="mixup is for the task classify, not for multilabel"):
        read_recipe("multilabel", ["mixup=0.8"])
    with pytest.raises(ValueError, match=r"--out must end in .csv, got 'found.jsonl'"):
        Multilabel.place(type(tmp_path)("found.jsonl"))
