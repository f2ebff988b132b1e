"""What Linux, macOS and Windows have in common: the Makefile, the scripts, the ends of lines."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import replay
from conftest import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
SCRIPTS = {name: (ROOT / name).read_text("utf-8") for name in (".ci/run", "binder/postBuild")}
TARGETS = re.search(r"^\.PHONY: (.+)$", MAKEFILE, flags=re.M)[1].split()
#: What only GNU's commands know; those of macOS refuse it, or do something else.
GNU_ONLY = re.compile(
    r"\bsed\s+(-\w*[ri]|--)|\bsed\b[^|]*\\t|\bgrep\s+-\w*P|\breadlink\s+-f|\bsort\s+-\w*V"
    r"|\bxargs\s+-\w*r\b|\bdate\s+-d|\bcp\s+-\w*t|\bfind\b[^|]*-printf|\bstat\s+-c|\bsha256sum\b"
    r"|\bnproc\b|\bmktemp\s+--|\btimeout\s|\brealpath\b"
)


def make(*arguments, **environment):
    """Return what make says, at which exit code."""
    command = ["make", "--no-print-directory", *arguments]
    told = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return told.returncode, told.stdout + told.stderr


def test_help_names_each_target_with_its_words_in_one_column():
    code, told = make("help")
    assert code == 0
    rows = [(line[:18].strip(), line[18:]) for line in told.splitlines()]
    assert sorted(target for target, _ in rows) == sorted(TARGETS)
    for target, words in rows:
        assert re.search(rf"^{target}:.*## {re.escape(words)}$", MAKEFILE, flags=re.M), target


@pytest.mark.parametrize("name", ["Makefile", *SCRIPTS])
def test_no_command_has_a_flag_that_only_gnu_knows(name):
    text = MAKEFILE if name == "Makefile" else SCRIPTS[name]
    assert GNU_ONLY.findall(text) == []


@pytest.mark.parametrize(
    "line",
    [
        *("sed -r 's/a/b/'", "sed -E 's/:.*## /\\t/'", "sed -i 's/a/b/' file", "grep -oP 'a'"),
        *("readlink -f file", "xargs -r rm", "date -d @1", "stat -c %s file", "nproc"),
    ],
)
def test_a_flag_that_only_gnu_knows_is_seen(line):
    assert GNU_ONLY.search(line)


def test_a_missing_interpreter_is_named():
    code, told = make("PYTHON=python-that-is-not-there", "book")
    assert code != 0
    assert "There is no python-that-is-not-there here: install Python 3.11, 3.12 or 3.13" in told


def test_on_windows_the_commands_of_the_environment_are_elsewhere():
    code, told = make("--dry-run", "quick", f"PYTHON={sys.executable}", OS="Windows_NT")
    assert code == 0
    assert ".venv/Scripts/ruff check" in told
    assert not re.findall(r"^\.venv/bin/", told, flags=re.M)


@pytest.mark.parametrize("target", ["mutants", "library-mutants", "robust", "hooks"])
def test_what_needs_a_fork_says_so_on_windows(target):
    assert "run it in WSL" in make("--dry-run", target, OS="Windows_NT")[1]
    assert "run it in WSL" not in make("--dry-run", target, OS="")[1]


def test_a_tool_that_needs_a_fork_says_so_by_itself(monkeypatch):
    monkeypatch.delattr(os, "fork")
    with pytest.raises(SystemExit, match="WSL"):
        replay.in_copies([lambda: None], seconds=1)


def test_a_clone_on_windows_has_the_line_ends_of_the_repository(tmp_path):
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    for name in ("run", "a.ipynb", "Makefile"):
        (tmp_path / name).write_bytes(b"one\r\ntwo\n")
    (tmp_path / "a.onnx").write_bytes(b"one\r\ntwo\n")
    git = ["git", "-C", tmp_path, "-c", "core.autocrlf=true", "-c", "core.safecrlf=false"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "."], check=True, capture_output=True)
    for name in ("run", "a.ipynb", "Makefile", "a.onnx"):
        (tmp_path / name).unlink()
    subprocess.run([*git, "checkout", "--quiet", "."], check=True)
    for name in ("run", "a.ipynb", "Makefile"):
        assert (tmp_path / name).read_bytes() == b"one\ntwo\n"
    assert (tmp_path / "a.onnx").read_bytes() == b"one\r\ntwo\n"


def test_every_file_of_the_repository_has_plain_line_ends():
    listed = subprocess.run(
        ["git", "ls-files", "--eol"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "i/lf" in listed
    assert not re.findall(r"^i/(?:crlf|mixed).*", listed, flags=re.M)


def test_a_build_begins_with_an_empty_folder_and_the_date_of_the_commit():
    code, told = make("--dry-run", "book", f"PYTHON={sys.executable}", SOURCE_DATE_EPOCH="86400")
    assert code == 0
    (place,) = [n for n, line in enumerate(told.splitlines()) if "jupyter-book build" in line]
    assert told.splitlines()[place - 1].startswith("rm -rf _build/html")
    assert told.splitlines()[place].startswith("SOURCE_DATE_EPOCH=86400 .venv/")
