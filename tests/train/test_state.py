"""A training goes on from its state as if it had not stopped; sharded ones are in test_resume.py."""

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from vig_pyg.train.state import StateContent


def content(width: int = 3, **others: object) -> StateContent:
    model = nn.Linear(width, 2)
    optimizer = Accelerator(cpu=True).prepare(torch.optim.AdamW(model.parameters(), lr=0.1))
    return StateContent(model, optimizer, False, others)


def update(state: StateContent) -> None:
    state.optimizer.zero_grad()
    state.model(torch.ones(4, state.model.in_features)).square().sum().backward()
    state.optimizer.step()


def test_what_is_read_goes_on_as_what_was_written(tmp_path):
    norms = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    norms[0].running_mean.fill_(5)
    one, other = (content(norm=norm, ema=None) for norm in norms)
    update(one)
    torch.save(one.state_dict(), tmp_path / "state")
    other.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    for state in (one, other):
        update(state)
    assert torch.equal(one.model.weight, other.model.weight) and norms[1].running_mean.tolist() == [5, 5]


def test_what_is_none_is_left_out():
    assert list(content(ema=None).state_dict()) == ["model", "optimizer"]


@pytest.mark.parametrize("what", ["another width", "no optimizer", "nothing"])
def test_a_state_of_something_else_is_refused(what):
    other = {"another width": content(width=4).state_dict(), "no optimizer": {"model": {}}, "nothing": {}}
    with pytest.raises(ValueError, match="the state to go on from is of another model, data or precision"):
        content().load_state_dict(other[what])
