import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vig_pyg.cli import stop_at_once, stop_on_mismatched_torch

COMMAND = Path(sys.executable).with_name("vig-pyg")


def shadow(folder: Path, module: str, source: str) -> dict[str, str]:
    """Return an environment in which ``module`` is what ``source`` says."""
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text(source)
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parents[1])]), "PATH": ""}


@pytest.mark.parametrize("command", [[str(COMMAND)], [sys.executable, "-m", "vig_pyg"]])
def test_a_torch_that_does_not_fit_its_torchvision_is_explained_in_one_line(command: list[str], tmp_path: Path) -> None:
    env = shadow(tmp_path, "torchvision", 'raise RuntimeError("operator torchvision::nms does not exist")')
    result = subprocess.run([*command, "demo", "--help"], capture_output=True, text=True, env=env)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1 and "do not belong together; install a pair" in result.stderr


def test_importing_the_library_explains_it_as_well(tmp_path: Path) -> None:
    env = shadow(tmp_path, "torchvision", 'raise RuntimeError("operator torchvision::nms does not exist")')
    result = subprocess.run([sys.executable, "-c", "import vig_pyg"], capture_output=True, text=True, env=env)
    assert "ImportError: torch 2" in result.stderr.splitlines()[-1]


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    env = shadow(tmp_path, "typer", 'raise ModuleNotFoundError("No module named typer", name="typer")')
    result = subprocess.run([COMMAND, "demo"], capture_output=True, text=True, env=env)
    assert result.returncode == 1
    assert result.stderr == "vig-pyg: the command needs typer: pip install 'vig_pyg[train]'\n"


def heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # jobs in the background inherit that it is ignored


@pytest.mark.parametrize("module", ["torch", "typer"])
@pytest.mark.parametrize("command", [[str(COMMAND)], [sys.executable, "-m", "vig_pyg"]])
def test_ctrl_c_while_it_imports_ends_it_without_a_traceback(command: list[str], module: str, tmp_path: Path) -> None:
    env = shadow(tmp_path, module, "import os, signal\nos.kill(os.getpid(), signal.SIGINT)")
    result = subprocess.run([*command, "models"], capture_output=True, text=True, env=env, preexec_fn=heed_ctrl_c)
    assert result.returncode == -signal.SIGINT and result.stdout == result.stderr == ""


def test_ctrl_c_in_a_program_that_imports_the_library_is_the_programs(tmp_path: Path) -> None:
    env = shadow(tmp_path, "torch", "import os, signal\nos.kill(os.getpid(), signal.SIGINT)")
    program = "try:\n    import vig_pyg\nexcept KeyboardInterrupt:\n    print('mine')"
    words = [sys.executable, "-c", program]
    result = subprocess.run(words, capture_output=True, text=True, env=env, preexec_fn=heed_ctrl_c)
    assert result.stdout == "mine\n"


@pytest.mark.parametrize("command", [[], ["demo"]])
def test_help_reads_well(command: list[str]) -> None:
    result = subprocess.run([COMMAND, *command, "--help"], capture_output=True, text=True, check=True)
    assert "demo" in result.stdout


def test_outside_of_the_command_only_torch_s_own_sentence_is_explained():
    before = signal.getsignal(signal.SIGINT)
    with stop_at_once():
        assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(ImportError, match="do not belong together"), stop_on_mismatched_torch():
        raise RuntimeError("operator torchvision::nms does not exist")
    with pytest.raises(RuntimeError, match="something else"), stop_on_mismatched_torch():
        raise RuntimeError("something else")
