"""What is used of accelerate beyond its documented interface is there, and means what we take it for."""

import pytest
from accelerate import Accelerator, PartialState
from accelerate.state import is_initialized

from tests.seen import check_seen
from vig_pyg.train.accelerate_internals import SEEN, forget_settings


def test_this_version_of_accelerate_was_looked_at():
    check_seen("accelerate", SEEN, "vig_pyg/train/accelerate_internals.py")


def test_what_was_forgotten_is_set_anew():
    forget_settings(processes=True)
    assert not is_initialized() and Accelerator(cpu=True, mixed_precision="no").device.type == "cpu"
    with pytest.raises(ValueError, match="already been initialized"):
        Accelerator(cpu=True, mixed_precision="bf16")
    processes = PartialState()
    processes.mark = "kept"
    forget_settings(processes=False)
    assert Accelerator(cpu=True, mixed_precision="bf16").mixed_precision == "bf16" and PartialState().mark == "kept"
    forget_settings(processes=True)
    assert not is_initialized() and not hasattr(PartialState(), "mark")
