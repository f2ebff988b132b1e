"""What editors and merges leave behind: each fault is seen, and what can be mended is."""

import hygiene
import pytest
import yaml
from conftest import ROOT


def test_the_files_of_the_repository_have_no_fault():
    found = [f"{path}: {fault}" for path in hygiene.tracked() for fault in hygiene.faults(path)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        ("a.md", b"One \ntwo\n", "spaces at the end"),
        ("a.md", b"One\t\n", "spaces at the end"),
        ("a.md", b"One\r\ntwo\r\n", "line ends of another system"),
        ("a.md", b"One", "must end with one newline"),
        ("a.md", b"One\n\n", "must end with one newline"),
        ("a.md", b"\n", "must end with one newline"),
        ("a.md", b"One\n" + b"<" * 7 + b" HEAD\n", "a mark of a merge"),
        ("a.md", b"One\n" + b">" * 7 + b" main\n", "a mark of a merge"),
        ("a.md", b"\xff\n", "not UTF-8"),
        ("a.yml", b"a: [1\n", "it cannot be read"),
        ("a.cff", b"a: b: c\n", "it cannot be read"),
        ("a.toml", b"a = \n1\n", "it cannot be read"),
        ("a.json", b"{'a': 1}\n", "it cannot be read"),
        ("a.ipynb", b"{\n", "it cannot be read"),
        ("a.npz", b"\0" * (hygiene.LARGEST + 1), "bytes, over"),
    ],
)
def test_a_fault_is_seen(name, data, fault, tmp_path):
    path = tmp_path / name
    path.write_bytes(data)
    assert any(fault in found for found in hygiene.faults(path))


@pytest.mark.parametrize(
    "data", [b"", b"One\n", b"A title\n=======\n", b"\0 \n\n", "é — ≤\n".encode()]
)
def test_a_good_file_has_no_fault(data, tmp_path):
    path = tmp_path / "a.md"
    path.write_bytes(data)
    assert list(hygiene.faults(path)) == []


@pytest.mark.parametrize(
    ("data", "mended"),
    [
        (b"One \r\n\ttwo\t\n\n\n", b"One\n\ttwo\n"),
        (b"One\rtwo", b"One\ntwo\n"),
        (b" \n", b""),
        (b"\0 \n\n", b"\0 \n\n"),
        (b"\xff \n", b"\xff \n"),
    ],
)
def test_ends_are_mended_and_nothing_else(data, mended, tmp_path):
    path = tmp_path / "a.md"
    path.write_bytes(data)
    hygiene.fix(path)
    assert path.read_bytes() == mended


def test_every_hook_runs_what_the_environment_has():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")
        assert all((ROOT / word).is_file() for word in hook["entry"].split() if "tools/" in word)
