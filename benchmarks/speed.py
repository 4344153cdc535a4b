"""Speed and memory of the models and their parts: ``python -m benchmarks.speed --help``."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import timm
import torch
from torch import nn

import vig_pyg
from benchmarks.dense_baseline import DenseViG
from benchmarks.floor import heavy_calls
from benchmarks.measure import peak_memory, save, summarize
from benchmarks.precision import recall_per_block
from vig_pyg.study.cost import in_turn

OPERATORS = ("max_relative", "edge", "gin", "sage")
OTHERS = {
    "deit_tiny": "deit_tiny_patch16_224",
    "deit_small": "deit_small_patch16_224",
    "swin_tiny": "swin_tiny_patch4_window7_224",
    "resnet50": "resnet50",
}
BASELINES = ("dense", "ours", "fused", "compiled", "textbook", *OTHERS)


def model_contenders(name: str, chosen: Sequence[str]) -> dict[str, nn.Module]:
    """Return the chosen ones of ours (the same weights as the dense baseline's), the textbook version and timm's."""
    dense, ours = DenseViG(pyramid=name.startswith("pvig")), timm.create_model(name)
    vig_pyg.load_checkpoint(ours, dense.state_dict())
    fused = vig_pyg.fuse_for_inference(ours)
    contenders = {"dense": dense, "ours": ours, "fused": fused}
    if "compiled" in chosen:
        contenders["compiled"] = torch.compile(fused, fullgraph=True)
    if name == "vig_tiny" and "textbook" in chosen:
        from benchmarks.textbook_pyg import TextbookViG

        contenders["textbook"] = TextbookViG()
    contenders |= {short: timm.create_model(full) for short, full in OTHERS.items() if short in chosen}
    return {short: model for short, model in contenders.items() if short in chosen}


def inference(model: nn.Module, images: torch.Tensor) -> Callable[[], object]:
    """Return a call of the model in evaluation mode."""
    model.eval()
    return torch.no_grad()(lambda: model(images))


def training_step(model: nn.Module, images: torch.Tensor) -> Callable[[], object]:
    """Return a forward and backward pass in training mode."""
    model.train()

    def call() -> None:
        model(images).square().mean().backward()
        model.zero_grad(set_to_none=True)

    return call


def models(args: argparse.Namespace) -> dict[str, object]:
    """Measure inference and training steps of whole models."""
    results = {}
    for name in args.models:
        for batch in args.batches:
            images = torch.randn(batch, 3, 224, 224, device=args.device)
            contenders = {n: m.to(args.device) for n, m in model_contenders(name, args.contenders).items()}
            calls = {n: inference(m, images) for n, m in contenders.items()}
            results[f"{name}, inference, batch {batch}"] = report(calls, args, "deit_tiny", batch)
            if batch == 1:  # batch norm of the pooled features needs two images
                continue
            calls = {n: training_step(m, images) for n, m in contenders.items() if n not in ("fused", "compiled")}
            results[f"{name}, training step, batch {batch}"] = report(calls, args, "deit_tiny", batch)
    return results


def operators(args: argparse.Namespace) -> dict[str, object]:
    """Measure vig_tiny with each operator against max-relative."""
    images = torch.randn(8, 3, 224, 224, device=args.device)
    own = {conv: timm.create_model("vig_tiny", conv=conv).to(args.device) for conv in OPERATORS}
    fused = {conv: vig_pyg.fuse_for_inference(model) for conv, model in own.items()}
    return {
        "operators, inference": report({c: inference(m, images) for c, m in fused.items()}, args, "max_relative", 8),
        "operators, training": report({c: training_step(m, images) for c, m in own.items()}, args, "max_relative", 8),
    }


def search(args: argparse.Namespace) -> dict[str, object]:
    """Measure knn_graph against the bare batched product and topk, and its growth with nodes and neighbors."""
    x = torch.randn(8 * 196, 192, device=args.device)
    batch = torch.arange(8, device=args.device).repeat_interleave(196)
    unit = torch.nn.functional.normalize(x, dim=1).view(8, 196, 192)
    calls = {
        "bare product + topk": lambda: (unit @ unit.transpose(1, 2)).topk(54).indices,
        "knn_graph": lambda: vig_pyg.knn_graph(x, 18, batch, loop=True, cosine=True, dilation=3),
    }
    results = {"knn_graph, 8 × 196 nodes, 192 wide, k 18, dilation 3": report(calls, args, "bare product + topk", 1)}
    for nodes in (196, 784, 3136, 16384):
        points = torch.randn(nodes, 64, device=args.device)
        calls = {f"k {k}": lambda k=k, p=points: vig_pyg.knn_graph(p, k, loop=True, cosine=True) for k in (9, 18, 36)}
        results[f"knn_graph, {nodes} nodes, 64 wide"] = report(calls, args, "k 9", 1)
    call = "vig_pyg.knn_graph(torch.randn({}, 64), {}, loop=True)"
    setup = f"import torch, vig_pyg; {call.format(64, 9)}\n"
    idle = peak_memory(setup)
    results["knn_graph, 64 wide, MB above the idle process"] = growth = {
        f"{nodes} nodes, k {k}": round(peak_memory(setup + call.format(nodes, k)) - idle)
        for nodes in (196, 784, 3136, 16384)
        for k in (9, 18, 36)
    }
    print(growth)
    return results


def parts(args: argparse.Namespace) -> dict[str, object]:
    """Measure the graph, the operator and the rest of a Grapher block of vig_tiny apart, fused, at batch 8."""
    block = vig_pyg.fuse_for_inference(timm.create_model("vig_tiny")).blocks[8].to(args.device)
    layout = vig_pyg.NodeLayout.uniform(8, 14, 14)
    x = torch.randn(8 * 196, 192, device=args.device)
    with torch.no_grad():
        edges = block.grapher.graph(x, layout)
    calls = {
        "whole block": lambda: block(x, layout),
        "graph": lambda: block.grapher.graph(x, layout),
        "operator": lambda: block.grapher.conv(x, edges),
        "linear layers": lambda: block.grapher.fc2(block.grapher.fc1(x).repeat(1, 2)),
        "FFN": lambda: block.ffn(x, layout),
    }
    calls = {name: torch.no_grad()(call) for name, call in calls.items()}
    return {"parts of block 9 of vig_tiny": report(calls, args, "whole block", 8)}


def floor(args: argparse.Namespace) -> dict[str, object]:
    """Measure vig_tiny and deit_tiny against their own heavy library calls, replayed with nothing between them."""
    images = torch.randn(8, 3, 224, 224, device=args.device)
    ours, deit = (timm.create_model(name).to(args.device) for name in ("vig_tiny", OTHERS["deit_tiny"]))
    fused, results = vig_pyg.fuse_for_inference(ours), {}
    for what, step, own in (("inference, fused", inference, fused), ("training step", training_step, ours)):
        calls = {"deit_tiny": step(deit, images), "vig_tiny": step(own, images)}
        for name in list(calls):
            calls |= {f"{name}: {kind}": again for kind, again in heavy_calls(calls[name]).items()}
        results[f"heavy library calls, {what}, batch 8"] = report(calls, args, "deit_tiny", 8)
    return results


def precision(args: argparse.Namespace) -> dict[str, object]:
    """Measure how many neighbors bfloat16 autocast keeps, block by block."""
    rows = recall_per_block("vig_tiny", args.device)
    for name, recalls in rows.items():
        print(f"{name}: {min(recalls):.4f} at least, {sum(recalls) / len(recalls):.4f} on average")
    return {"share of float32 neighbors that are kept, per block of vig_tiny": rows}


def memory(args: argparse.Namespace) -> dict[str, object]:
    """Measure what a training step at batch 32 holds above the idle process, and features of a large image.

    Twice: as it is, and with glibc told to give freed memory back at once (then nothing is counted that only the
    allocator keeps).
    """
    setup = "import torch, timm, vig_pyg; from benchmarks.dense_baseline import DenseViG; torch.manual_seed(0)\n"
    step = "model.train()(torch.randn(32, 3, 224, 224)).square().mean().backward()"
    large = "with torch.no_grad(): model.eval()(torch.randn(1, 3, 800, 1280))"
    features = "model = timm.create_model('pvig_small', features_only=True)\n"
    programs = {
        "dense, training step, batch 32": ("model = DenseViG()\n", step),
        "ours, training step, batch 32": ("model = timm.create_model('vig_tiny')\n", step),
        "pvig_small features of one 800×1280 image": (features, large),
    }
    rows = {}
    for name, (build, work) in programs.items():
        for held, environment in (("", {}), (", freed at once", {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)})):
            idle = peak_memory(setup + build, environment)
            rows[name + held] = round(peak_memory(setup + build + work, environment) - idle)
            print(f"{name}{held}: {rows[name + held]} MB above the idle process")
    return {"memory, MB above the idle process": rows}


def report(calls: dict, args: argparse.Namespace, against: str, images: int) -> dict[str, dict[str, float]]:
    """Measure, print and return a table; times are per image."""
    rows = summarize(in_turn(calls, args.rounds, args.device), against if against in calls else next(iter(calls)))
    for name, row in rows.items():
        row["ms"] = round(row["ms"] / images, 3)
        print(f"{name:28s} {row['ms']:10.3f} ms   {row['times as fast']:.2f}× ({row['lowest']}–{row['highest']})")
    print()
    return rows


SECTIONS = {f.__name__: f for f in (models, operators, search, parts, memory, floor, precision)}


def main() -> None:
    """Run the chosen sections and save what they measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", default=list(SECTIONS), help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--models", nargs="+", default=["vig_tiny", "pvig_tiny"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 64])
    parser.add_argument("--contenders", nargs="+", choices=BASELINES, default=BASELINES)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    for section in args.sections:
        print(f"# {section}\n")
        save(args.out / f"{section}-{args.device}.json", SECTIONS[section](args))


if __name__ == "__main__":
    main()
