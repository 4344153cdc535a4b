"""Models as files for other runtimes: ONNX and ``torch.export``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.export import Dim

from vig_pyg.files import write_whole
from vig_pyg.models.fuse import fold_batch_norm

Format = Literal["onnx", "torch-export"]


def export(model: nn.Module, images: Tensor, path: Path, to: Format = "onnx", dynamic_batch: bool = False) -> None:
    """Write a model, its batch norms folded, for images of one size. What is written needs none of our code.

    Args:
        model: From images to logits.
        images: An example, ``[B, C, H, W]``; its batch is the only one that works unless ``dynamic_batch``.
        path: The file, ``.onnx`` or ``.pt2``.
        to: What to write.
        dynamic_batch: Any number of images will do.

    Raises:
        ValueError: another format.
    """
    if to not in ("onnx", "torch-export"):
        raise ValueError(f"--to must be onnx or torch-export, got {to!r}")
    if dynamic_batch and len(images) < 2:
        images = images.repeat(2, 1, 1, 1)  # a batch of one would be taken for a constant
    shapes = ({0: Dim("batch", min=1)},) if dynamic_batch else None
    with torch.no_grad():
        program = torch.export.export(fold_batch_norm(model), (images,), dynamic_shapes=shapes)
    if to == "torch-export":
        content = io.BytesIO()  # torch's writer of files aborts the process where a disk is full
        torch.export.save(program, content)
        write_whole(path, lambda partial: partial.write_bytes(content.getbuffer()))
        return
    onnx = torch.onnx.export(program, input_names=["images"], output_names=["logits"], verbose=False)
    assert onnx is not None
    write_whole(path, lambda partial: onnx.save(str(partial)))
