"""The published implementation as the tests know it: names, made-up weights and images, recorded outputs."""

import json
import re
import zlib
from pathlib import Path

import numpy as np
import torch

RECORDINGS = {
    path.stem: json.loads(path.read_text()) for path in (Path(__file__).parents[1] / "data/published").glob("*.json")
}
RECORDED_MODELS = {"vig_ti": "vig_tiny", "pvig_ti": "pvig_tiny"}

OURS_TO_PUBLISHED = [
    (r"^stem\.(\d+)\.conv\.", lambda m: f"stem.convs.{3 * int(m[1])}."),
    (r"^stem\.(\d+)\.norm\.", lambda m: f"stem.convs.{3 * int(m[1]) + 1}."),
    (r"^blocks\.(\d+)\.conv\.", r"backbone.\1.conv.0."),
    (r"^blocks\.(\d+)\.norm\.", r"backbone.\1.conv.1."),
    (r"^blocks\.(\d+)\.grapher\.conv\.", r"backbone.\1.0.graph_conv.gconv."),
    (r"^blocks\.(\d+)\.grapher\.", r"backbone.\1.0."),
    (r"^blocks\.(\d+)\.ffn\.", r"backbone.\1.1."),
    (r"^head\.fc1\.linear\.", "prediction.0."),
    (r"^head\.fc1\.norm\.", "prediction.1."),
    (r"^head\.fc2\.", "prediction.4."),
    (r"\.linear\.", ".0."),
    (r"\.norm\.", ".1."),
]


def published_name(name):
    for pattern, replacement in OURS_TO_PUBLISHED:
        name = re.sub(pattern, replacement, name)
    return name


def published_state(model):
    """Our weights as the published implementation saves them: its names, and 1×1 convolutions."""
    own = model.state_dict()
    return {published_name(n): w[:, :, None, None].clone() if w.dim() == 2 else w.clone() for n, w in own.items()}


def mmpretrain_state(model):
    """The same as mmpretrain's converter writes it: a downsampling opens a stage, and is not named conv."""
    published = published_state(model)
    downsamplings = sorted({int(m[1]) for n in published if (m := re.match(r"backbone\.(\d+)\.conv\.", n))})
    state = {}
    for name, weight in published.items():
        area, _, rest = name.partition(".")
        if area == "pos_embed":
            name = "backbone.pos_embed"
        elif area == "stem":
            name = name.replace("stem.convs", "backbone.stem")
        elif area == "prediction":
            place, _, kind = rest.partition(".")
            name = {"0": "head.fc1.", "1": "head.bn.", "4": "head.fc2."}[place] + kind
            weight = weight.flatten(1) if weight.dim() == 4 else weight
        elif not downsamplings:
            name = f"backbone.blocks.{rest}"
        else:
            index, _, rest = rest.partition(".")
            first = max((d for d in downsamplings if d <= int(index)), default=0)
            stage = sum(d <= int(index) for d in downsamplings)
            name = f"backbone.stages.{stage}.{int(index) - first}.{rest.removeprefix('conv.')}"
        state[name] = weight
    return state


def made_up(name, shape):
    """Float64 values that follow from the name and shape of a tensor alone."""
    noise = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    kind = name.rpartition(".")[2]
    if kind == "num_batches_tracked":
        values = np.zeros(shape)
    elif kind == "running_var":
        values = np.exp(0.2 * noise)
    elif kind == "pos_embed":
        values = 0.5 * noise
    elif len(shape) == 4:
        values = noise / np.sqrt(np.prod(shape[1:]))
    elif kind == "weight":
        values = 1 + 0.1 * noise
    else:
        values = 0.1 * noise
    return torch.from_numpy(np.asarray(values, dtype=np.float64))


def made_up_state(shapes):
    """A published state dict; the fixed relative positions are not part of it."""
    return {n: made_up(n, tuple(s)) for n, s in shapes.items() if not n.endswith("relative_pos")}


def made_up_images(count=2, size=224):
    """Sums of six waves per channel, and a little noise: float64 ``[count, 3, size, size]``."""
    random = np.random.RandomState(7)
    row, column = np.mgrid[:size, :size] / size
    images = np.zeros((count, 3, size, size))
    for channel in images.reshape(-1, size, size):
        for _ in range(6):
            down, right = random.uniform(0.5, 6), random.uniform(0.5, 6)
            phase, height = random.uniform(0, 6.28), random.uniform(0.2, 1)
            channel += height * np.sin(2 * np.pi * (down * row + right * column) + phase)
    return torch.from_numpy(images + 0.1 * random.standard_normal(images.shape))
