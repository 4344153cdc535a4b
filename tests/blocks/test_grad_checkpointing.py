import copy

import pytest
import timm
import torch

import vig_pyg  # noqa: F401 - registers the models
from vig_pyg.blocks.grad_checkpointing import checkpointed


def three_steps(model, images, enable, compiled=False):
    """Return the weights and statistics after three steps of SGD; dropout draws the same either way."""
    model = copy.deepcopy(model).train()
    model.set_grad_checkpointing(enable)
    run = torch.compile(model, backend="aot_eager") if compiled else model
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    torch.manual_seed(7)
    for batch in images:
        optimizer.zero_grad()
        run(batch).square().sum().backward()
        optimizer.step()
    return model.state_dict()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vig_micro", {}),
        ("pvig_micro", {}),
        ("vig_micro", {"conv": "edge", "dropout": 0.3, "drop_path_rate": 0.3, "stochastic": True}),
        ("pvig_micro", {"conv": "sage"}),
        ("vig_micro", {"conv": "gin"}),
        ("vig_micro", {"conv": "gcn"}),
    ],
)
def test_weights_and_statistics_are_equal_with_and_without(name, options):
    torch.manual_seed(0)
    model = timm.create_model(name, **options).double()
    images = torch.randn(3, 4, 3, 32, 32, dtype=torch.double)
    plain, checkpointed = (three_steps(model, images, enable) for enable in (False, True))
    assert plain["blocks.0.ffn.fc1.norm.num_batches_tracked"] == 3
    torch.testing.assert_close(checkpointed, plain, rtol=1e-9, atol=1e-12)


def test_statistics_move_once_in_a_compiled_step():
    torch.manual_seed(0)
    model = timm.create_model("vig_micro", depth=1).double()
    images = torch.randn(1, 2, 3, 32, 32, dtype=torch.double)
    plain, checkpointed = three_steps(model, images, False), three_steps(model, images, True, compiled=True)
    torch.testing.assert_close(checkpointed, plain, rtol=1e-9, atol=1e-12)


def test_a_layer_keeps_its_inputs_only_and_moves_its_statistics_once():
    norms = [torch.nn.BatchNorm1d(3) for _ in range(2)]
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    for norm, out in zip(norms, (checkpointed(norms[0], x), norms[1](x)), strict=True):
        out.square().sum().backward()
        assert norm.num_batches_tracked == 1
    torch.testing.assert_close(norms[0].running_var, norms[1].running_var)
