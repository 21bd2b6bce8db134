"""The live page in a real browser: what it shows, in both schemes and any width, by the keyboard, and on failure.

With `KV_SCREENSHOTS` the pictures of the documentation are taken anew into that directory (`cargo xtask page`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from browser import Browser, Tab, browser
from kv_server import Server, running

IS_LIVE = "document.querySelector('#state').innerText === 'live'"
HAS_FIGURES = "document.querySelector('#throughput').innerText !== '–'"
FOCUSED = "document.activeElement.id || document.activeElement.innerText || document.activeElement.tagName"

# The least ratio of the luminances of a text and of what is behind it, and the texts for which it is less.
CONTRAST = """
(() => {
  const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.body.querySelectorAll('*')) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
    if (!hasText || element.checkVisibility() === false) continue;
    const [a, b] = [luminance(numbers(getComputedStyle(element).color)), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName} ${element.innerText}: ${ratio.toFixed(2)}`);
  }
  return poor;
})()
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@contextmanager
def page(chromium: Browser, server: Server, width: int = 1200, scheme: str = "light") -> Iterator[Tab]:
    """The page of a server. It must complain of nothing and ask nobody else."""
    with chromium.tab() as tab:
        tab.look(width, scheme=scheme)
        tab.open(server.http)
        tab.wait_until(IS_LIVE)
        yield tab
        assert tab.complaints == []
        assert tab.urls and all(url.startswith((server.http, "data:")) for url in tab.urls), tab.urls


def fill(client: redis.Redis) -> None:
    """Keys as an application has them, some with deadlines."""
    for number in range(120):
        client.set(f"session:{number:04}", '{"user": %d, "cart": ["lamp", "chair"]}' % number, ex=600 + 40 * number)
    for number in range(40):
        client.set(f"user:{number}", f"Ada {number}")
    client.set("café:menu", "crème brûlée\nmille-feuille", px=9_000_000)
    client.set(b"\xff\x00raw", bytes(range(200)), ex=500_000)


@contextmanager
def load(server: Server) -> Iterator[None]:
    """A little traffic, for as long as the block takes."""
    done = threading.Event()

    def work() -> None:
        with redis.Redis(port=server.resp) as client:
            turn = 0
            while not done.is_set():
                turn += 1
                with client.pipeline(transaction=False) as pipe:
                    for number in range(20 + turn % 30):
                        pipe.get(f"user:{(turn * 7 + number) % 48}")
                    pipe.incr("visits").execute()
                done.wait(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.fixture
def filled(server: Server) -> Server:
    with redis.Redis(port=server.resp) as client:
        fill(client)
    return server


def test_figures_move_under_load(chromium: Browser, filled: Server) -> None:
    with page(chromium, filled) as tab, load(filled):
        tab.wait_until("Number(document.querySelector('#throughput').innerText.replace(',', '')) > 0")
        tab.wait_until("document.querySelector('#line').getAttribute('points').split(' ').length >= 2")
        tab.wait_until("document.querySelector('#hits').innerText.endsWith('%')")
        tab.wait_until("document.querySelectorAll('#deadlines tbody tr').length === 9")
        cells = "[...document.querySelectorAll('#deadlines tbody tr')].map((row) => [...row.cells].map((c) => c.innerText))"
        rows = {name: int(keys) for name, keys, *_ in tab.evaluate(cells)}
        assert rows["never"] >= 40 and rows["up to 1 h"] > 50, rows
        assert int(tab.text("#keys").replace(",", "")) >= 162
        assert "with a deadline" in tab.text("#keys-more") and "up for" in tab.text("#clients-more")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 700, 1200])
def test_it_fits_and_can_be_read(chromium: Browser, filled: Server, width: int, scheme: str) -> None:
    with page(chromium, filled, width, scheme) as tab:
        tab.wait_until("document.querySelectorAll('#list li').length === 50")
        tab.evaluate("document.querySelector('#list button').click()")
        tab.wait_until("document.querySelector('#value pre') !== null")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
        assert tab.evaluate(CONTRAST) == []
        dark = tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 22, 21)"
        assert dark == (scheme == "dark")


def test_everything_is_reached_by_the_keyboard(chromium: Browser, filled: Server) -> None:
    with page(chromium, filled) as tab:
        tab.wait_until("document.querySelectorAll('#list li').length === 50")
        met = []
        for _ in range(7):
            tab.press("Tab")
            met.append(tab.evaluate(FOCUSED).split("\n")[0])
            style = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert style == "solid", f"the focus on {met[-1]} is not seen"
        assert met == ["metrics", "interface", "prefix", "Show", "café:menu", "more", "value"]

        tab.press("/")
        assert tab.evaluate(FOCUSED) == "prefix"
        tab.type("user:1")
        tab.press("Enter")
        tab.wait_until("document.querySelector('#found').innerText === '11 keys shown'")
        tab.press("ArrowDown")
        assert tab.evaluate(FOCUSED).split("\n")[0] == "user:1"
        for key, name in [("ArrowDown", "user:10"), ("End", "user:19"), ("ArrowDown", "user:19"), ("Home", "user:1")]:
            tab.press(key)
            assert tab.evaluate(FOCUSED).split("\n")[0] == name
        tab.press("Enter")
        tab.wait_until("document.querySelector('#value pre')?.innerText === 'Ada 1'")
        tab.press("Escape")
        assert tab.evaluate(FOCUSED) == "prefix"
        tab.press("Escape")
        tab.wait_until("document.querySelectorAll('#list li').length === 50")
        assert tab.evaluate("document.querySelector('#prefix').value") == ""


def test_more_keys_come_on_request(chromium: Browser, filled: Server) -> None:
    with page(chromium, filled) as tab:
        tab.wait_until("document.querySelectorAll('#list li').length === 50")
        tab.evaluate("document.querySelector('#more').click()")
        tab.wait_until("document.querySelectorAll('#list li').length === 100")
        names = tab.evaluate("[...document.querySelectorAll('#list span:first-child')].map((name) => name.textContent)")
        assert len(set(names)) == 100 and tab.evaluate(FOCUSED).split("\n")[0] == names[50]


def test_nothing_that_is_stored_becomes_part_of_the_page(chromium: Browser, server: Server) -> None:
    hostile = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    with redis.Redis(port=server.resp) as client:
        client.set(hostile, hostile)
    with page(chromium, server) as tab:
        tab.wait_until("document.querySelectorAll('#list li').length === 1")
        tab.evaluate("document.querySelector('#list button').click()")
        tab.wait_until("document.querySelector('#value pre') !== null")
        assert tab.text("#value pre") == hostile and tab.text("#value h3") == hostile
        assert tab.evaluate("document.title") == "kv-server"
        assert tab.evaluate("document.querySelectorAll('img, #main script').length") == 0


def test_values_that_are_no_text_long_or_empty(chromium: Browser, server: Server) -> None:
    with redis.Redis(port=server.resp) as client:
        client.mset({"1-raw": bytes(range(65, 75)) + b"\xff\x00", "2-long": "ä" * 50_000, "3-empty": ""})
    with page(chromium, server) as tab:
        tab.wait_until("document.querySelectorAll('#list li').length === 3")
        choose = "document.querySelectorAll('#list button')[{}].click()"
        tab.evaluate(choose.format(0))
        shown = tab.wait_until("document.querySelector('#value pre')?.innerText")
        assert shown == "000000  41 42 43 44 45 46 47 48 49 4a ff 00              ABCDEFGHIJ··"
        tab.evaluate(choose.format(1))
        tab.wait_until("document.querySelector('#value').innerText.includes('The first 64.0 KiB are shown.')")
        assert set(tab.text("#value pre")) == {"ä"}
        tab.evaluate(choose.format(2))
        tab.wait_until("document.querySelector('#value').innerText.includes('The value is empty.')")


def test_an_empty_store_says_what_to_do(chromium: Browser, server: Server) -> None:
    with page(chromium, server) as tab:
        tab.wait_until("document.querySelector('#found').innerText.startsWith('The store is empty. Set a key')")
        tab.press("/")
        tab.type("nothing")
        tab.press("Enter")
        tab.wait_until("document.querySelector('#found').innerText === 'No key begins like this.'")


def test_a_key_that_is_gone_is_told(chromium: Browser, server: Server) -> None:
    with redis.Redis(port=server.resp) as client, chromium.tab() as tab:
        client.set("short", "x")
        tab.look(1200)
        tab.open(server.http)
        tab.wait_until("document.querySelectorAll('#list li').length === 1")
        client.delete("short")
        tab.evaluate("document.querySelector('#list button').click()")
        tab.wait_until("document.querySelector('#value').innerText.includes('No value to show: the key is absent')")


def test_a_server_that_does_not_answer_is_told_and_figures_come_back(chromium: Browser) -> None:
    with running(fronts=("resp", "http")) as server, chromium.tab() as tab:
        tab.look(1200)
        tab.open(server.http)
        tab.wait_until(IS_LIVE)
        tab.go_offline(True)
        tab.wait_until("document.querySelector('#state').innerText === 'the server does not answer; trying again'")
        assert tab.evaluate("document.querySelector('#main').className") == "stale"
        assert tab.evaluate(CONTRAST) == []
        tab.go_offline(False)
        tab.wait_until(IS_LIVE)


def test_it_works_behind_a_password(chromium: Browser) -> None:
    with running(KV_PASSWORD="hunter2") as server, chromium.tab() as tab:
        with redis.Redis(port=server.resp, password="hunter2") as client:
            client.set("a", "1")
        tab.look(1200)
        tab.log_in("default", "hunter2")
        tab.open(server.http)
        tab.wait_until(IS_LIVE)
        tab.wait_until("document.querySelectorAll('#list li').length === 1")
        tab.evaluate("document.querySelector('#list button').click()")
        tab.wait_until("document.querySelector('#value pre')?.innerText === '1'")


@pytest.mark.skipif("KV_SCREENSHOTS" not in os.environ, reason="only `cargo xtask page` takes pictures")
@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [("page-light", 1200, "light"), ("page-dark", 1200, "dark"), ("page-narrow", 390, "light")],
)
def test_pictures(chromium: Browser, filled: Server, name: str, width: int, scheme: str) -> None:
    with page(chromium, filled, width, scheme) as tab, load(filled):
        tab.wait_until("document.querySelector('#line').getAttribute('points').split(' ').length >= 45")
        tab.evaluate("document.querySelectorAll('#list button')[4].click()")
        tab.wait_until("document.querySelector('#value pre') !== null")
        Path(os.environ["KV_SCREENSHOTS"], f"{name}.png").write_bytes(tab.screenshot())
