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
from measures import answers_in_sight
from nbformat.v4 import new_code_cell, new_notebook, new_output

from equivlib import explore, explore_network
from equivlib.layers import Conv, Dense, Flatten, MaxPool, Network, ReLU

STARTS_WITHIN = 60  # seconds


@pytest.fixture(scope="module")
def notebook():
    """A notebook that was run: cells with the pictures of a layer and of a network as outputs."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cells = [ran(explore([[[1, 2, 3]]], (1, 5)), 1), ran(explore_network(NET), 2)]
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


NET = Network(
    [Conv([[[[1, 0], [2, -1]]]], [-1]), ReLU(), MaxPool(2), Flatten(), Dense([[1], [-1]])],
    (1, 4, 4),
)


def ran(shown, number):
    """Return the cell that has shown a picture."""
    data = {
        "text/html": shown._repr_html_(),
        "image/svg+xml": shown._repr_svg_(),
        "text/plain": repr(shown),
    }
    output = new_output("execute_result", data=data, execution_count=number)
    return new_code_cell("explore(...)", execution_count=number, outputs=[output])


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
    assert "row 1 of W" in page.locator("p[role=status]").first.inner_text()


def test_it_works_in_jupyterlab(lab, browser):
    context = browser.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    foreign = []
    page.on("request", lambda request: foreign.append(request.url))
    page.goto(lab, wait_until="domcontentloaded")
    page.locator("[data-panel=y]").wait_for(timeout=STARTS_WITHIN * 1000)
    points(page)
    last = page.locator("p[role=status]").last
    for panel in page.locator("[data-panel^=n]").all():
        panel.locator(".cell").last.hover()
        told = last.bounding_box()
        assert 0 <= told["y"] <= 900 - told["height"]
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


@pytest.mark.parametrize("viewport", [(1280, 800), (390, 844)], ids=["laptop", "phone"])
def test_the_answer_is_in_sight_in_an_exported_notebook(notebook, browser, tmp_path, viewport):
    exporter = pytest.importorskip("nbconvert", reason="nbconvert is not installed").HTMLExporter()
    path = tmp_path / "picture.html"
    only = new_notebook(cells=notebook.cells[1:], metadata=notebook.metadata)
    path.write_text(exporter.from_notebook_node(only)[0], encoding="utf-8")
    width, height = viewport
    context = browser.new_context(
        reduced_motion="reduce", viewport={"width": width, "height": height}
    )
    context.route("http*://**", lambda route: route.abort())
    page = context.new_page()
    page.goto(path.as_uri())
    answers_in_sight(page, page.locator("[data-panel]"))
    context.close()
