"""A real browser: Debian's Chromium, headless, with nothing but the page."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # small in containers
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--allow-file-access-from-files",  # so that the frame below may be looked into
)
# Asks a page shown in a frame of some width what it came to be. The page itself runs no script.
_ASK = """<!doctype html><body style="margin:0"><script>
const frame = document.createElement("iframe");
frame.style = "border:0;width:%(width)dpx;height:900px";
frame.src = "%(page)s";
frame.onload = () => {
  const page = frame.contentDocument, root = page.documentElement;
  const said = {
    scrolls: root.scrollWidth, scripts: page.scripts.length, images: page.images.length, title: page.title,
    rects: page.querySelectorAll("svg rect").length, sections: [...page.querySelectorAll("section")].map(s => s.id),
    text: page.body.innerText, paper: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
    smallest: Math.min(...[...page.querySelectorAll("p, td, li, text")]
      .map(e => parseFloat(frame.contentWindow.getComputedStyle(e).fontSize))),
    tall: [...page.querySelectorAll("figure svg rect")].filter(r => r.getBoundingClientRect().height > 20).length,
  };
  document.body.innerHTML = "<pre id=said></pre>";
  document.getElementById("said").textContent = JSON.stringify(said);
};
document.body.append(frame);
</script>"""


class LaidOut(NamedTuple):
    """What a browser made of a page: how wide it is, its scripts and images, its text, colours, and drawings."""

    scrolls: int
    scripts: int
    images: int
    title: str
    rects: int
    sections: list[str]
    text: str
    paper: str
    smallest: float
    tall: int


def look(page: Path, folder: Path, width: int, *, dark: bool = False) -> LaidOut:
    """Show a page in so many pixels, and ask what it came to be."""
    asking = folder / f"ask{width}{dark}.html"
    asking.write_text(_ASK % {"width": width, "page": page.as_uri()})
    scheme = [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    out = _chromium(folder, "--dump-dom", "--virtual-time-budget=10000", *scheme, asking.as_uri())
    found = re.search(r'<pre id="said">(.*?)</pre>', out, re.DOTALL)
    assert found, out[-2000:]
    said: dict[str, Any] = json.loads(html.unescape(found[1]))
    return LaidOut(**said)


def sheets(page: Path, folder: Path) -> int:
    """How many sheets of paper a page is printed on."""
    printed = folder / "printed.pdf"
    _chromium(folder, "--no-pdf-header-footer", f"--print-to-pdf={printed}", page.as_uri())
    return len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes()))


def _chromium(folder: Path, *arguments: str) -> str:
    profile = folder / "profile"
    command = ["chromium", *_QUIET, f"--user-data-dir={profile}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
