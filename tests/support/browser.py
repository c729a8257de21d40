# SPDX-License-Identifier: Apache-2.0
"""A real Chromium without a window, told what to do over its DevTools pipe: no driver, no port."""
import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
_SECONDS = 120    # without a word from the browser
_KEYS = {"Tab": 9, "Enter": 13, "0": 48, "+": 187}


def _give(commands: int, answers: int) -> None:
    """Let the browser read its commands from descriptor 3 and answer on 4, whatever these are now."""
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (commands, answers)]
    for end, number in zip(ends, (3, 4), strict=True):
        os.dup2(end, number)


class Browser:
    """One page of one browser; a context manager. events: what the page did unasked, by DevTools' names."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._home = tempfile.TemporaryDirectory(prefix="chromium-")
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        self._processes, alive = os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
                 "--disable-background-networking", "--user-data-dir=" + self._home.name]
        self._process = subprocess.Popen(
            [CHROMIUM, *flags], pass_fds=(3, 4), preexec_fn=lambda: _give(to_browser, from_browser),
            stdin=subprocess.DEVNULL, stdout=alive, stderr=subprocess.DEVNULL, start_new_session=True)
        for end in (to_browser, from_browser, alive):
            os.close(end)
        self._pending, self._number, self._session = b"", 0, ""

    def __enter__(self) -> "Browser":
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(domain + ".enable")
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._wait_for_helpers()
        for end in (self._write, self._read, self._processes):
            os.close(end)
        self._home.cleanup()

    def open(self, path: Path, width: int = 1280, height: int = 1000, scheme: str = "light") -> None:
        """Open a file and wait until it is loaded."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self._ask("Page.navigate", url=path.as_uri())
        self._until(lambda: bool(self.happened("Page.loadEventFired")))

    def happened(self, name: str) -> list[dict[str, Any]]:
        """Return the events of a name."""
        return [event["params"] for event in self.events if event["method"] == name]

    def value(self, expression: str) -> Any:
        """Return what JavaScript makes of an expression."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true; the page looks whenever it draws itself."""
        self.value("new Promise(done => { const look = () => (%s) ? done() : requestAnimationFrame(look); look(); })"
                   % condition)

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = "\r" if key == "Enter" else key if len(key) == 1 else ""
        common = {"key": key, "windowsVirtualKeyCode": _KEYS[key]}
        self._ask("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **common)

    def drag(self, x1: float, x2: float, y: float) -> None:
        """Draw the mouse from one place to another with its button down."""
        for kind, x, buttons in (("mousePressed", x1, 1), ("mouseMoved", x2, 1), ("mouseReleased", x2, 0)):
            self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1)

    def picture(self, path: Path) -> None:
        """Write a picture of the whole page."""
        size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 8000), "scale": 1}
        answer = self._ask("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def paper(self) -> bytes:
        """Return the page as it is printed, PDF."""
        return base64.b64decode(self._ask("Page.printToPDF")["data"])

    def _wait_for_helpers(self) -> None:
        """Wait until each process of the browser has closed its output: until then they write to its directory."""
        while select.select([self._processes], [], [], _SECONDS)[0]:
            if not os.read(self._processes, 1 << 16):
                return
        raise TimeoutError("a process of the browser does not end")

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        number, answers = self._number, []
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data):]
        self._until(lambda: bool(answers), lambda answer: answer.get("id") == number and not answers.append(answer))
        assert "error" not in answers[0], "%s: %s" % (method, answers[0]["error"])
        result: dict[str, Any] = answers[0]["result"]
        return result

    def _until(self, done: Callable[[], bool], take: Callable[[dict[str, Any]], bool] | None = None) -> None:
        """Read what the browser says until something is so; what nobody takes is an event."""
        while not done():
            while b"\0" not in self._pending:
                assert select.select([self._read], [], [], _SECONDS)[0], "the browser says nothing any more"
                some = os.read(self._read, 1 << 20)
                assert some, "the browser ended"
                self._pending += some
            text, self._pending = self._pending.split(b"\0", 1)
            message = json.loads(text)
            if not (take and take(message)) and "method" in message:
                self.events.append(message)
