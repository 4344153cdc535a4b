"""The ablations of ``vig-pyg study`` on graphs: what they reach and cost, with what may be claimed.

``python -m benchmarks.ablations``: as ``vig-pyg study NAME --data digits-superpixels``, for every name in turn.
"""

import argparse
import json
from pathlib import Path

from benchmarks.measure import save
from vig_pyg.study.comparison import base_recipe
from vig_pyg.study.run import TRIALS, Studies, evaluate_all, plan_all, trials_of
from vig_pyg.study.trials import Trial, load, run_trials


def said(trial: Trial) -> None:
    """Say that a training is finished."""
    recipe = trial.recipe
    print(recipe.conv, recipe.graph, recipe.model_options, "seed", recipe.seed, flush=True)


def main() -> None:
    """Run the studies and save their tables and claims."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", nargs="+", default=["operators", "neighbors", "graphs"])
    parser.add_argument("--data", default="digits-superpixels")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--changes", nargs="*", default=[], help="of the recipe, key=value")
    parser.add_argument("--kept", type=Path, default=Path("runs/ablations"), help="folder of finished trainings")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    base = base_recipe(None, [f"data={args.data}", *args.changes], {"conv": "nothing", "seed": "--seeds"})
    data, results = load(base), {}
    studies = Studies(args.studies, base, [], args.seeds, args.kept)
    plans = plan_all(studies, data)
    run_trials(studies.out / TRIALS, trials_of(plans), on_trial=said)
    for finding in evaluate_all(studies, plans, data):
        rows = json.loads(finding.frame.round(3).to_json(orient="index"))
        results[finding.name] = {"rows": rows, "claims": finding.claims}
        print(finding.frame.to_string(), *finding.claims, sep="\n")
    setting = {"data": args.data, "model": base.model, "epochs": base.epochs, "seeds": args.seeds}
    save(args.out / f"ablations-{args.data}-cpu.json", {"setting": setting, **results})


if __name__ == "__main__":
    main()
