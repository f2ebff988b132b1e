"""Convert every ONNX file of a folder, and say what became of each.

python -m benchmarks.networks FOLDER [--json FILE]

Each file has a process of its own, with a limit of time and of memory (on Linux). What is done
there is what ``python -m equivlib inspect`` and ``convert`` do: read the file, count what its
perceptron takes, write it, compare the two files on random inputs with onnxruntime. Of several
outputs the first is taken; sizes that the file leaves open are set to one number.

===========  =======================================================================
outcome      meaning
===========  =======================================================================
converted    written and checked
refused      a reason is given, and the node
too large    the file, or the matrices, would be over the limits that ``convert`` has
over limits  stopped because of the limits of this measure
failed       the check failed, or anything else: always a defect
===========  =======================================================================

``benchmarks/listed.py`` says which files should convert. The same bytes count once.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import multiprocessing
import os
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from .listed import unlisted

OUTCOMES = ("converted", "refused", "too large", "over limits", "failed")

#: Processes begin as copies of one that has loaded the libraries.
PROCESSES = multiprocessing.get_context("forkserver")
LIBRARIES = ["equivlib.cli", "scipy.sparse.linalg", "onnx.reference", "onnxruntime"]

#: A process may wait for a processor so many times longer than it may use one.
PATIENCE = 20

#: What a process says that had no more memory.
NO_MEMORY = re.compile("MemoryError|Unable to allocate|bad_alloc|Failed to allocate memory")


# --- in the process of one file -----------------------------------------------------------------


def examine(path: Path, open_size: int, say: Callable[..., None]) -> None:
    """Tell stage by stage what becomes of a file."""
    from equivlib.convert import conversion_table
    from equivlib.convert.plan import network_dtype
    from equivlib.convolution.matrix import MAX_BYTES
    from equivlib.interop.onnx import load

    options = classify(path, open_size, say)
    try:
        net = load(path, **options)
        say(read=True)
        total = conversion_table(net).total
    except (ValueError, OSError) as error:
        say(**refused(str(error)))
        return
    written = total.dense * network_dtype(net).itemsize
    say(layers=total.depth, stored=total.stored, bytes=written)
    if written > 2**31 or total.nbytes > MAX_BYTES:
        say(outcome="too large", reason=f"{written} bytes dense, {total.nbytes} sparse")
        return
    del net
    convert(path, options, say)


def classify(path: Path, open_size: int, say: Callable[..., None]) -> dict[str, Any]:
    """Tell whether a file is listed; return the options with which it is read."""
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    try:
        message = ModelProto.FromString(path.read_bytes())
    except DecodeError:
        say(listed=False, unlisted="not an ONNX file")
        return {}
    why = unlisted(message)
    say(listed=why is None, unlisted=why)
    return chosen(message, open_size)


def convert(path: Path, options: dict[str, Any], say: Callable[..., None]) -> None:
    """Run the command on a file that fits."""
    from equivlib.cli import main

    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        arguments = ["convert", str(path), str(Path(folder) / "mlp.onnx"), "--report", str(report)]
        if "input_shape" in options:
            arguments += ["--input-shape", ",".join(map(str, options["input_shape"]))]
        if "output" in options:
            arguments += ["--output", options["output"]]
        with contextlib.redirect_stdout(sys.stderr):
            code = main(arguments)
        facts = json.loads(report.read_text(encoding="utf-8"))
    if code == 0:
        say(outcome="converted", check=facts["check"])
    elif code == 2:
        say(**refused(facts["error"]))
    else:
        say(outcome="failed", reason=facts["error"])


def refused(reason: str) -> dict[str, str]:
    """Return the outcome of a file that was not converted, for a reason that was told."""
    if NO_MEMORY.search(reason):
        return {"outcome": "over limits", "reason": "memory"}
    return {"outcome": "refused", "reason": reason}


def chosen(message: Any, open_size: int) -> dict[str, Any]:
    """Return which output of a model is read, and the shape of its input where that is open."""
    options: dict[str, Any] = {}
    if len(message.graph.output) > 1:
        options["output"] = message.graph.output[0].name
    stored = {tensor.name for tensor in message.graph.initializer}
    free = [entry for entry in message.graph.input if entry.name not in stored]
    if len(free) == 1:
        sizes = [dim.dim_value for dim in free[0].type.tensor_type.shape.dim][1:]
        if sizes and min(sizes) < 1:
            options["input_shape"] = tuple(n if n > 0 else open_size for n in sizes)
    return options


def run(path: Path, limits: tuple[float, float], open_size: int, said: Any, errors: str) -> None:
    """Examine one file within the limits of seconds and bytes; send what is found."""
    seconds, size = (int(limit) for limit in limits)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    with Path(errors).open("wb", 0) as file:
        os.dup2(file.fileno(), 1)  # so what other libraries print goes there too
        os.dup2(file.fileno(), 2)

    def say(**facts: Any) -> None:
        said.send({k: v[:1000] if isinstance(v, str) else v for k, v in facts.items()})

    try:
        examine(path, open_size, say)
    except MemoryError:
        say(outcome="over limits", reason="memory")
    except Exception as error:
        say(outcome="failed", reason=f"{type(error).__name__}: {error}")


# --- in the first process -----------------------------------------------------------------------


def measured(path: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what becomes of a file in a process of its own."""
    listening, said = PROCESSES.Pipe(duplex=False)
    limits = (arguments.seconds, arguments.gigabytes * 2**30)
    facts: dict[str, Any] = {"listed": False, "read": False}
    start = time.monotonic()
    with tempfile.NamedTemporaryFile() as errors:
        given = (path.resolve(), limits, arguments.open_size, said, errors.name)
        process = PROCESSES.Process(target=run, args=given)
        process.start()
        said.close()
        process.join(PATIENCE * arguments.seconds)
        if process.is_alive():
            process.kill()
            process.join()
        with contextlib.suppress(EOFError):
            while True:
                facts |= listening.recv()
        if "outcome" not in facts:
            facts |= ended(process.exitcode or 0, errors.read().decode("utf-8", "replace"))
    return {**facts, "seconds": round(time.monotonic() - start, 1)}


def ended(code: int, errors: str) -> dict[str, str]:
    """Return the outcome of a process that said none."""
    if code in (-9, -24):  # SIGKILL, SIGXCPU
        return {"outcome": "over limits", "reason": "time"}
    if NO_MEMORY.search(errors):
        return {"outcome": "over limits", "reason": "memory"}
    last = errors.strip().splitlines()[-1:] or [""]
    return {"outcome": "failed", "reason": f"ended with {code}: {last[0]}"}


def files(folder: Path) -> list[Path]:
    """Return the files of a folder, small ones first, each content once."""
    found: dict[bytes, Path] = {}
    for path in sorted(folder.rglob("*.onnx")):
        if path.is_file():
            with path.open("rb") as file:
                found.setdefault(hashlib.file_digest(file, "sha256").digest(), path)
    return sorted(found.values(), key=lambda path: (path.stat().st_size, path))


def short(reason: str) -> str:
    """Return a reason without the names of the file and of its values."""
    reason = re.sub(r"^.*?\.onnx: ", "", reason)
    reason = re.sub(r"node '.*?' \((\w+)\)", r"\1", reason)
    reason = re.sub(r"; (output=|supported are).*", "", reason)
    return re.sub(r"'[^']*'", "'…'", re.sub(r"\d[\d,]*", "n", reason))[:110]


def row(name: str, found: Sequence[dict[str, Any]]) -> str:
    """Return a line of the table."""
    outcomes = Counter(facts["outcome"] for facts in found)
    listed = [facts for facts in found if facts["listed"]]
    read = [facts for facts in listed if facts["read"]]
    fits = [facts for facts in read if facts["outcome"] != "too large"]
    done = sum(facts["outcome"] == "converted" for facts in fits)
    cells = [name, len(found), *(outcomes[kind] for kind in OUTCOMES)]
    cells += [len(listed), len(read), len(fits), done]
    return "| " + " | ".join(map(str, cells)) + " |"


def table(found: dict[str, dict[str, Any]]) -> Iterable[str]:
    """Return the lines of the table, a row for each folder in the folder, and the reasons."""
    heads = ["folder", "files", *OUTCOMES, "listed", "of these read", "that fit", "and converted"]
    yield "| " + " | ".join(heads) + " |"
    yield "| --- |" + " ---: |" * (len(heads) - 1)
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, facts in found.items():
        groups.setdefault(Path(name).parts[0] if "/" in name else ".", []).append(facts)
    for name in sorted(groups):
        yield row(name, groups[name])
    yield row("all", list(found.values()))
    for title, listed in (("listed", True), ("other", False)):
        reasons = Counter(
            f"{facts['outcome']}: {short(facts.get('reason', ''))}"
            for facts in found.values()
            if facts["listed"] == listed and facts["outcome"] != "converted"
        )
        if reasons:
            yield f"\nWhy {title} files did not convert:\n"
            yield from (f"{count:>5}  {reason}" for reason, count in reasons.most_common())


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the files of a folder; the number is the exit code: 1 if any failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.networks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument("--seconds", type=float, default=60, help="of a processor, a file")
    parser.add_argument("--gigabytes", type=float, default=3, help="of memory, a file")
    parser.add_argument("--open-size", type=int, default=32, help="for sizes that are open")
    parser.add_argument("--json", metavar="FILE", type=Path, help="what became of each file")
    arguments = parser.parse_args(argv)
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder} is not a folder")
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    PROCESSES.set_forkserver_preload(LIBRARIES)
    found: dict[str, dict[str, Any]] = {}
    paths = files(arguments.folder)
    for i, path in enumerate(paths, start=1):
        name = path.relative_to(arguments.folder).as_posix()
        facts = found[name] = measured(path, arguments)
        told = " ".join(str(facts.get("reason", "")).split())[:160]
        print(f"[{i}/{len(paths)}] {name}: {facts['outcome']} {told}", file=sys.stderr, flush=True)
        if arguments.json is not None:
            arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print("\n".join(table(found)))
    return int(any(facts["outcome"] == "failed" for facts in found.values()))


if __name__ == "__main__":
    raise SystemExit(main())
