"""A detector that finds what is there, badly; as a script it is evaluated by several processes: ``noisy.py FOLDER``."""

import json
import sys

import torch
from torch import nn

from vig_pyg.data.coco import Coco, load_coco
from vig_pyg.data.samplers import OnceSampler
from vig_pyg.tasks.average_precision import evaluate
from vig_pyg.tasks.detection import Objects
from vig_pyg.tasks.task import as_it_is


class Noisy(nn.Module):
    """Returns the objects of an image that it knows: moved, some with another class, each with a score."""

    finds_masks = True

    def __init__(self, data: Coco) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)
        self.known = {}
        for index in range(len(data.test)):
            image, target = data.test[index]
            count, (height, width) = len(target["labels"]), image.shape[1:]
            moved = int(torch.randint(3, (), generator=random))
            boxes = (torch.as_tensor(target["boxes"]) + moved).clamp(max=min(height, width))
            labels = target["labels"].clone()
            labels[torch.rand(count, generator=random) < 0.3] = 0
            scores = torch.rand(count, generator=random).sort(descending=True).values
            masks = torch.as_tensor(target["masks"]).roll(moved, 2)[:, None].float()
            self.known[int(image.long().sum())] = {"boxes": boxes, "labels": labels, "scores": scores, "masks": masks}

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        return [self.known[int((255 * image).round().long().sum())] for image in images]


def main() -> None:
    data = load_coco(sys.argv[1])
    torch.distributed.init_process_group("gloo")
    rank, processes = torch.distributed.get_rank(), torch.distributed.get_world_size()
    sampler = OnceSampler(len(data.test), rank, processes)
    batches = torch.utils.data.DataLoader(Objects(data.test), 2, sampler=sampler, collate_fn=as_it_is)
    found = evaluate(Noisy(data), batches, len(data.classes))
    if rank == 0:
        sys.stdout.write(json.dumps({"figures": found.figures, "images": found.images}))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
