"""What timm expects of a model besides its forward passes."""

from __future__ import annotations

from typing import Any, NoReturn

from torch import nn

from vig_pyg.blocks import (
    Block,
    ConvStem,
    Downsample,
    Head,
    InvertedResidual,
    NodeDownsample,
    NodeStem,
    PatchStem,
)
from vig_pyg.blocks.head import known_pool
from vig_pyg.checks import check_flags, check_whole

UNTRACEABLE = (
    "{} cannot follow a Vision GNN, whose graph depends on its images: forward_intermediates (features_only=True) "
    "gives its feature maps, torch.export a program of it"
)


class TimmInterface(nn.Module):
    """What timm's users do with a model: replace its classifier, prune it, group its parameters."""

    stem: ConvStem | PatchStem | NodeStem
    stem_width: int
    pos_embed: nn.Parameter | None
    blocks: nn.ModuleList
    head: Head
    feature_maps: nn.ModuleList
    feature_info: list[dict[str, Any]]
    out_indices: list[int]
    global_pool: str
    num_classes: int
    num_features: int
    grad_checkpointing: bool
    _no_split_modules: tuple[str, ...] = ("Block",)  # what accelerate shards as a whole

    @property
    def like(self) -> nn.Parameter:
        """A parameter, of the model's type and on its device."""
        return next(self.parameters())

    @property
    def head_hidden_size(self) -> int:
        """Width of what goes into the classifier."""
        return self.head.num_features

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop what the wanted feature maps do not need; return their indices.

        Raises:
            ValueError: the head is to stay, and takes another width than the last map that is left.
        """
        check_flags(prune_norm=prune_norm, prune_head=prune_head)
        wanted, last = self._wanted(indices)
        width = self.feature_info[last]["num_chs"]
        if prune_head:
            self.head.prune(width)
            self.reset_classifier(0, "")
        elif width != self.num_features:
            raise ValueError(
                f"the head takes {self.num_features} channels and feature map {last} has {width}: prune_head=True, "
                "then reset_classifier makes another"
            )
        self.blocks, self.out_indices = self.blocks[: self.out_indices[last] + 1], self.out_indices[: last + 1]
        self.feature_maps, self.feature_info = self.feature_maps[: last + 1], self.feature_info[: last + 1]
        self.num_features = width
        return wanted

    def get_classifier(self) -> nn.Module | tuple[nn.Module, nn.Module]:
        """Return the last linear layer; of a model with a second head both, as timm's distilled models do."""
        return self.head.fc2 if self.head.fc2_dist is None else (self.head.fc2, self.head.fc2_dist)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the last linear layer; 0 classes leave the features that went into it.

        Raises:
            ValueError: no pooling has that name.
        """
        check_whole(0, num_classes=num_classes)
        if global_pool is not None:
            self.global_pool = known_pool(global_pool, "")
        self.num_classes = num_classes
        self.head.reset(num_classes)
        self.head.to(self.like.device, self.like.dtype)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute blocks in the backward pass instead of keeping what is inside them."""
        check_flags(enable=enable)
        self.grad_checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """Return the names of parameters that take no weight decay."""
        return {"pos_embed"}

    def group_matcher(self, coarse: bool = False) -> dict:
        """Return patterns that sort parameters by depth: by block (layer-wise learning rates), coarsely by feature map.

        What leads from one stage to the next belongs to the block after it.
        """
        check_flags(coarse=coarse)
        kinds = Block | InvertedResidual
        ends = self.out_indices if coarse else [i for i, layer in enumerate(self.blocks) if isinstance(layer, kinds)]
        levels = [(rf"^blocks\.{i}\.", (sum(end < i for end in ends),)) for i in range(len(self.blocks))]
        return {"stem": r"^stem|pos_embed", "blocks": levels}

    def _wanted(self, indices: int | list[int] | None) -> tuple[list[int], int]:
        """Return which feature maps are meant, by their places, and the last of them.

        Raises:
            TypeError, ValueError: there are no such maps.
        """
        count = len(self.out_indices)
        if isinstance(indices, list | tuple):
            for index in indices:
                check_whole(-count, **{"every index of a feature map": index})
            if max(indices, default=count) >= count:
                raise ValueError(f"there are {count} feature maps, 0 to {count - 1}, got indices {indices!r}")
            wanted = [index % count for index in indices]
        else:
            number = count if indices is None else indices
            check_whole(**{"indices, where it is one number,": number})
            if number > count:
                raise ValueError(f"there are {count} feature maps, but the last {number} were asked for")
            wanted = list(range(count - number, count))
        return wanted, max(wanted)

    def _list_features(self) -> list[dict[str, Any]]:
        info, reduction, channels = [], self.stem.stride, self.stem_width
        for index, layer in enumerate(self.blocks):
            if isinstance(layer, Downsample | NodeDownsample):
                reduction, channels = 2 * reduction, layer.out_channels
            if index in self.out_indices:
                info.append({"num_chs": channels, "reduction": reduction, "module": f"blocks.{index}"})
        return info

    def __prepare_scriptable__(self) -> NoReturn:
        raise RuntimeError(UNTRACEABLE.format("torch.jit.script"))
