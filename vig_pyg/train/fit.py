"""A plain training loop for data sets that fit into memory."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vig_pyg.train.digits import Split


class Epoch(NamedTuple):
    """What an epoch gave: mean training loss, and accuracy on the held-out images (0 to 1)."""

    loss: float
    accuracy: float


def fit(
    model: nn.Module,
    data: Split,
    *,
    epochs: int,
    batch_size: int = 48,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.05,
    label_smoothing: float = 0.1,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train with AdamW, a one-cycle cosine schedule and random shifts; return what every epoch gave.

    Args:
        model: From images to logits.
        data: Images and labels.
        epochs: Passes over the training images.
        batch_size: Images per step; an incomplete last batch is left out.
        learning_rate: Its highest value.
        weight_decay: As in AdamW; not on biases, norms and positions.
        label_smoothing: Share of the target spread over all classes.
        on_epoch: Called behind every epoch.

    Raises:
        ValueError: ``epochs`` is below 1.
    """
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")
    device = next(model.parameters()).device
    images, labels = data.train_images.to(device), data.train_labels.to(device)
    steps = len(images) // batch_size
    decayed = [p for p in model.parameters() if p.dim() > 1 and p.size(0) > 1]
    others = [p for p in model.parameters() if not (p.dim() > 1 and p.size(0) > 1)]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=epochs * steps, pct_start=0.15)
    history = []
    for _ in range(epochs):
        model.train()
        total = torch.zeros((), device=device)
        for chosen in torch.randperm(len(images), device=device)[: steps * batch_size].view(steps, batch_size):
            logits = model(shift(images[chosen]))
            loss = F.cross_entropy(logits, labels[chosen], label_smoothing=label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.detach()
        history.append(Epoch(total.item() / steps, accuracy(model, data.test_images, data.test_labels)))
        if on_epoch is not None:
            on_epoch(history[-1])
    return history


def shift(images: Tensor, pixels: int = 2) -> Tensor:
    """Move every image by up to ``pixels`` up, down, left or right; the border is repeated."""
    batch, _, height, width = images.shape
    padded = F.pad(images, (pixels,) * 4, mode="replicate")
    top, left = torch.randint(0, 2 * pixels + 1, (2, batch, 1), device=images.device)
    rows = top + torch.arange(height, device=images.device)
    columns = left + torch.arange(width, device=images.device)
    image = torch.arange(batch, device=images.device).view(-1, 1, 1)
    return padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 256) -> float:
    """Return the share of images that the model classifies correctly, in evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    correct = 0
    for i in range(0, len(images), batch_size):
        predicted = model(images[i : i + batch_size].to(device)).argmax(1).cpu()
        correct += int((predicted == labels[i : i + batch_size]).sum())
    return correct / len(images)
