"""Type what is wrong, extreme or odd, and count what comes of it: ``python -m tests.reliability.command_line [NTH]``.

Every case is a command in a process of its own, in a folder of files sound and crafted, with a limit of time and of
memory. An outcome is ``clear`` (status 2 and one sentence, nothing written), ``right`` (what was asked for), ``late``
(status 1 and one sentence, for what only shows later), ``traceback`` any other end, ``silent`` a success that is none,
``refused`` an error for what is right, and ``hang`` what does not end. With ``NTH``, every so many cases are tried.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from string import Template
from typing import Any

os.environ["COLUMNS"] = "20000"  # a sentence stays on its line

import onnx
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from tests.reliability.command_cases import WORDS, Case, cases
from tests.reliability.command_files import write_all
from vig_pyg.commands import app

OUTCOMES = ("clear", "right", "late", "traceback", "silent", "refused", "hang")
SECONDS, BYTES = 40, 4 << 30  # of a case, beside what is in use before
FORK = multiprocessing.get_context("fork")  # what is imported stays imported
Snapshot = dict[str, tuple[int, int]]
ODD = re.compile(r"Traceback|Error: | object at 0x|^\[Errno|^\w+Error|^'[^']*'$|NoneType")  # no sentences


def words_of(case: Case) -> list[str]:
    """Return what is typed, word by word."""
    return [word.replace("\\u0000", "\0") for word in shlex.split(Template(case.line).safe_substitute(WORDS))]


def snapshot() -> Snapshot:
    """Return every file in the working folder with its size and time."""
    found = {}
    for folder, folders, names in os.walk("."):
        for name in [*names, *folders]:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            found[path] = (0, 0) if name in folders else (status.st_size, status.st_mtime_ns)
    return found


def difference(before: Snapshot) -> list[str]:
    """Return what is new, changed or gone in the working folder."""
    after = snapshot()
    return sorted(path for path in after.keys() | before.keys() if after.get(path) != before.get(path))


def type_it(case: Case) -> tuple[int, str, str]:
    """Run a command as it is typed; return its status, all that it said, and what it did not catch."""
    if case.recipe:
        Path("given.yaml").write_text(case.recipe)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, resource.RLIM_INFINITY))
    if case.largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (case.largest, resource.RLIM_INFINITY))
    result = CliRunner().invoke(app, words_of(case))
    uncaught = "" if result.exception is None or isinstance(result.exception, SystemExit) else repr(result.exception)
    if uncaught and result.exc_info:
        uncaught += f" at {traceback.format_tb(result.exc_info[2])[-1].strip()}"
    return result.exit_code, result.output, uncaught


def whole(file: Path) -> bool:
    """Return whether a file holds what its suffix promises."""
    readers: dict[str, Callable[[Path], Any]] = {
        ".png": lambda path: Image.open(path).load(),
        ".csv": lambda path: len(list(csv.reader(path.open()))) > 1 or 1 / 0,
        ".json": lambda path: json.loads(path.read_text()),
        ".html": lambda path: path.read_text().index("</html>"),
        ".svg": lambda path: path.read_text().index("</svg>"),
        ".safetensors": load_file,
        ".onnx": lambda path: onnx.checker.check_model(str(path)),
        ".pt2": torch.export.load,
    }
    try:
        readers[file.suffix](file)
    except Exception:
        return False
    return True


def judge(case: Case, status: int, output: str, uncaught: str, left: list[str]) -> tuple[str, str]:
    """Return the outcome of a case, and why.

    Args:
        case: What was typed.
        status: How it ended.
        output: What it said.
        uncaught: What it did not catch.
        left: What it wrote or changed.
    """
    if uncaught:
        return "traceback", uncaught
    if Path("executed").exists():
        return "silent", "it executed what a file held"
    partial = [path for path in left if "partial" in path and "only_partial" not in path]
    if status == 0:
        missing = [w for w in shlex.split(case.shown) if not (whole(Path(w[1:])) if w[0] == "@" else w in output)]
        if "right" not in case.wanted or missing or partial:
            return "silent", f"lacks {missing}, leaves {partial}: {output[-300:]}"
        return "right", ""
    sentence = output.partition("Error: ")[2].strip()
    usage = output.startswith("Usage: ")
    said = usage or (0 < len(sentence) < 12000 and "\n" not in sentence and not ODD.search(sentence))
    if status not in (1, 2) or not said or partial:
        return "traceback", f"status {status}, leaves {partial}: {output[-600:]}"
    if status == 2 and left:
        return "traceback", f"status 2, but it wrote {left[:5]}: {sentence[:300]}"
    outcome = "clear" if status == 2 else "late"
    if outcome in case.wanted and ("right" in case.wanted or case.shown in output):
        return outcome, ""
    return ("refused" if case.wanted == ("right",) else "traceback"), f"status {status}: {output[-600:]}"


def run(case: Case, before: Snapshot, reply: Connection) -> None:
    """Run a case and send its outcome, why, and what it wrote or changed."""
    status, output, uncaught = type_it(case)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    changed = difference(before)
    left = [path for path in changed if path != "./given.yaml"]
    reply.send((*judge(case, status, output, uncaught, left), changed))


def outcome(case: Case, before: Snapshot) -> tuple[str, str, list[str]]:
    """Return what comes of a case in the working folder, why, and what it wrote or changed."""
    receiving, sending = multiprocessing.Pipe(duplex=False)
    process = FORK.Process(target=run, args=(case, before, sending))
    process.start()
    sending.close()
    try:
        if receiving.poll(SECONDS):
            return receiving.recv()
        what, why = "hang", f"no end in {SECONDS} s"
    except EOFError:
        process.join()
        what, why = "traceback", f"the process ended with status {process.exitcode}"
    process.kill()
    process.join()
    return what, why, difference(before)


def restore(changed: list[str]) -> None:
    """Make the working folder what it was before a case."""
    for path in changed:
        shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else Path(path).unlink(missing_ok=True)
    for path in changed:
        if os.path.lexists(f"../sound/{path}") and not os.path.lexists(path):
            subprocess.run(["cp", "--archive", f"../sound/{path}", path], check=True)  # FIFOs and links too


def campaign(nth: int = 1) -> tuple[dict[str, int], list[str]]:
    """Try every ``nth`` case; return how often each outcome came, and the cases that went wrong in words."""
    counts, wrong = Counter(dict.fromkeys(OUTCOMES, 0)), []
    tried, began = cases()[::nth], Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.mkdir(f"{name}/sound")
        os.chdir(f"{name}/sound")
        maker = FORK.Process(target=write_all)  # in a process of its own: no thread of this one may be in the way
        maker.start()
        maker.join()
        subprocess.run(["cp", "--archive", ".", "../here"], check=True)
        os.chdir("../here")
        before = snapshot()
        for case in tried:
            what, why, changed = outcome(case, before)
            restore(changed)
            counts[what] += 1
            if what not in ("clear", "right", "late"):
                wrong.append(f"{what}: {case.line} {case.recipe!r}: {why}")
        os.chdir(began)
    return {"tried": len(tried), **counts}, wrong


if __name__ == "__main__":
    counted, failures = campaign(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    sys.stdout.write("\n".join([json.dumps(counted), *failures]) + "\n")
