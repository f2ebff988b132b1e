"""One declaration, one lock, one address: what make, CI and Binder have in common."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import lighthouse
import moving
import numpy as np
import one_matrix
import picture
import pytest
import release
import yaml
from bs4 import BeautifulSoup
from conftest import NOTEBOOKS, ROOT
from flit_core.common import Module, make_metadata
from flit_core.config import read_flit_config
from matplotlib.image import imread
from PIL import Image

import equivlib

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORKFLOWS = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted((ROOT / ".github" / "workflows").iterdir())
}
WORKFLOW = WORKFLOWS["ci"]


def tracked_files():
    """Yield the project's own text files."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        path = ROOT / name
        binary = {".png", ".npz", ".onnx", ".webp", ".woff2", ".js"}
        if path.suffix not in binary and path.is_file():
            yield name, path.read_text(encoding="utf-8")


def test_the_lock_pins_every_package_with_hashes():
    pins = re.findall(r"^[A-Za-z0-9][^\s=]*==", LOCK, flags=re.M)
    assert len(pins) > 100
    for block in re.split(r"\n(?=[A-Za-z0-9])", LOCK)[1:]:
        assert "--hash=sha256:" in block, block


def test_the_lock_holds_what_the_declaration_asks_for():
    extras, groups = PROJECT["project"]["optional-dependencies"], PROJECT["dependency-groups"]
    (source,) = re.findall(r"^\.\[(.*)\]$", (ROOT / "requirements.in").read_text("utf-8"), re.M)
    declared = PROJECT["project"]["dependencies"] + [
        r for name in source.split(",") for r in extras[name]
    ]
    assert PROJECT["tool"]["uv"]["pip"]["group"] == ["dev"]
    assert {part["include-group"] for part in groups["dev"] if isinstance(part, dict)} == {
        "book", "test", "lab", "javascript",
    }  # fmt: skip
    declared += [r for rs in groups.values() for r in rs if isinstance(r, str)]
    names = {re.match(r"[\w.-]+", r)[0].lower().replace("_", "-") for r in declared}
    pinned = {n.lower() for n in re.findall(r"^([\w.-]+)==", LOCK, flags=re.M)}
    assert names <= {n.replace("_", "-") for n in pinned}


def test_jupyter_book_stays_below_version_2():
    assert re.search(r"^jupyter-book==1\.", LOCK, flags=re.M)
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))
    ignored = [rule for u in updates["updates"] for rule in u.get("ignore", [])]
    assert {"dependency-name": "jupyter-book", "versions": [">=2"]} in ignored


def test_the_library_needs_numpy_and_scipy_alone():
    names = {re.match(r"[\w-]+", r)[0] for r in PROJECT["project"]["dependencies"]}
    assert names == {"numpy", "scipy"}


def test_make_ci_and_binder_read_the_same_lock():
    assert "--require-hashes -r requirements.txt" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert (ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8").split() == [
        "-r",
        "../requirements.txt",
    ]
    assert "LOCK: requirements.txt" in WORKFLOW


def test_binder_runs_the_python_that_the_published_book_was_checked_with():
    (published,) = re.findall(r"matrix\.python == '([\d.]+)'", WORKFLOW)
    assert (ROOT / "binder" / "runtime.txt").read_text(
        encoding="utf-8"
    ).strip() == f"python-{published}"


#: What a job may do beyond reading the repository.
GRANTED = {
    "ci": {"deploy": {"pages": "write", "id-token": "write"}},
    "release": {
        "attest": {"id-token": "write", "attestations": "write"},
        "publish": {"id-token": "write"},
        "release": {"contents": "write"},
    },
    "weekly": {"tell": {"issues": "write"}},
}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_action_is_pinned_by_hash_and_permissions_are_least(name):
    uses = re.findall(r"uses: (\S+)", WORKFLOWS[name])
    assert uses
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", use) for use in uses)
    workflow = yaml.safe_load(WORKFLOWS[name])
    assert workflow["permissions"] == {"contents": "read"}
    granted = {n: j["permissions"] for n, j in workflow["jobs"].items() if "permissions" in j}
    assert granted == GRANTED[name]
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())


def test_nothing_is_published_that_was_not_tested():
    jobs = yaml.safe_load(WORKFLOW)["jobs"]
    assert set(jobs["deploy"]["needs"]) == {"book-and-tests", "library", "site"}
    ran = [step.get("run") for step in jobs["book-and-tests"]["steps"]]
    assert "make ci" in ran
    assert (ROOT / ".ci" / "run").read_text("utf-8").splitlines()[-1] == 'make PYTHON="$PYTHON" ci'


def test_a_release_is_uploaded_after_its_rehearsal_alone():
    jobs = yaml.safe_load(WORKFLOWS["release"])["jobs"]
    order = ["build", "attest", "publish", "release"]
    assert list(jobs) == order
    assert [jobs[name]["needs"] for name in order[1:]] == order[:-1]
    assert jobs["attest"]["if"] == "github.ref_type == 'tag'"
    # What a tag is called is never part of a command, but in a variable.
    assert not re.findall(r"run:.*\$\{\{", WORKFLOWS["release"])


def test_the_book_and_the_package_name_one_repository():
    address = CONFIG["repository"]["url"].removeprefix("https://")
    named = [name for name, text in tracked_files() if address in text]
    assert named == ["_config.yml", "pyproject.toml"]
    urls = PROJECT["project"]["urls"]
    assert urls["Repository"] == CONFIG["repository"]["url"]
    for url in urls.values():
        place, _, rest = url.removeprefix(urls["Repository"]).partition("/blob/main/")
        assert place in ("", "/issues")
        assert not rest or (ROOT / rest).is_file()


def test_the_version_stands_in_the_package_and_the_citation_repeats_it():
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert "version" not in PROJECT["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == equivlib.__version__
    built = read_flit_config(ROOT / "pyproject.toml")
    assert make_metadata(Module(built.module, ROOT), built).version == equivlib.__version__


def test_no_file_names_this_machine_or_a_package_registry():
    forbidden = re.compile(r"/home/\w|/Users/\w|/root/|files\.pythonhosted|pypi\.org/simple")
    told = [name for name, text in tracked_files() if forbidden.search(text)]
    assert told in ([], ["tests/book/test_project.py"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_launch_button_opens_a_file_of_the_tree(html, path):
    repository = os.environ.get("BOOK_REPOSITORY") or CONFIG["repository"]["url"]
    branch = os.environ.get("BOOK_BRANCH") or CONFIG["repository"]["branch"]
    soup = BeautifulSoup((html / f"chapters/{path.stem}.html").read_text("utf-8"), "html.parser")
    addresses = [a["href"] for a in soup.select(".page-tools a.run")]
    owner_and_name = repository.removeprefix("https://github.com/")
    expected = f"https://mybinder.org/v2/gh/{owner_and_name}/{branch}?urlpath=lab/tree/"
    assert addresses
    for address in addresses:
        assert address.startswith(expected)
        assert (ROOT / address.removeprefix(expected)).is_file()


class Configuration:
    def __init__(self):
        self.html_theme_options = {"repository_url": "https://github.com/a/b"}


def test_a_fork_publishes_buttons_that_open_the_fork(monkeypatch):
    monkeypatch.setenv("BOOK_REPOSITORY", "https://github.com/somebody/fork")
    monkeypatch.setenv("BOOK_BRANCH", "draft")
    config = Configuration()
    one_matrix.use_built_repository(None, config)
    assert config.html_theme_options == {
        "repository_url": "https://github.com/somebody/fork",
        "repository_branch": "draft",
    }


def test_a_malformed_address_is_refused(monkeypatch):
    monkeypatch.setenv("BOOK_REPOSITORY", "github.com/somebody")
    with pytest.raises(ValueError, match="BOOK_REPOSITORY"):
        one_matrix.use_built_repository(None, Configuration())


def test_the_workflow_passes_its_own_repository_to_the_book():
    assert "BOOK_REPOSITORY: ${{ github.server_url }}/${{ github.repository }}" in WORKFLOW


def test_the_weekly_run_installs_the_lighthouse_that_the_tool_names():
    (command,) = re.findall(r"run: (npm install .*)", WORKFLOW)
    (version,) = re.findall(r"\$\(.*?\)(?=\"$)", command)
    printed = subprocess.run(
        ["bash", "-c", f"echo {version}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == lighthouse.VERSION


def test_the_readme_begins_with_the_two_commands_and_one_picture():
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:25]
    assert any(line.startswith("make book") for line in first_screen[:6])
    assert any(line.startswith("make test") for line in first_screen[:6])
    assert sum("<picture>" in line for line in first_screen) == 1


def test_the_picture_that_stands_still_is_what_the_library_draws(tmp_path):
    drawn = tmp_path / "layer.png"
    drawn.write_bytes(picture.picture().png())
    assert np.abs(imread(drawn) - imread(picture.PATH)).max() < 0.02
    assert '<source media="(prefers-reduced-motion: reduce)" srcset="_static/layer.png">' in README


def test_the_moving_picture_has_a_frame_for_each_place_and_says_what_it_shows():
    with Image.open(moving.PATH) as film:
        assert film.n_frames == len(moving.PLACES)
    name = moving.PATH.relative_to(ROOT).as_posix()
    assert f'<img src="{name}" width="{moving.WIDTH}" alt="{moving.ALT}">' in README
    assert moving.PATH.stat().st_size < 200_000


def test_a_release_names_one_version_everywhere(monkeypatch, tmp_path):
    assert list(release.problems("")) == []
    wrong = list(release.problems("v999.0"))
    assert any("the tag v999.0 is not v" in problem for problem in wrong)
    (tmp_path / "equivlib").mkdir()
    (tmp_path / "equivlib" / "__init__.py").write_text('__version__ = "2.0"\n')
    (tmp_path / "CITATION.cff").write_text('version: "2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 2.0 - today\n\n- Much.\n")
    monkeypatch.setattr(release, "ROOT", tmp_path)
    missing = list(release.problems("v2.0"))
    assert [problem.split()[0] for problem in missing] == [f"_build/{n}" for n in release.BOOK]
    (tmp_path / "_build").mkdir()
    for name in release.BOOK:
        (tmp_path / "_build" / name).write_bytes(b"a book")
    assert list(release.problems("v2.0")) == []
    names = [path.name for path in release.take_book(tmp_path)]
    assert names == ["one-matrix-2.0-html.zip", "one-matrix-2.0.pdf"]
    assert "- Much." in release.notes("v2.0")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n")
    assert list(release.problems("v2.0")) == ["CHANGELOG.md has no section for 2.0"]


def test_checksums_are_those_of_sha256sum(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert release.checksums([tmp_path / "a"]) == f"{known}  a\n"


EXAMPLES = re.findall(r"^```python\n(.*?)^```", README, flags=re.S | re.M)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_each_example_of_the_readme_runs_by_itself(example):
    subprocess.run([sys.executable, "-c", example], check=True, cwd=ROOT)


def test_the_readme_has_a_door_and_an_example_for_each_kind_of_user():
    doors = re.findall(r"^\| \*\*(\w+)\*\*.*\]\(#([\w-]+)\)", README, flags=re.M)
    assert doors == [("read", "read-it"), ("run", "run-it"), ("use", "use-it")]
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", README, flags=re.M | re.S))
    for _, anchor in doors:
        section = sections[anchor.replace("-", " ").capitalize()]
        assert "```python" in section or "`make " in section


#: What people read on their way to a change.
GUIDES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "CODE_OF_CONDUCT")),
    ROOT / ".github" / "PULL_REQUEST_TEMPLATE.md",
    *sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")),
]


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_what_a_guide_names_exists(path):
    text = path.read_text(encoding="utf-8")
    # What begins with ../../ is a page of the site that shows the repository.
    links = re.findall(r"\]\((?!https?:|#|\.\./\.\./actions/)([^)\s]+)\)", text)
    named = re.findall(r"`([A-Z_]+\.md|tests/book/[\w/]+)`", text)
    assert all((ROOT / name).exists() for name in links + named)
    targets = set(re.search(r"^\.PHONY: (.+)$", MAKEFILE, flags=re.M)[1].split())
    told = re.findall(r"(?:`|^)make (?:[A-Z]+=\S+ )*([a-z][a-z-]*)", text, flags=re.M)
    assert set(told) <= targets


def test_a_changed_sentence_is_three_commands_away():
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    first = re.search(r"^```\n(.*?)^```", guide, flags=re.S | re.M)
    assert first.start() < guide.index("## The architecture on one page")
    commands = first[1].splitlines()
    assert [command.split()[0] for command in commands] == ["git", "cd", "make"]
    assert commands[1].split()[1] == commands[0].split()[-1]


@pytest.mark.parametrize("name", ["bug", "false_statement", "question"])
def test_a_form_for_issues_asks_for_something(name):
    path = ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml"
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    fields = [entry for entry in form["body"] if entry["type"] != "markdown"]
    names = [field["id"] for field in fields]
    assert len(set(names)) == len(names)
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_every_target_of_the_makefile_is_explained():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.+)$", text, flags=re.M)[1].split()
    for target in targets:
        assert re.search(rf"^{target}:.*## ", text, flags=re.M), target


@pytest.mark.parametrize("moved", [False, True])
def test_a_checkout_that_has_moved_gets_a_new_environment(tmp_path, moved):
    (tmp_path / "equivlib").mkdir()
    for name in ("Makefile", "requirements.txt", "pyproject.toml", "equivlib/__init__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    environment = tmp_path / ".venv"
    environment.mkdir()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    made_in = "/elsewhere" if moved else str(tmp_path)
    (environment / f"locked-{version}").write_text(f"{made_in}\n", encoding="utf-8")
    (environment / f"ready-{version}").touch()
    command = ["make", "--dry-run", f"PYTHON={sys.executable}", "lint"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert ("venv --clear" in told) == moved


PLACES = {
    "equivlib/__init__.py": '"""The library."""\n__version__ = "0.1.0"\n',
    "CITATION.cff": "title: A\nversion: 0.1.0\n# doi: 10.1/2\n",
    "CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n### Added\n\n- Much.\n",
}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A tree with the places of the version."""
    (tmp_path / "equivlib").mkdir()
    for name, text in PLACES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(release, "ROOT", tmp_path)
    return tmp_path


def test_a_version_is_written_into_all_its_places(tree):
    release.prepare("0.1.0", "2026-01-31")
    assert release.version() == "0.1.0"
    assert [p for p in release.problems("v0.1.0") if not p.startswith("_build/")] == []
    citation = yaml.safe_load((tree / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == "0.1.0"
    assert str(citation["date-released"]) == "2026-01-31"
    text = (tree / "CHANGELOG.md").read_text("utf-8")
    assert "## Unreleased\n\n## 0.1.0 - 2026-01-31\n\n### Added\n\n- Much." in text
    news = text.replace("## Unreleased\n", "## Unreleased\n\n- More.\n")
    (tree / "CHANGELOG.md").write_text(news, encoding="utf-8")
    release.prepare("0.2.0", "2026-02-28")
    assert release.version() == "0.2.0"
    assert (tree / "CITATION.cff").read_text("utf-8").count("date-released") == 1
    assert "- More." in release.notes("v0.2.0")
    assert "- Much." not in release.notes("v0.2.0")


@pytest.mark.parametrize("number", ["1.0", "v1.0.0", "", "1.0.0rc1", "0.1.0", "0.0.9"])
def test_a_number_that_cannot_be_released_changes_nothing(tree, number):
    release.prepare("0.1.0", "2026-01-31")
    text = (tree / "CHANGELOG.md").read_text("utf-8")
    (tree / "CHANGELOG.md").write_text(text.replace("Unreleased\n", "Unreleased\n\n- More.\n"))
    before = [(tree / name).read_bytes() for name in PLACES]
    with pytest.raises(ValueError, match="NEXT"):
        release.prepare(number, "2026-02-28")
    assert [(tree / name).read_bytes() for name in PLACES] == before


def test_a_release_without_news_is_refused(tree):
    release.prepare("0.1.0", "2026-01-31")
    with pytest.raises(ValueError, match="under Unreleased"):
        release.prepare("0.2.0", "2026-02-28")


def test_the_changelog_and_the_places_are_ready_for_a_release(tmp_path, monkeypatch):
    """What ``make prepare`` would do with the files as they are and some news, on a copy."""
    (tmp_path / "equivlib").mkdir()
    for name in PLACES:
        shutil.copy(ROOT / name, tmp_path / name)
    told = (ROOT / "CHANGELOG.md").read_text("utf-8")
    told = told.replace(release.UNRELEASED, f"{release.UNRELEASED}\n- Something.\n", 1)
    (tmp_path / "CHANGELOG.md").write_text(told, encoding="utf-8", newline="\n")
    monkeypatch.setattr(release, "ROOT", tmp_path)
    released = re.findall(r"^## (\d+)\.", (ROOT / "CHANGELOG.md").read_text("utf-8"), flags=re.M)
    number = f"{int(released[0]) + 1}.0.0" if released else equivlib.__version__
    release.prepare(number, "2026-01-31")
    assert [p for p in release.problems(f"v{number}") if not p.startswith("_build/")] == []
    assert len(release.notes(f"v{number}").splitlines()) > 1


def test_the_citation_has_a_place_for_a_doi():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^(?:# )?doi: 10\.\d{4,9}/\S+$", text, flags=re.M)


def test_the_job_that_may_write_issues_runs_nothing_of_the_tree():
    jobs = yaml.safe_load(WORKFLOWS["weekly"])["jobs"]
    (name,) = [name for name, job in jobs.items() if "permissions" in job]
    steps = jobs[name]["steps"]
    assert not any("checkout" in step.get("uses", "") for step in steps)
    commands = [step["run"] for step in steps if "run" in step]
    assert not any("python" in command or "make" in command for command in commands)


def test_every_weekly_command_is_one_of_make_or_a_tool():
    targets = set(re.search(r"^\.PHONY: (.+)$", MAKEFILE, flags=re.M)[1].split())
    jobs = yaml.safe_load(WORKFLOWS["weekly"])["jobs"]
    rows = jobs["dependencies"]["strategy"]["matrix"]["include"]
    assert {row["which"] for row in rows} == {"oldest", "newest"} <= targets
    tools = re.findall(r"tools/\w+\.py", WORKFLOWS["weekly"])
    assert tools
    assert all((ROOT / tool).is_file() for tool in tools)
