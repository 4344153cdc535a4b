"""Files that appear whole, however many processes write them."""

import csv
import multiprocessing
from pathlib import Path

import pytest

from vig_pyg.files import check_place, write_csv, write_whole


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


def test_a_place_that_cannot_be_written_is_named_before_the_work(tmp_path):
    check_place(tmp_path / "new" / "table.md")
    assert [path.name for path in tmp_path.rglob("*")] == ["new"]
    with pytest.raises(IsADirectoryError, match=r"new is a folder: name a file in it"):
        check_place(tmp_path / "new")


def test_a_disk_that_is_full_names_the_file(tmp_path):
    def full(partial: Path) -> None:
        raise RuntimeError("no space left\nand much more")

    with pytest.raises(OSError, match=r"table.md cannot be written \(no space left\)"):
        write_whole(tmp_path / "table.md", full)
    assert not list(tmp_path.iterdir())


def test_rows_are_read_as_they_were_written(tmp_path):
    rows = [["name", "share"], ['a "b", c', "0.5"], ["two\nlines", ""]]
    write_csv(tmp_path / "table.csv", rows)
    with (tmp_path / "table.csv").open(newline="") as file:
        assert list(csv.reader(file)) == rows
