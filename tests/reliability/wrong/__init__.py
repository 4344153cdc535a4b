"""Calls of the public API that are right, and for every argument what is wrong in its place."""

from tests.reliability.wrong.graphs import graph_calls
from tests.reliability.wrong.layers import layer_calls
from tests.reliability.wrong.models import model_calls
from tests.reliability.wrong.nodes import node_calls
from tests.reliability.wrong.successors import successor_calls
from tests.reliability.wrong.tasks import task_calls
from tests.reliability.wrong.values import Call


def calls() -> list[Call]:
    """Return all calls."""
    return [*graph_calls(), *layer_calls(), *model_calls(), *node_calls(), *successor_calls(), *task_calls()]


__all__ = ["Call", "calls"]
