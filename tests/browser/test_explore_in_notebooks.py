"""The linked picture in JupyterLab, where runners meet it, and in an exported notebook."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from equivlib import explore

STARTS_WITHIN = 60  # seconds


@pytest.fixture(scope="module")
def notebook():
    """A notebook that was run: one cell with the picture as its output."""
    shown = explore([[[1, 2, 3]]], (1, 5))
    data = {
        "text/html": shown._repr_html_(),
        "image/svg+xml": shown._repr_svg_(),
        "text/plain": repr(shown),
    }
    output = new_output("execute_result", data=data, execution_count=1)
    cell = new_code_cell("explore([[[1, 2, 3]]], (1, 5))", execution_count=1, outputs=[output])
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=[cell], metadata={"kernelspec": kernel})


@pytest.fixture(scope="module")
def lab(notebook, tmp_path_factory):
    """The address of a JupyterLab on this machine that trusts the notebook."""
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
    folder = tmp_path_factory.mktemp("lab")
    places = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("DATA", "CONFIG", "RUNTIME")}
    environment = {**os.environ, **places}
    path = folder / "picture.ipynb"
    nbformat.write(notebook, path)
    jupyter = [sys.executable, "-m"]
    subprocess.run(
        [*jupyter, "jupyter", "trust", path], env=environment, check=True, capture_output=True
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *jupyter, "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        f"--ServerApp.root_dir={folder}", "--IdentityProvider.token=",
        "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    log = folder / "log"
    with log.open("w") as told:
        server = subprocess.Popen(command, env=environment, stdout=told, stderr=told)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(STARTS_WITHIN):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=1)
                break
            except (urllib.error.URLError, TimeoutError):
                time.sleep(1)
        else:
            pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")
        yield f"{address}/lab/tree/picture.ipynb"
    finally:
        server.terminate()
        server.wait(20)


def points(page):
    """Point at the second output and see its row light up."""
    page.locator("[data-panel=y] [data-at='1']").hover()
    lit = page.locator("[data-panel=W] .cell.on")
    assert {int(at) for at in lit.evaluate_all("all => all.map(c => c.dataset.at)")} == {6, 7, 8}
    assert "row 1 of W" in page.locator("p[role=status]").inner_text()


def test_it_works_in_jupyterlab(lab, browser):
    context = browser.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    foreign = []
    page.on("request", lambda request: foreign.append(request.url))
    page.goto(lab, wait_until="domcontentloaded")
    page.locator("[data-panel=y]").wait_for(timeout=STARTS_WITHIN * 1000)
    points(page)
    allowed = ("http://127.0.0.1", "data:", "blob:")
    assert [url for url in foreign if not url.startswith(allowed)] == []
    context.close()


def test_it_works_in_an_exported_notebook(notebook, browser, tmp_path):
    exporter = pytest.importorskip("nbconvert", reason="nbconvert is not installed").HTMLExporter()
    path = tmp_path / "picture.html"
    path.write_text(exporter.from_notebook_node(notebook)[0], encoding="utf-8")
    context = browser.new_context(reduced_motion="reduce")
    # The export itself asks for scripts of formulas elsewhere; the picture needs none of them.
    context.route("http*://**", lambda route: route.abort())
    page = context.new_page()
    page.goto(path.as_uri())
    points(page)
    context.close()
