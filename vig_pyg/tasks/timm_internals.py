"""All that the library uses of timm beyond its documented interface.

Seen to work with the versions of ``SEEN``; with another, ``tests/tasks/test_timm_internals.py`` asks for a look.
"""

from pathlib import Path
from typing import Any

from timm.models._hub import save_config_for_hf
from torch import nn

SEEN = ">=1.0.31,<1.1"


def write_model_config(path: Path, model: nn.Module, class_names: list[str], data: dict[str, Any]) -> None:
    """Write the ``config.json`` by which ``timm.create_model("local-dir:…")`` builds a model of timm again.

    ``data`` says how images are prepared, as ``timm.data.resolve_data_config`` returns it.
    """
    save_config_for_hf(model, str(path), model_config={"label_names": class_names}, data_config=data)
