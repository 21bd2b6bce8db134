"""A headless Chromium, driven by its DevTools protocol.

The program is the one that `KV_CHROMIUM` names. Why not a framework: they bring a browser of their own, which is
several times what is used here: open a page, press keys, evaluate, look at what was asked of whom.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from kv_server import PATIENCE_SECONDS, environment, program

FLAGS = [
    "--headless",
    "--remote-debugging-port=0",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-default-browser-check",
    "--no-first-run",
]

# The codes that a page sees for keys that write nothing.
CODES = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowUp": 38, "ArrowDown": 40}


class Tab:
    """A page that is open, and everything that it has asked for and complained of."""

    def __init__(self, connection: ClientConnection, numbers: Iterator[int], session: str) -> None:
        self.connection = connection
        self.numbers = numbers
        self.session = session
        self.credentials: tuple[str, str] | None = None
        self.urls: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Calls a method of the protocol, and notes what happens until it answers."""
        number = self._send(method, parameters)
        while True:
            message = json.loads(self.connection.recv(PATIENCE_SECONDS))
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            if message.get("sessionId") == self.session:
                self._note(message.get("method"), message.get("params", {}))

    def _send(self, method: str, parameters: dict[str, Any]) -> int:
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters, "sessionId": self.session}
        self.connection.send(json.dumps(message))
        return number

    def _note(self, method: str | None, about: dict[str, Any]) -> None:
        match method:
            case "Network.requestWillBeSent":
                self.urls.append(about["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(about["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if about["type"] in ("error", "warning", "assert"):
                self.complaints.append(str(about["args"]))
            case "Log.entryAdded" if about["entry"]["level"] in ("error", "warning"):
                self.complaints.append(about["entry"]["text"])
            case "Fetch.authRequired":
                user, password = self.credentials or ("", "")
                answer = {"response": "ProvideCredentials", "username": user, "password": password}
                about = {"requestId": about["requestId"], "authChallengeResponse": answer}
                self._send("Fetch.continueWithAuth", about)
            case "Fetch.requestPaused":
                self._send("Fetch.continueRequest", {"requestId": about["requestId"]})

    def log_in(self, user: str, password: str) -> None:
        """Types these into the browser's question for a password, whenever it comes."""
        self.credentials = (user, password)
        self.call("Fetch.enable", handleAuthRequests=True)

    def open(self, url: str) -> None:
        """Goes to a page."""
        self.call("Page.navigate", url=url)
        self.wait_until(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url)})")

    def go_offline(self, is_offline: bool) -> None:
        """Cuts the network, or joins it again."""
        conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.call("Network.emulateNetworkConditions", offline=is_offline, **conditions)

    def look(self, width: int, height: int = 1400, scheme: str = "light") -> None:
        """The size of the window, and the colours that the system asks for."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, f"{expression}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def wait_until(self, expression: str) -> Any:
        """Waits until an expression is true."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (value := self.evaluate(expression)):
            if time.monotonic() > deadline:
                text = self.evaluate("document.body.innerText")
                raise AssertionError(f"{expression} never came true. {self.complaints}\n{text}")
            time.sleep(0.02)
        return value

    def text(self, selector: str) -> str:
        """What an element shows."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def press(self, key: str) -> None:
        """Presses a key and lets it go."""
        key_code = CODES.get(key, ord(key[0].upper()))
        about = {"key": key, "code": key, "windowsVirtualKeyCode": key_code}
        written = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        self.call("Input.dispatchKeyEvent", type="keyDown", **about, **({"text": written} if written else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def type(self, text: str) -> None:
        """Writes at the cursor."""
        self.call("Input.insertText", text=text)

    def screenshot(self) -> bytes:
        """The whole page as a PNG."""
        height = self.evaluate("Math.ceil(document.documentElement.getBoundingClientRect().height)")
        width = self.evaluate("innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        return base64.b64decode(self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"])


class Browser:
    """A browser that runs."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        # Of all tabs, since late answers of one come while another is asked.
        self.numbers = itertools.count(1)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self.numbers)
        self.connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.connection.recv(PATIENCE_SECONDS))
            if message.get("id") == number:
                return message["result"]

    @contextmanager
    def tab(self) -> Iterator[Tab]:
        """A page with nothing in it, without passwords of others."""
        context = self._call("Target.createBrowserContext")["browserContextId"]
        target = self._call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        try:
            yield Tab(self.connection, self.numbers, session)
        finally:
            self._call("Target.disposeBrowserContext", browserContextId=context)


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a profile that goes with it."""
    with tempfile.TemporaryDirectory(prefix="kv-browser-", ignore_cleanup_errors=True) as profile:
        # Its own sandbox does not run as root, which only a container or a machine of tests is.
        flags = FLAGS + (["--no-sandbox"] if os.geteuid() == 0 else [])
        command = [program("KV_CHROMIUM"), *flags, f"--user-data-dir={profile}", "about:blank"]
        # What it says goes to a file, since a pipe that nobody reads stops it in the end.
        log = Path(profile, "said")
        with log.open("w") as said:
            # The program may be a script around the browser, so all of them are one group, which ends together.
            process = subprocess.Popen(
                command, stdout=said, stderr=said, env=environment(HOME=profile), start_new_session=True
            )
        try:
            found = None
            for _ in range(20 * PATIENCE_SECONDS):
                ended = process.poll()
                found = re.search(r"DevTools listening on (ws://\S+)\n", log.read_text(errors="replace"))
                if found or ended is not None:
                    break
                time.sleep(0.05)
            assert found, f"Chromium ended with {process.poll()}: {log.read_text(errors='replace')}"
            with connect(found[1], max_size=None, open_timeout=PATIENCE_SECONDS, ping_interval=None) as connection:
                yield Browser(connection)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(PATIENCE_SECONDS)
