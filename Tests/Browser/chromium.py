"""A real headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import connect

DEADLINE_SECONDS = 120


class Page:
    """One tab: its log, its network requests, and its content."""

    def __init__(self, url: str) -> None:
        self.exits = contextlib.ExitStack()
        self.socket = self.exits.enter_context(connect(url, max_size=None))
        self.numbers = itertools.count(1)
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.dialogs = 0
        #: The sessions of frames in other processes.
        self.frames: list[str] = []
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.call(f"{domain}.enable")

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        number = next(self.numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        self.socket.send(json.dumps(message))
        while True:
            message = json.loads(self.socket.recv(timeout=DEADLINE_SECONDS))
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]
            self.note(message)

    def note(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            thrown = details.get("exception", {}).get("description", details["text"])
            self.problems.append(thrown)
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.problems.append(str(parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.problems.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Target.attachedToTarget":
            if parameters["targetInfo"]["type"] == "iframe":
                self.frames.append(parameters["sessionId"])
        elif method == "Page.javascriptDialogOpening":
            self.dialogs += 1
            self.socket.send(
                json.dumps(
                    {
                        "id": next(self.numbers),
                        "method": "Page.handleJavaScriptDialog",
                        "params": {"accept": True},
                    }
                )
            )

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page; a promise is awaited."""
        result = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in result:
            raise AssertionError(result["exceptionDetails"])
        return result["result"].get("value")

    def wait(self, condition: str, seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + seconds
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < deadline, f"never came true: {condition}; {self.problems}"
            self.run("new Promise((go) => setTimeout(go, 20))")

    def in_frames(self, script: str) -> list[Any]:
        """Return the value of an expression in each frame within the page."""
        self.call(
            "Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=False, flatten=True
        )
        contexts: list[dict[str, Any]] = []
        for child in self.call("Page.getFrameTree")["frameTree"].get("childFrames", []):
            world = self.call("Page.createIsolatedWorld", frameId=child["frame"]["id"])
            contexts.append({"contextId": world["executionContextId"]})
        contexts += [{"session": session} for session in self.frames]
        results = [
            self.call("Runtime.evaluate", expression=script, returnByValue=True, **context)
            for context in contexts
        ]
        return [result["result"].get("value") for result in results]

    def wait_in_frames(self, condition: str, count: int) -> None:
        """Wait until an expression is true in as many frames."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while sum(map(bool, self.in_frames(condition))) < count:
            assert time.monotonic() < deadline, f"never came true: {condition}; {self.problems}"
            self.run("new Promise((go) => setTimeout(go, 100))")

    def size(self, width: int, height: int, ratio: float = 1) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=ratio,
            mobile=False,
        )

    def scheme(self, name: str) -> None:
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": name}],
        )

    def open(self, path: Path) -> Page:
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("document.documentElement?.dataset.ready")
        return self

    def key(self, name: str, text: str | None = None, modifiers: int = 0) -> None:
        key: dict[str, Any] = {"key": name, "modifiers": modifiers}
        codes = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowDown": 40, "ArrowUp": 38}
        codes |= {"ArrowLeft": 37, "ArrowRight": 39}
        if name in codes:
            key |= {"code": name, "windowsVirtualKeyCode": codes[name]}
        if text is None and len(name) == 1:
            text = name
        if name == "Enter":
            text = "\r"
        down = "keyDown" if text else "rawKeyDown"
        self.call("Input.dispatchKeyEvent", type=down, **key, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float, count: int = 1) -> None:
        for each in range(1, count + 1):
            for kind in ["mousePressed", "mouseReleased"]:
                self.mouse(kind, x, y, button="left", clickCount=each)

    def box(self, selector: str) -> dict[str, float]:
        return self.run(
            f"(() => {{ const b = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect();"
            " return {x: b.x, y: b.y, width: b.width, height: b.height}; })()"
        )

    def picture(self, path: Path, whole: bool = False) -> None:
        result = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(result["data"]))

    def settle(self) -> None:
        """Wait until the requested view has been drawn."""
        self.run("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")

    def close(self) -> None:
        self.exits.close()


class Chromium:
    """The browser; ends with the temporary folder of its profile."""

    def __init__(self) -> None:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if program is None:
            raise RuntimeError("no chromium; 'apt-get install chromium' brings it")
        self.folder = Path(tempfile.mkdtemp(prefix="tasklog-chromium-"))
        self.process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--remote-debugging-port=0",
                f"--user-data-dir={self.folder}",
                "--no-sandbox",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-gpu",
                "--hide-scrollbars",
                "--force-color-profile=srgb",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        file = self.folder / "DevToolsActivePort"
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not file.exists() or "\n" not in file.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("chromium did not start")
            time.sleep(0.05)
        self.address = f"http://127.0.0.1:{file.read_text().splitlines()[0]}"

    def page(self) -> Page:
        targets = json.load(urlopen(f"{self.address}/json/list"))
        target = next(each for each in targets if each["type"] == "page")
        return Page(target["webSocketDebuggerUrl"])

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
