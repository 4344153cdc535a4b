"""A family that a user writes in one file, as the guide says, works where ours do."""

import pytest
import timm
import torch
from timm.models import generate_default_cfgs, register_model

from vig_pyg.blocks import FFN, Block, Grapher, Head, build_stem
from vig_pyg.graph import build_graph
from vig_pyg.models.published import build_published, published_cfg
from vig_pyg.models.vision_gnn import VisionGNN


class RowViG(VisionGNN):
    """Blocks that look along rows of the grid and in feature space in turn."""

    def __init__(self, img_size=32, in_chans=3, num_classes=10, *, channels=24, depth=2, conv="mr", **options):
        stem = build_stem("conv", in_chans, channels, 4, "batch", "gelu")
        graphs = [build_graph("grid" if i % 2 == 0 else "knn", 4) for i in range(depth)]
        super().__init__(
            stem,
            [Block(Grapher(channels, graph, conv), FFN(channels)) for graph in graphs],
            Head(channels, num_classes),
            grid=stem.grid(img_size, img_size),
            out_indices=range(depth),
            in_chans=in_chans,
            channels=(channels, channels),
            **options,
        )


@pytest.fixture(scope="module", autouse=True)
def family():
    """Register one variant, as a file that the user imports would."""

    def row_vig_micro(pretrained=False, **kwargs):
        return build_published(RowViG, "row_vig_micro", pretrained, 2, **kwargs)

    row_vig_micro.__module__ = "tests.models.test_own_model"
    globals()["default_cfgs"] = generate_default_cfgs({"row_vig_micro.untrained": published_cfg(num_classes=10)})
    register_model(row_vig_micro)


def test_it_learns_and_its_blocks_have_the_graphs_that_it_names():
    model = timm.create_model("row_vig_micro", num_classes=3, conv="edge")
    images = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    adam, losses = torch.optim.Adam(model.parameters(), 1e-3), []
    for _ in range(8):
        losses.append(torch.nn.functional.cross_entropy(model(images), labels))
        adam.zero_grad()
        losses[-1].backward()
        adam.step()
    assert losses[-1] < losses[0]
    _, graphs = model.eval().forward_graphs(images)
    assert torch.equal(graphs[0][0].edge_index, graphs[0][1].edge_index)  # of places alone
    assert not torch.equal(graphs[1][0].edge_index, graphs[1][1].edge_index)


def test_it_is_a_backbone():
    features = timm.create_model("row_vig_micro", features_only=True)
    maps = features(torch.randn(1, 3, 64, 48))
    assert [list(m.shape) for m in maps] == [[1, 24, 16, 12]] * 2
