"""The page of a re-run: what it shows, hostile text, and how a real browser takes it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest

from pgaudit import policy
from pgaudit.output.page.reproduction import page
from pgaudit.reproduce.curves import Curve, Overlay, TrainLoss
from pgaudit.reproduce.outcome import Reproduction
from pgaudit.reproduce.report import report_of
from pgaudit.sandbox import Backend
from tests.reproduce.support import write_folder_with_curves
from tests.reproduce.test_outcome import CPU, H100, SEEDS, collected, each, reproduction
from tests.support import run_pgaudit

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
HOSTILE = (
    "</title></style></svg><script>alert(1)</script><img src='http://HOST/img' onerror=alert(1)>"
    "\"'><link rel=stylesheet href=http://HOST/css>{{ 7 * 6 }}\x1b[2J\u202e\udcff<!-- ]]> &amp; \u2028 "
)


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """The page and the document of a real re-run whose logs lie lower from step 30 on."""
    folder = tmp_path_factory.mktemp("parted")
    write_folder_with_curves(folder / "submission", apart_from=30)
    done = run_pgaudit(
        "reproduce", folder / "submission", "--runs", folder / "runs", "--seeds", "42,1337", "--gpus", "0",
        "--format", "json", "--html", folder / "page.html",
    )  # fmt: skip
    assert done.out, done.err
    document = json.loads(done.out)["submissions"][0]["reproduction"]
    return (folder / "page.html").read_text("utf-8"), document


def html_of(run: Reproduction) -> str:
    edition = policy.load().edition_at(None)
    return page(run, report_of(run, collected(), edition, scan=False), edition, "pgaudit reproduce")


def parse(text: str) -> Element:
    """As browsers do; anything that the standard calls an error is one here."""
    root: Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    return root


def texts(root: Element, tag: str) -> list[str]:
    return ["".join(found.itertext()) for found in root.iter() if local(found) == tag]


def local(found: Element) -> str:
    return str(found.tag).rpartition("}")[2]


def hostile_run(host: str) -> Reproduction:
    text = HOSTILE.replace("HOST", host)
    run = reproduction(CPU, each(explanation=text, model_file=text, output=text))
    curve = Curve((TrainLoss(1, 2.5, None), TrainLoss(2, 2.4, None)))
    seeds = tuple(replace(seed, curve=curve) for seed in run.seeds)
    overlays = tuple(Overlay(seed.seed, text, curve, ((1, 0.0), (2, 0.0)), None, None, None) for seed in run.seeds)
    checks = tuple(replace(check, claimed=text, measured=text, because=text, source=text) for check in run.checks)
    plan = replace(run.plan, folder=text, command_source=text, arguments=(text,))
    return replace(
        run, plan=plan, seeds=seeds, overlays=overlays, checks=checks, remarks=(text,), sandbox=text, stopped=text
    )


def test_curves_that_part_are_marked_and_said(sandbox: Backend, parted: tuple[str, dict[str, Any]]) -> None:
    text, document = parted
    root = parse(text)
    assert document["overlays"][0]["train"]["step"] == 30
    said = [words for words in texts(root, "p") if words.startswith("The training losses part at step 30: ")]
    assert len(said) == 2
    assert "on average 0.1500 nats per token above the log" in said[0]
    assert texts(root, "text").count("part at step 30") == 4  # two seeds, each wide and narrow
    described = [found for found in root.iter() if local(found) == "svg" and found.get("role") == "img"]
    assert len(described) == 2 * 5
    named = {found.get("id") for found in root.iter()}
    assert all(set((found.get("aria-labelledby") or "").split()) <= named for found in described)


def test_every_number_of_the_pictures_is_in_the_document(sandbox: Backend, parted: tuple[str, dict[str, Any]]) -> None:
    _, document = parted
    (seed, _), (overlay, _) = document["seeds"], document["overlays"]
    assert len(seed["curve"]["train"]) == len(overlay["submitted"]["train"]) == 60
    last = seed["curve"]["train"][-1]
    assert last["step"] == 60
    assert 0 < last["reported"] < last["observed"]
    assert overlay["differences"][-1]["loss"] == pytest.approx(0.15)
    assert document["equivalence"]["tests_interval"]


def test_the_page_is_the_same_after_a_resume(sandbox: Backend, tmp_path: Path) -> None:
    write_folder_with_curves(tmp_path / "submission")
    options = ("reproduce", tmp_path / "submission", "--runs", tmp_path / "runs", "--seeds", "42", "--gpus", "0")
    run_pgaudit(*options, "--resume", "--html", tmp_path / "none.html")
    assert not (tmp_path / "none.html").exists()  # nothing to go on with
    run_pgaudit(*options, "--html", tmp_path / "a.html")
    run_pgaudit(*options, "--html", tmp_path / "b.html", "--resume")
    first, again = ((tmp_path / name).read_text("utf-8") for name in ("a.html", "b.html"))
    assert "The training losses are the same at all 60 common steps." in first
    assert again.replace("b.html --resume", "a.html") == first


def test_without_logs_seeds_or_a_comparison_there_is_still_a_page() -> None:
    bare = html_of(reproduction(H100, ()))
    assert "No seed was run." in "".join(parse(bare).itertext())
    run = reproduction(CPU, each(val_loss=None, training=None, evaluation=None, first_step=None, model_bytes=None))
    overlays = tuple(Overlay(seed.seed, "", Curve(), (), None, None, None) for seed in SEEDS)
    shown = "".join(parse(html_of(replace(run, overlays=overlays, enclosed=False))).itertext())
    assert "ships no log of seed 42" in shown
    assert "not seen" in shown
    assert "was not enclosed" in shown


def test_hostile_text_is_text() -> None:
    text = html_of(hostile_run("evil.example"))
    root = parse(text)
    tags = {local(found) for found in root.iter()}
    assert not tags & {"script", "img", "link", "iframe", "object", "base", "form", "a"}
    assert not [name for found in root.iter() for name in found.attrib if name.startswith("on") or name == "style"]
    assert "{{ 7 * 6 }}" in "".join(root.itertext())
    assert not re.search("[\x00-\x08\x0b-\x1f\u2028\u202e\udc80-\udfff]", text)
    assert (
        len(texts(root, "title")) == sum(1 for found in root.iter() if local(found) == "svg" and found.get("role")) + 1
    )


def test_the_style_is_allowed_and_nothing_else() -> None:
    root = parse(html_of(reproduction(H100)))
    (allowed,) = [found.get("content") for found in root.iter("meta") if found.get("http-equiv")]
    assert allowed is not None
    assert allowed.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in allowed


@pytest.mark.parametrize("options", [("--plan", "--html", "page.html"), ("--html", "/no/such/folder/page.html")])
def test_a_page_that_cannot_be_written_is_refused_before_anything_runs(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    done = run_pgaudit("reproduce", tmp_path, "--runs", tmp_path / "runs", *options)
    assert done.status == 2
    assert "--html" in done.err
    assert not (tmp_path / "runs").exists()


FRAME = """<!doctype html><link rel=icon href="data:,"><iframe src=/page.html width=WIDTH height=900></iframe>
<script>onload = () => { const root = frames[0].document.documentElement;
document.body.append(`wide ${root.scrollWidth} ${frames[0].getComputedStyle(frames[0].document.querySelector("svg.wide")).display}`) }</script>"""


@contextmanager
def served(pages: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """A host on this machine with these pages, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = pages.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((body or "").encode())

        def log_request(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def browse(url: str, profile: Path) -> tuple[str, list[str]]:
    """What a browser makes of a page, and what it writes to its console: errors, violations of the page's policy."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
            "--disable-dev-shm-usage", "--window-size=1600,1000", f"--user-data-dir={profile}",
            "--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom", url,
        ],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@needs_browser
@pytest.mark.parametrize("width, form", [(400, "none"), (1400, "block")])
def test_a_browser_shows_it_at_a_width_and_asks_for_nothing(width: int, form: str, tmp_path: Path) -> None:
    pages: dict[str, str] = {"/": FRAME.replace("WIDTH", str(width))}
    with served(pages) as (host, asked):
        pages["/page.html"] = html_of(hostile_run(host))
        shown, console = browse(f"http://{host}/", tmp_path)
    assert console == []
    assert sorted(asked) == ["/", "/page.html"]
    measured = re.search(r"wide (\d+) (\w+)", shown)
    assert measured is not None
    assert int(measured[1]) <= width
    assert measured[2] == form


@needs_browser
def test_a_page_without_escaping_would_be_noticed(tmp_path: Path) -> None:
    pages: dict[str, str] = {}
    with served(pages) as (host, asked):
        pages["/"] = f"<!doctype html><link rel=icon href='data:,'><img src=http://{host}/img>"
        policed = html_of(reproduction(H100)).replace("<header>", f"<header><img src=http://{host}/policed>")
        pages["/policed.html"] = policed
        browse(f"http://{host}/", tmp_path)
        _, console = browse(f"http://{host}/policed.html", tmp_path)
    assert "/img" in asked
    assert "/policed" not in asked
    assert any("Content Security Policy" in line for line in console)
