"""Calls of the Python API with wrong arguments: ``python -m tests.reliability.misuse`` counts what comes of them.

Every case is a call that is right but for one argument, from :mod:`tests.reliability.wrong`, and is told by what
comes out: ``clear`` is one sentence that the library itself raises, or Python's own about a keyword that is missing or
that there is none of; ``internal error`` anything else that is raised, from wherever; ``accepted`` is no error at all.
"""

from __future__ import annotations

import json
import linecache
import logging
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

import vig_pyg
from tests.reliability.wrong import Call, calls

# Values of shared lists that these calls can take after all.
RIGHT = {
    "knn_graph(x=Tensor [16, 7] of torch.float32 on cpu)",
    "radius_graph(x=Tensor [16, 7] of torch.float32 on cpu)",
    "knn_graph with positions(position=Tensor [16, 7] of torch.float32 on cpu)",
    "KNNGraph()(x=Tensor [16, 7] of torch.float32 on cpu)",
    "KNNGraph()(x=Tensor [16, 8] of torch.float32 on meta)",
    "KNNGraph() of points(x=Tensor [16, 7] of torch.float32 on cpu)",
    "KNNGraph() of points(x=Tensor [16, 8] of torch.float32 on meta)",
    "Grapher(heads=16)",
    "PyramidViG(img_size=2)",
    "create_model pvig_micro(channels=[8, 8, 8])",
    "create_model pvig_micro(depths=[8, 8, 8])",
    "create_model pvig_micro(pools=[8, 8, 8])",
    "retinanet(channels=7)",
    "mask_rcnn(channels=7)",
    "segmenter(images=[])",
}
OUTCOMES = ("clear", "internal error", "accepted")
SAID = (ValueError, TypeError, OSError)
LIBRARY = str(Path(vig_pyg.__file__).parent)
PYTHONS_OWN = re.compile(r"got an unexpected keyword argument|missing \d+ required")


def raised_by_us(trace: TracebackType | None) -> bool:
    """Return whether the innermost line is a ``raise`` of the library: what fails by itself was not foreseen."""
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    name = trace.tb_frame.f_code.co_filename
    return name.startswith(LIBRARY) and linecache.getline(name, trace.tb_lineno).strip().startswith("raise ")


def in_words(value: Any) -> str:
    """Return a value in a few words."""
    if isinstance(value, Tensor | np.ndarray):
        device = f" on {value.device}" if isinstance(value, Tensor) else ""
        return f"{type(value).__name__} {list(value.shape)} of {value.dtype}{device}"
    if isinstance(value, tuple | list):
        inside = ", ".join(in_words(each) for each in value)
        return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
    return " ".join(repr(value).split())[:80]


def in_words_of(call: Call, argument: str, value: Any) -> str:
    """Return a case in words."""
    return f"{call.name}({argument}={in_words(value)})"


def outcome(call: Call, argument: str, value: Any) -> tuple[str, str]:
    """Return what comes of a case, and the case in words."""
    case = in_words_of(call, argument, value)
    try:
        call.function(**{**call.right, argument: value})
    except Exception as error:
        sentence = str(error)
        ours = raised_by_us(error.__traceback__) or (
            isinstance(error, TypeError) and PYTHONS_OWN.search(sentence) is not None
        )
        clear = isinstance(error, SAID) and ours and bool(sentence) and "\n" not in sentence
        return "clear" if clear else "internal error", f"{case}: {type(error).__name__}: {sentence[:200]}"
    return "accepted", case


def cases() -> Iterator[tuple[Call, str, Any]]:
    """Yield all cases: a call, the argument that is replaced, and by what."""
    for call in calls():
        for argument, values in call.wrong.items():
            for value in values:
                if in_words_of(call, argument, value) not in RIGHT:
                    yield call, argument, value


def campaign() -> tuple[dict[str, int], list[str]]:
    """Try all cases; return how often each outcome came, and the cases that went wrong in words."""
    counts, wrong = Counter(dict.fromkeys(OUTCOMES, 0)), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in cases():
            what, words = outcome(*case)
            counts[what] += 1
            if what != "clear":
                wrong.append(f"{what}: {words}")
    return {"tried": counts.total(), **counts}, wrong


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    counted, failures = campaign()
    sys.stdout.write("\n".join([json.dumps(counted), *failures]) + "\n")
