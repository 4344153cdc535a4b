"""Hard distillation: a second classifier learns what a trained one guesses (Touvron et al., "DeiT", 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.models import get_pretrained_cfg, is_model
from torch import Tensor, nn
from torchvision.transforms import Normalize

from vig_pyg.models.names import check_model_name
from vig_pyg.tasks.classifier import load_model
from vig_pyg.tasks.weights import weights_config, weights_file


class Teacher(nn.Module):
    """A trained classifier that says which class it takes an image for. It is never trained further.

    Args:
        model: The classifier.
        normalize: From the student's images to those that the classifier was trained on.
    """

    def __init__(self, model: nn.Module, normalize: nn.Module) -> None:
        super().__init__()
        self.model, self.normalize = model, normalize
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return the best guess for every image, ``[B]``."""
        return self.model(self.normalize(images)).argmax(1)


def load_teacher(name: str, classes: list[str], channels: int) -> nn.Module:
    """Return the trained classifier that a recipe calls its teacher.

    Args:
        name: A model whose weights timm knows where to find, with their tag where there are several
            (``regnety_160.deit_in1k``); or the folder of a run, or of weights in timm's layout.
        classes: Those of the student's data.
        channels: Of the student's images. timm adds up the first filters for one channel.

    Raises:
        FileNotFoundError: it is neither a model nor a folder.
        ValueError: it has no weights, or they are not to be had, are of another task or tell other classes apart.
    """
    if is_model(name):
        return _published(name, classes, channels)
    if not Path(name).exists():
        raise FileNotFoundError(f"the teacher {name!r} is neither a model that timm knows nor the folder of a run")
    if not weights_config(weights_file(name)):
        raise ValueError(f"the teacher {name} does not say which model it is of: give the folder that a run wrote")
    model, known = load_model(name)
    numbers = [str(number) for number in range(len(classes))]  # of classes without names
    if len(known) != len(classes) or (known != classes and numbers not in (known, classes)):
        raise ValueError(f"the teacher {name} tells other classes apart than the data have: {_few(known, classes)}")
    return model


def _published(name: str, classes: list[str], channels: int) -> nn.Module:
    check_model_name(name)
    known = get_pretrained_cfg(name)
    if known is None or not known.has_weights:
        raise ValueError(f"there are no published weights of the teacher {name}: give the folder of a run")
    if known.num_classes != len(classes):
        raise ValueError(
            f"the teacher {name} tells {known.num_classes} classes apart, but the data have {len(classes)}: give the "
            "folder of a run that was trained on them"
        )
    try:
        return timm.create_model(name, pretrained=True, in_chans=channels)
    except Exception as error:  # what fetches files raises anything
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"the weights of the teacher {name} cannot be fetched: {reason}") from error


def _few(known: list[str], classes: list[str]) -> str:
    if len(known) != len(classes):
        return f"{len(known)}, not {len(classes)}"
    other = next(pair for pair in zip(known, classes, strict=True) if pair[0] != pair[1])
    return f"{other[0]!r} where they have {other[1]!r}"


def renormalize(student: Mapping[str, Any], teacher: Mapping[str, Any]) -> nn.Module:
    r"""Return what leads from images normalized for a student to those for a teacher.

    .. math:: x' = \left(x - \frac{\mu_t - \mu_s}{\sigma_s}\right) \frac{\sigma_s}{\sigma_t}

    Both are settings of timm with ``mean`` and ``std``, as :func:`~vig_pyg.data.transforms.data_config` returns them.
    """
    pixels = [torch.tensor(each[name]) for each in (student, teacher) for name in ("mean", "std")]
    mean, std, others_mean, others_std = pixels
    if torch.equal(mean, others_mean) and torch.equal(std, others_std):
        return nn.Identity()
    return Normalize(((others_mean - mean) / std).tolist(), (others_std / std).tolist())


def check_teacher(teacher: Teacher, name: str, images: Tensor, classes: int) -> None:
    """Refuse, by a ValueError, a teacher that does not take a student's images or tells other classes apart."""
    try:
        found = teacher.model(images).shape
    except Exception as error:  # models raise anything
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"the teacher {name} does not take the student's images: {reason}") from error
    if tuple(found) != (len(images), classes):
        raise ValueError(f"the teacher {name} gives {tuple(found[1:])} scores per image for the {classes} classes")


def train_both(model: nn.Module, enable: bool, name: str) -> None:
    """Have a student return, in training, what both of its classifiers say, or else their mean.

    Raises:
        ValueError: it has one classifier only.
    """
    if hasattr(model, "set_distilled_training"):
        model.set_distilled_training(enable)  # type: ignore[operator]  # ours and timm's
    elif enable:
        raise ValueError(
            f"{name} has one classifier, and none that learns from a teacher: take one with two, such as "
            "mobilevig_small or deit_tiny_distilled_patch16_224, or teacher=null"
        )


def distilled(loss: Tensor, logits: Tensor, guesses: Tensor, share: float) -> Tensor:
    r"""Return the loss of a student whose second classifier learns the guesses of a teacher.

    .. math:: L = (1 - \alpha) L_1 + \alpha \, \mathrm{CE}(z_2, \arg\max z_t)

    Args:
        loss: ``L_1``, that of the first classifier.
        logits: ``z_2``, of the second, ``[B, classes]``.
        guesses: ``[B]``.
        share: ``α``.
    """
    return (1 - share) * loss + share * F.cross_entropy(logits, guesses)
