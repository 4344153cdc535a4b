"""All that the library uses of accelerate beyond its documented interface.

Seen to work with the versions of ``SEEN``; with another, ``tests/train/test_accelerate_internals.py`` asks for a look.
"""

from accelerate.state import AcceleratorState

SEEN = ">=1.15,<1.16"


def forget_settings(processes: bool) -> None:
    """Let the next :class:`accelerate.Accelerator` have another precision, and other ``processes`` and device."""
    AcceleratorState._reset_state(processes)
