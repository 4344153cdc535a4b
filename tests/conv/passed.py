"""What tests of messages share: a graph, and what an operator passes on it."""

import torch

import vig_pyg


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def graph(seed=0, k=5):
    x = normal(40, 8, seed=seed)
    return x, vig_pyg.knn_graph(x, k, loop=True)


def outcome(conv, x, edges):
    """Return what an operator gives, and the gradients of the features and of its weights."""
    x = x.clone().requires_grad_()
    out = conv(x, edges)
    out.backward(normal(*out.shape, seed=9).to(out.dtype))
    return out.detach(), x.grad, *(weight.grad for weight in conv.parameters())
