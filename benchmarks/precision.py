"""How many of the neighbors that float32 finds are found under bfloat16 autocast."""

import timm
import torch
from sklearn.datasets import load_sample_images
from torch import Tensor
from torch.nn.functional import interpolate

from vig_pyg.graph import KNNGraph


def photographs() -> Tensor:
    """Return eight 224×224 crops of scikit-learn's two photographs, normalized as for ImageNet."""
    crops = []
    for photograph in load_sample_images().images:
        image = torch.from_numpy(photograph.copy()).permute(2, 0, 1).float() / 255
        whole = interpolate(image[None], size=(224, 224), mode="bilinear", antialias=True)[0]
        crops += [whole, image[:, :224, :224], image[:, -224:, :224], image[:, 100:324, 200:424]]
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return (torch.stack(crops) - mean) / deviation


def recall_per_block(name: str, device: str) -> dict[str, list[float]]:
    """Return the recall of every block's neighbors against those of float32, from the same input of the block.

    "autocast" is what the model does: features in bfloat16, the search in float32. "search in bfloat16" is what
    would be found if the search were not kept out of autocast.
    """
    torch.manual_seed(0)
    model = timm.create_model(name).to(device).eval()
    recalls: dict[str, list[float]] = {"autocast": [], "search in bfloat16": []}

    def compare(block: torch.nn.Module, args: tuple) -> None:
        x, layout = args[0], args[1]
        grapher = block.grapher
        exact = _neighbors(grapher.graph, grapher.fc1(x), layout)
        with torch.autocast(device, torch.bfloat16):
            half = grapher.fc1(x)
        recalls["autocast"].append(_recall(exact, _neighbors(grapher.graph, half, layout)))
        recalls["search in bfloat16"].append(_recall(exact, _half_search(grapher.graph, half, layout.num_graphs)))

    for block in model.blocks:
        block.register_forward_pre_hook(compare)
    with torch.no_grad():
        model(photographs().to(device))
    return {way: [round(value, 4) for value in values] for way, values in recalls.items()}


def _neighbors(graph: KNNGraph, x: Tensor, layout: object) -> Tensor:
    return graph(x, layout).as_tensor()[0].view(-1, graph.k)


def _half_search(graph: KNNGraph, x: Tensor, images: int) -> Tensor:
    unit = torch.nn.functional.normalize(x.float(), dim=1).bfloat16().view(images, -1, x.size(1))
    bias = 0 if graph.position is None or graph.position.table is None else graph.position.table.bfloat16()
    scores = unit @ unit.transpose(1, 2) + bias
    found = scores.topk(graph.k * graph.dilation).indices[..., :: graph.dilation]
    return (found + torch.arange(images, device=x.device).view(-1, 1, 1) * unit.size(1)).flatten(0, 1)


def _recall(exact: Tensor, found: Tensor) -> float:
    return (found.unsqueeze(2) == exact.unsqueeze(1)).any(2).float().mean().item()
