"""What models are stacked from."""

from vig_pyg.blocks.block import Block, Downsample, NodeDownsample
from vig_pyg.blocks.conditional_position import ConditionalPosition
from vig_pyg.blocks.drop_path import DropPath
from vig_pyg.blocks.ffn import FFN
from vig_pyg.blocks.grad_checkpointing import checkpointed
from vig_pyg.blocks.grapher import Grapher
from vig_pyg.blocks.head import Head, pool_nodes
from vig_pyg.blocks.inverted_residual import InvertedResidual
from vig_pyg.blocks.node_stem import NodeStem
from vig_pyg.blocks.stem import ConvStem, GridConvNormAct, PatchStem, build_stem

__all__ = [
    "FFN",
    "Block",
    "ConditionalPosition",
    "ConvStem",
    "Downsample",
    "DropPath",
    "Grapher",
    "GridConvNormAct",
    "Head",
    "InvertedResidual",
    "NodeDownsample",
    "NodeStem",
    "PatchStem",
    "build_stem",
    "checkpointed",
    "pool_nodes",
]
