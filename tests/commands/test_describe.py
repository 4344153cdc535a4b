"""``vig-pyg models``, ``convs``, ``graphs`` and ``info``, as a person types them."""

import timm
import torch

from tests.commands.test_commands import call
from vig_pyg.commands.describe import stages
from vig_pyg.graph import list_graphs


def test_models_convs_and_info_are_tables():
    assert "pvig_base" in call("models")[1] and "max_relative" in call("convs")[1]
    status, output = call("info", "pvig_tiny")
    assert status == 0 and "10,714,376" in output and "1699.6" in output
    assert call("info", "vig_micro", "--conv", "gatv2")[0] == 0  # looks at values: cannot be counted without computing


def test_graphs_are_listed():
    status, output = call("graphs")
    assert status == 0 and all(name in output for name in list_graphs())


def test_a_model_has_a_row_for_every_part():
    model = timm.create_model("pvig_micro")
    table = stages(model, torch.zeros(1, 3, 32, 32))
    assert table.row_count == len(model.blocks) + 3  # the stem, the head and all together
