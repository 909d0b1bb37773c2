"""A real browser for the tests of the page: headless Chromium, spoken to over a pipe in its DevTools protocol.

A pipe needs no port, no client library and no waiting for a port to open.
"""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COMMAND = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

_OPTIONS = (
    "--headless",
    "--no-sandbox",  # containers often forbid what the sandbox needs
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # no network, whatever a page tries
    "--remote-debugging-pipe",
)
_KEYS = {"Tab": 9, "Enter": 13, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}


class Browser:
    """A running browser. Messages are JSON, each ended by a zero byte."""

    def __init__(self, writer: Any, reader: Any) -> None:
        self._writer, self._reader = writer, reader
        self._number = 0
        self._heard = b""
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """What the browser answers; events that come before are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self._writer.write(json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            self.events.append(answer)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return dict(answer["result"])

    def wait(self, event: str, session: str) -> None:
        """Until the browser says that this happened."""
        while not any(one.get("method") == event and one.get("sessionId") == session for one in self.events):
            self.events.append(self._read())

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._heard:
            heard = self._reader.read(1 << 16)
            if not heard:
                raise AssertionError("the browser has ended")
            self._heard += heard
        message, _, self._heard = self._heard.partition(b"\0")
        return dict(json.loads(message))


class Page:
    """A tab with one page in it."""

    def __init__(self, browser: Browser, path: Path, width: int, language: str, is_dark: bool, fragment: str) -> None:
        self._browser = browser
        self._context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=self._context)["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 700
        )
        self._call("Emulation.setUserAgentOverride", userAgent="test", acceptLanguage=language)
        self._call("Page.navigate", url=path.as_uri() + fragment)
        browser.wait("Page.loadEventFired", self._session)

    def close(self) -> None:
        """Close the tab, and forget what it remembered."""
        self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)

    def ask(self, expression: str) -> Any:
        """The value of an expression on the page, or of the promise that it is."""
        asked = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self._call("Runtime.evaluate", **asked, allowUnsafeEvalBlockedByCSP=False)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """The visible text of the first element that fits."""
        return str(self.ask(f"document.querySelector({json.dumps(selector)}).innerText"))

    def texts(self, selector: str) -> list[str]:
        """The visible texts of all elements that fit."""
        return list(self.ask(f"[...document.querySelectorAll({json.dumps(selector)})].map((node) => node.innerText)"))

    def click(self, selector: str) -> None:
        """Click on the first element that fits."""
        self.ask(f"document.querySelector({json.dumps(selector)}).click()")

    def follow(self, selector: str) -> None:
        """Click on a link within the page, and let the page show where it leads."""
        self.ask(
            "new Promise((done) => { addEventListener('hashchange', () => setTimeout(done), { once: true });"
            f"document.querySelector({json.dumps(selector)}).click() }})"
        )

    def type(self, selector: str, text: str) -> None:
        """Put text into a field, as if it was typed."""
        self.ask(f"document.querySelector({json.dumps(selector)}).select()")
        self._call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Press a key on whatever has the focus."""
        pressed = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
        self._call("Input.dispatchKeyEvent", type="keyDown", **pressed, **({"text": "\r"} if key == "Enter" else {}))
        self._call("Input.dispatchKeyEvent", type="keyUp", **pressed)

    @property
    def troubles(self) -> list[Any]:
        """Everything that the console would show in red or yellow: errors, warnings, forbidden styles and scripts."""
        noisy = (
            "Runtime.exceptionThrown",
            "Runtime.consoleAPICalled",
            "Log.entryAdded",
            "Page.javascriptDialogOpening",
        )
        return [event["params"] for event in self._events if event["method"] in noisy]

    @property
    def requested(self) -> list[str]:
        """The addresses that the page asked for."""
        events = [event for event in self._events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in events]

    @property
    def _events(self) -> list[dict[str, Any]]:
        self.ask("0")  # what was to come has come
        return [event for event in self._browser.events if event.get("sessionId") == self._session]

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)


@contextmanager
def started(directory: Path) -> Iterator[Browser]:
    """The browser with a profile of its own."""
    assert COMMAND
    (theirs_in, ours_out), (ours_in, theirs_out) = _pipe(), _pipe()
    # Chromium reads from 3 and writes to 4; bash, because dash knows no number above 9
    redirected = ("bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "")
    process = subprocess.Popen(
        [*redirected, COMMAND, *_OPTIONS, f"--user-data-dir={directory}"],
        pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    with process, os.fdopen(ours_out, "wb", buffering=0) as writer, os.fdopen(ours_in, "rb", buffering=0) as reader:
        browser = Browser(writer, reader)
        try:
            yield browser
        finally:
            browser.call("Browser.close")
            process.wait(20)


def _pipe() -> tuple[int, int]:
    """Both ends of a pipe, clear of the numbers that the browser's own will have."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved[0], moved[1]
