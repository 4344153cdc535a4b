"""What is exported gives the logits and the neighbors of the model, without our code."""

import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
import timm
import torch
from sklearn.datasets import load_sample_images
from torch import Tensor, nn
from torch.export import Dim
from torch.nn.functional import interpolate

import vig_pyg
from vig_pyg.models.export import export


def photographs(side: int, count: int = 5) -> Tensor:
    """Return crops of scikit-learn's two photographs."""
    crops = []
    for number in range(count):
        image = torch.from_numpy(load_sample_images().images[number % 2].copy()).permute(2, 0, 1).float() / 255
        start = 60 * (number // 2)
        crops.append(interpolate(image[None, :, start : start + 300, start : start + 300], size=side)[0])
    return (torch.stack(crops) - 0.5) / 0.5


def settled(name: str, side: int, conv: str) -> nn.Module:
    """Return a model whose batch norms know these images, so that logits are of usual size."""
    torch.manual_seed(0)
    model = timm.create_model(name, conv=conv, num_classes=10)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.momentum = None
    with torch.no_grad():
        model.train()(photographs(side))
    return model.eval()


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("name", "conv"),
    [
        ("vig_micro", "max_relative"),
        ("vig_micro", "edge"),
        ("vig_micro", "gin"),
        ("vig_micro", "sage"),
        ("pvig_micro", "max_relative"),
    ],
)
def test_onnxruntime_gives_the_same_logits(name, conv, dynamic, tmp_path):
    model, images = settled(name, 32, conv), photographs(32)
    export(model, images[:2], tmp_path / "model.onnx", "onnx", dynamic)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for count in (1, 5) if dynamic else (2,):
        given = images[:count]
        logits = torch.from_numpy(session.run(None, {"images": given.numpy()})[0])
        with torch.no_grad():
            torch.testing.assert_close(logits, model(given), rtol=1e-4, atol=1e-4)


def test_neighbors_stay_the_same(tmp_path):
    model, images = settled("vig_micro", 32, "max_relative"), photographs(32)

    class WithNeighbors(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            steps = list(self.model._steps(*self.model._read(images)))
            return self.model(images), torch.stack([edges.as_tensor()[0] for *_, edges in steps if edges is not None])

    export(WithNeighbors(), images, tmp_path / "model.onnx", "onnx")
    logits, neighbors = onnxruntime.InferenceSession(tmp_path / "model.onnx").run(None, {"images": images.numpy()})
    with torch.no_grad():
        expected, edges = WithNeighbors()(images)
    torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=1e-4, atol=1e-4)
    assert (torch.from_numpy(neighbors) == edges).float().mean() > 0.999


LOAD = """
import sys, torch
program, images, logits = torch.export.load(sys.argv[1]), torch.load(sys.argv[2]), torch.load(sys.argv[3])
torch.testing.assert_close(program.module()(images), logits, rtol=1e-4, atol=1e-4)
assert "vig_pyg" not in sys.modules
"""


@pytest.mark.parametrize("dynamic", [False, True])
def test_torch_export_loads_without_the_library(dynamic, tmp_path):
    model, images = settled("pvig_micro", 32, "max_relative"), photographs(32)
    given = images if dynamic else images[:2]
    export(model, images[:2], tmp_path / "model.pt2", "torch-export", dynamic)
    with torch.no_grad():
        torch.save(model(given), tmp_path / "logits.pt")
    torch.save(given, tmp_path / "images.pt")
    files = [str(tmp_path / name) for name in ("model.pt2", "images.pt", "logits.pt")]
    result = subprocess.run([sys.executable, "-c", LOAD, *files], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["vig_micro", "pvig_micro"])
@pytest.mark.parametrize("conv", ["max_relative", "edge", "gin", "sage"])
def test_torch_exports_a_model_to_onnx_by_itself(name, conv, tmp_path):
    model, images = settled(name, 32, conv), photographs(32, 2)
    torch.onnx.export(model, (images,), tmp_path / "model.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    logits = session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(logits), model(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["vig_micro", "pvig_micro"])
def test_an_exported_program_takes_images_of_any_height_but_the_models_own(name):
    """On the model's own grid positions are read from a table, which is another program."""
    model = settled(name, 32, "max_relative").double()
    sizes = {2: 16 * Dim("rows", min=2, max=20), 3: 16 * Dim("columns", min=2, max=20)}
    with torch.no_grad():
        program = torch.export.export(model, (photographs(64, 2).double(),), dynamic_shapes=(sizes,)).module()
        for height, width in ((64, 64), (48, 96), (80, 32)):
            images = photographs(96, 2).double()[..., :height, :width]
            torch.testing.assert_close(program(images), model(images))


def test_another_format_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="must be onnx or torch-export, got 'coreml'"):
        export(vig_pyg.ViG(32), photographs(32), tmp_path / "model", "coreml")  # type: ignore[arg-type]
