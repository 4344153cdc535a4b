"""COCO's figures are those of COCO's own tools, in any number of processes."""

import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import torch
from pycocotools.cocoeval import COCOeval

from tests.data.noisy_scenes import Noisy
from tests.tasks.loading import held_out_batches
from vig_pyg.data.coco import Coco, load_coco
from vig_pyg.data.scenes import write_scenes
from vig_pyg.tasks.average_precision import FIGURES, evaluate
from vig_pyg.tasks.detect import Prediction, coco_results
from vig_pyg.tasks.detection import Detection


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Coco:
    return load_coco(str(write_scenes(tmp_path_factory.mktemp("data") / "scenes", train=2, val=7)))


def reference(data: Coco, kind: str) -> list[float]:
    """Return the twelve figures by pycocotools, from COCO's result format."""
    model, results = Noisy(data), []
    for image_id, objects in zip(data.test.ids, model.known.values(), strict=True):
        prediction = Prediction(Path("x"), {**objects, "masks": objects["masks"][:, 0] >= 0.5}, torch.empty(0))
        results += coco_results(prediction, image_id, list(data.test.categories))
    if kind == "segm":  # else pycocotools takes an object's area from its box
        results = [{key: value for key, value in result.items() if key != "bbox"} for result in results]
    with redirect_stdout(StringIO()):
        evaluation = COCOeval(data.test.coco, data.test.coco.loadRes(results), kind)
        evaluation.evaluate(), evaluation.accumulate(), evaluation.summarize()
    return evaluation.stats.tolist()


def test_figures_are_those_of_cocos_tools(data):
    found = evaluate(Noisy(data), held_out_batches(Detection, data, 3), 10)
    assert next(iter(found.figures)) == "box_ap" and found.images == 7 and found.broken == []
    for ours, theirs in (("box", "bbox"), ("mask", "segm")):
        figures = [found.figures[f"{ours}_{name}"] for name in FIGURES]
        assert figures == pytest.approx(reference(data, theirs), abs=1e-6)
        assert 0.1 < figures[0] < 0.9
    present = [share for share in found.per_class if share >= 0]
    assert sum(present) / len(present) == pytest.approx(found.figures["box_ap"], abs=1e-6)


def test_crowds_are_no_misses(coco_folder):
    data = load_coco(str(coco_folder()))
    found = evaluate(Noisy(data), held_out_batches(Detection, data, 2), 2)
    assert [found.figures[f"box_{name}"] for name in FIGURES] == pytest.approx(reference(data, "bbox"), abs=1e-6)
    assert found.figures["box_ap_large"] == -1


def test_two_processes_count_every_image_once(data):
    script = Path(__file__).parents[1] / "data" / "noisy_scenes.py"
    folder = Path(data.test.root).parents[1]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(script.parents[2])}
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        str(script),
        str(folder),
    ]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["images"] == 7 and found["figures"] == pytest.approx(
        evaluate(Noisy(data), held_out_batches(Detection, data, 3), 10).figures
    )


def test_no_readable_image_is_named(data):
    with pytest.raises(ValueError, match="no image to evaluate on"):
        evaluate(Noisy(data), [], 10)
