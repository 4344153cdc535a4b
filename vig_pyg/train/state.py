"""What is kept of a training so that it can go on: tensors and plain types, read without unpickling anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelerate.optimizer import AcceleratedOptimizer
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict


class StateContent:
    """The states of a model, of its optimizer, and of what else decides how a training goes on.

    Weights that are sharded over processes are gathered in the main process, and taken from there by any number.
    Random numbers have no state: they follow from the seed and the number of the update.

    Args:
        model: The model; where it is sharded, as accelerate prepared it.
        optimizer: What accelerate prepared.
        sharded: Whether FSDP shards the model.
        others: By name whatever else has ``state_dict`` and ``load_state_dict``; None is left out.
    """

    def __init__(
        self, model: nn.Module, optimizer: AcceleratedOptimizer, sharded: bool, others: Mapping[str, Any | None]
    ) -> None:
        self.model, self.optimizer, self.sharded = model, optimizer, sharded
        self.others = {name: part for name, part in others.items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        """Return all states. All processes call it together; of sharded weights only the main one gets any."""
        if self.sharded:
            options = StateDictOptions(full_state_dict=True, cpu_offload=True)
            model, optimizer = get_state_dict(self.model, self.optimizer.optimizer, options=options)
        else:
            model, optimizer = self.model.state_dict(), self.optimizer.state_dict()
        others = {name: part.state_dict() for name, part in self.others.items()}
        return {"model": model, "optimizer": optimizer, **others}

    def load_state_dict(self, states: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned.

        Raises:
            ValueError: it is of another model or precision.
        """
        try:
            if self.sharded:
                set_state_dict(
                    self.model,
                    self.optimizer.optimizer,
                    model_state_dict=states["model"],
                    optim_state_dict=states["optimizer"],
                    options=StateDictOptions(full_state_dict=True),
                )
            else:
                self.model.load_state_dict(states["model"])
                self.optimizer.load_state_dict(states["optimizer"])
            for name, part in self.others.items():
                part.load_state_dict(states[name])
        except (KeyError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise ValueError(f"the state to go on from is of another model, data or precision ({reason})") from error
