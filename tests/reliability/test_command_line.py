import json
import subprocess
import sys
from pathlib import Path


def test_every_third_case_is_clear_or_right() -> None:
    command = [sys.executable, "-m", "tests.reliability.command_line", "3"]  # it forks: best in a process of its own
    said = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    counted, *wrong = said.stdout.splitlines()
    assert not wrong, "\n".join(wrong)
    counts = json.loads(counted)
    assert counts["clear"] + counts["right"] + counts["late"] == counts["tried"] >= 300
    assert min(counts["clear"], counts["right"]) >= 20
