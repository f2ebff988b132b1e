"""What the passing of time can break: links that lead out of the book, packages with weaknesses."""

import doctest
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import audit
import links
import pytest
from conftest import ROOT

PAGE = b"<html><body><h2 id='there'>There</h2></body></html>"
ANSWERS = {
    "/good": (200, PAGE),
    "/moved": (301, b"/good"),
    "/gone": (404, b""),
    "/broken": (500, b""),
    "/unwilling": (403, b""),
    "/scripted": (200, b"<script></script>"),
    "/sitemap.xml": (200, b"<urlset><url><loc>BASEa.html</loc></url></urlset>"),
    "/a.html": (200, b"<a href='https://x.example/'></a><a href='BASEgood'></a><a href='b'></a>"),
    "/api/handles/10.1/known": (200, b"{}"),
}
ASKED = []


class Host(BaseHTTPRequestHandler):
    def do_GET(self):
        ASKED.append(self.path)
        code, body = ANSWERS.get(self.path, (404, b""))
        self.send_response(code)
        if code == 301:
            self.send_header("Location", body.decode())
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        base = f"http://127.0.0.1:{self.server.server_port}/"
        self.wfile.write(body.replace(b"BASE", base.encode()))

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        weak, sound = {"vulns": [{"id": "W-1"}]}, {}
        results = [weak if query["version"] == "1" else sound for query in asked]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"results": results}).encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def host():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        *(("/good", ""), ("/good#there", ""), ("/moved", ""), ("/moved#there", "")),
        *(("/unwilling", ""), ("/scripted#made-later", ""), ("/good#:~:text=There", "")),
        *(("/gone", "answers 404"), ("/broken", "answers 500"), ("/absent", "answers 404")),
        ("/good#absent", "has no place #absent"),
    ],
)
def test_a_link_is_good_or_its_fault_is_told(host, path, told):
    assert links.fault(host + path, pause=0) == told


def test_a_server_that_fails_is_asked_again(host):
    ASKED.clear()
    links.fault(host + "/broken", pause=0)
    links.fault(host + "/gone", pause=0)
    assert ASKED == ["/broken"] * links.TRIES + ["/gone"]


def test_a_host_that_is_not_there_is_named():
    assert "does not answer" in links.fault("http://127.0.0.1:9/", pause=0)


def test_a_doi_is_asked_for_and_not_followed(host, monkeypatch):
    monkeypatch.setattr(links, "REGISTERED", f"{host}/api/handles/")
    assert links.fault("https://doi.org/10.1/known", pause=0) == ""
    assert links.fault("https://doi.org/10.1/unknown", pause=0) == "answers 404"


def test_what_is_excluded_is_not_asked_for_and_every_exclusion_says_why():
    left = {"https://mybinder.org/v2/gh/a/b": ["p"], "https://github.com/a/b/issues/new?x": ["p"]}
    assert links.check(left, ask=lambda link: "was asked for") == []
    found = links.check({"https://a.example/": ["q", "p"]}, ask=lambda link: "answers 404")
    assert found == ["- https://a.example/ answers 404; on p, q"]
    assert all(len(why.split()) > 3 and re.compile(start) for start, why in links.EXCLUDED.items())


def test_pages_come_from_a_folder_or_from_the_published_book(host, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one.html").write_text("<a href='https://y.example'></a>", encoding="utf-8")
    ((name, text),) = links.pages(str(tmp_path))
    assert (name, links.outgoing(text)) == ("b/one.html", {"https://y.example"})
    ((name, text),) = links.pages(host)
    assert (name, links.outgoing(text, host)) == ("a.html", {"https://x.example/"})


@pytest.mark.parametrize("tool", [links, audit])
def test_the_examples_of_a_tool_hold(tool):
    assert doctest.testmod(tool).failed == 0


def test_an_empty_place_is_no_book(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["links.py", str(tmp_path)])
    with pytest.raises(SystemExit) as error:
        links.main()
    assert error.value.code == 2


def test_every_locked_package_is_asked_for():
    packages = audit.locked()
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text("utf-8"), flags=re.M)
    assert {name for registry, name, _ in packages if registry == "PyPI"} == set(pins)
    assert ("npm", "temml") in {package[:2] for package in packages}
    assert ("npm", "typescript") in {package[:2] for package in packages}


def test_a_weakness_is_named_unless_it_is_ignored(host, monkeypatch):
    packages = [("PyPI", "weak", "1"), ("PyPI", "strong", "2")]
    results = audit.ask(packages, host)
    assert audit.known(packages, results) == ["- weak 1 (PyPI): https://osv.dev/vulnerability/W-1"]
    monkeypatch.setitem(audit.IGNORED, "W-1", "the part is not used")
    assert audit.known(packages, results) == []


def test_an_audit_that_gets_no_answer_does_not_pass(monkeypatch, capsys):
    monkeypatch.setattr(audit, "ask", lambda packages: (_ for _ in ()).throw(OSError("no host")))
    assert audit.main() == 2
    assert "nothing is known" in capsys.readouterr().err
