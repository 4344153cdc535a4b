"""Files that appear whole, however many processes write them."""

import multiprocessing
from pathlib import Path

import pytest

from vig_pyg.train import read_recipe
from vig_pyg.train.run import open_run, write_whole


def write_slowly(path: Path, text: str, meet) -> None:
    def write(partial: Path) -> None:
        partial.write_text(text)
        meet.wait(60)

    write_whole(path, write)


def test_two_processes_that_write_one_file_at_once_both_finish(tmp_path):
    context = multiprocessing.get_context("fork")
    meet = context.Barrier(2)
    texts = ["first" * 1000, "second" * 1000]
    both = [context.Process(target=write_slowly, args=(tmp_path / "table.md", text, meet)) for text in texts]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["table.md"]
    assert (tmp_path / "table.md").read_text() in texts


def test_a_failure_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path):
    (tmp_path / "table.md").write_text("before")
    with pytest.raises(ZeroDivisionError):
        write_whole(tmp_path / "table.md", lambda partial: partial.write_text("half") / 0)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_what_a_killed_process_left_is_gone_when_its_run_is_resumed(tmp_path):
    recipe = read_recipe("digits")
    open_run(tmp_path / "run", recipe, resume=False)
    (tmp_path / "run" / "best").mkdir()
    whole = sorted(tmp_path.rglob("*"))
    for name in ("metrics.csv.elsewhere-17.partial", "best/model.safetensors.elsewhere-17.partial"):
        (tmp_path / "run" / name).write_text("half")
    open_run(tmp_path / "run", recipe, resume=True)
    assert sorted(tmp_path.rglob("*")) == whole
