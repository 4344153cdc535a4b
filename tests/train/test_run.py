"""What a run keeps is whole, and goes on from the last state that is."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from vig_pyg.manifest import SUMS, DamagedError, sums_of
from vig_pyg.tasks.results import Epoch
from vig_pyg.train import read_recipe
from vig_pyg.train.run import TRAINING, Progress, StateContent, open_run, read_state, save_state, states


def test_what_a_killed_process_left_is_gone_when_its_run_is_resumed(tmp_path):
    recipe = read_recipe("digits")
    open_run(tmp_path / "run", recipe, resume=False)
    (tmp_path / "run" / "best").mkdir()
    whole = sorted(tmp_path.rglob("*"))
    for name in ("metrics.csv.elsewhere-17.partial", "best/model.safetensors.elsewhere-17.partial"):
        (tmp_path / "run" / name).write_text("half")
    open_run(tmp_path / "run", recipe, resume=True)
    assert sorted(tmp_path.rglob("*")) == whole


def save_three(out: Path) -> list[Path]:
    """Write three states one after the other and return their folders."""
    out.mkdir()
    kept = [None]
    for update in range(3):
        progress = Progress(update=update, history=[Epoch(1.0, {"accuracy": 0.5}, 0.1, 2.0, 0.0)], broken={"a.jpg"})
        kept.append(save_state(out, progress, {"progress": progress.state_dict(), "model": torch.eye(2)}, kept[-1]))
    return kept[1:]


def test_two_states_are_kept_and_the_last_is_read(tmp_path):
    first, *last_two = save_three(tmp_path / "run")
    assert states(tmp_path / "run") == last_two and not first.exists()
    state, content = read_state(tmp_path / "run")
    progress = Progress()
    progress.load_state_dict(content["progress"])
    assert state == last_two[1] and progress.update == 2 and progress.broken == {"a.jpg"}
    assert progress.history == [Epoch(1.0, {"accuracy": 0.5}, 0.1, 2.0, 0.0)]


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "missing", "unlisted"])
def test_a_damaged_state_is_named_and_the_one_before_taken(damage, tmp_path, caplog):
    _, before, last = save_three(tmp_path / "run")
    content = bytearray((last / TRAINING).read_bytes())
    content[len(content) // 2] ^= 1
    changed = {"flipped": content, "cut": content[:-100], "empty": b""}
    if damage in changed:
        (last / TRAINING).write_bytes(changed[damage])
    else:
        (last / {"missing": TRAINING, "unlisted": SUMS}[damage]).unlink()
    assert read_state(tmp_path / "run")[0] == before
    assert str(last / TRAINING) in caplog.text and "the state before it is taken" in caplog.text
    progress = Progress(update=7)
    after = save_state(tmp_path / "run", progress, {}, before)
    assert states(tmp_path / "run") == [before, after]  # the damaged one makes room
    for state in (before, after):
        (state / TRAINING).write_bytes(b"")
    with pytest.raises(DamagedError, match=rf"{after.name}.* is damaged: .* no state before it is whole"):
        read_state(tmp_path / "run")


class Attack:
    """Executes code where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_nothing_of_a_crafted_state_is_executed(tmp_path):
    *_, last = save_three(tmp_path / "run")
    attack = Attack(tmp_path / "executed")
    torch.save(attack, last / "custom_checkpoint_0.pkl")  # where accelerate looks
    assert read_state(tmp_path / "run")[0] == last
    torch.save({"model": attack}, last / TRAINING)
    (last / SUMS).write_text(sums_of([last / TRAINING]))
    with pytest.raises(DamagedError, match="holds more than a state"):
        read_state(tmp_path / "run")
    assert not attack.mark.exists()


def test_a_changed_recipe_is_not_resumed(tmp_path):
    recipe = read_recipe("digits")
    open_run(tmp_path, recipe, resume=False)
    text = (tmp_path / "recipe.yaml").read_text()
    (tmp_path / "recipe.yaml").write_text(text.replace("seed: 0", "seed: 8"))
    with pytest.raises(DamagedError, match=r"recipe.yaml is damaged"):
        open_run(tmp_path, replace(recipe, seed=8), resume=True)


@pytest.mark.parametrize("kept", [(), ("recipe.yaml.here-1.partial",), ("recipe.yaml",), ("recipe.yaml", SUMS)])
def test_a_run_that_was_killed_as_it_began_is_resumed_or_begun_anew(kept, tmp_path):
    recipe, whole = read_recipe("digits"), tmp_path / "whole"
    open_run(whole, recipe, resume=False)
    shutil.copy(whole / "recipe.yaml", whole / "recipe.yaml.here-1.partial")
    for resume in (True, False)[: 1 if "recipe.yaml" in kept else 2]:
        out = tmp_path / f"killed{resume}"
        out.mkdir()
        for name in kept:
            shutil.copy(whole / name, out)
        open_run(out, recipe, resume)
        assert {"recipe.yaml", "run.json"} <= {path.name for path in out.iterdir()} and not list(out.glob("*.partial"))
        open_run(out, recipe, resume=True)


# States; sharded ones are in test_resume.py #########################################################


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
    one, other = (content(norm=norm) for norm in norms)
    update(one)
    torch.save(one.state_dict(), tmp_path / "state")
    other.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    for state in (one, other):
        update(state)
    assert torch.equal(one.model.weight, other.model.weight) and norms[1].running_mean.tolist() == [5, 5]


@pytest.mark.parametrize("what", ["another width", "no optimizer", "nothing"])
def test_a_state_of_something_else_is_refused(what):
    other = {"another width": content(width=4).state_dict(), "no optimizer": {"model": {}}, "nothing": {}}
    with pytest.raises(ValueError, match="the state to go on from is of another model, data or precision"):
        content().load_state_dict(other[what])
