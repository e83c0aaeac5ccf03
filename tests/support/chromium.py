#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium on a pipe (--remote-debugging-pipe), without any package: enough to load a
page, evaluate expressions, press keys and take pictures."""
import base64
import json
import os
import shutil
import subprocess
import tempfile


class Page:
    def __init__(self, url, dark=False, width=1400, height=1000):
        self.profile = tempfile.mkdtemp(prefix="chromium-")
        their_in, self.out = os.pipe()
        self.inp, their_out = os.pipe()

        def connect():
            os.dup2(their_in, 203)
            os.dup2(their_out, 204)
            os.dup2(203, 3)
            os.dup2(204, 4)
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                   "--remote-debugging-pipe", "--no-first-run", "--disable-dev-shm-usage",
                   "--user-data-dir=" + self.profile, "--window-size=%d,%d" % (width, height), "about:blank"]
        self.child = subprocess.Popen(command, close_fds=False, preexec_fn=connect,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(their_in)
        os.close(their_out)
        self.id, self.rest, self.events = 0, b"", []
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Network.enable")
        self.call("Log.enable")
        if dark:
            self.call("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": "dark"}])
        self.call("Page.navigate", url=url)
        self.wait_event("Page.loadEventFired")

    def receive(self):
        while b"\0" not in self.rest:
            data = os.read(self.inp, 65536)
            if not data:
                raise EOFError("chromium is gone")
            self.rest += data
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.id += 1
        message = {"id": self.id, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.id:
                if "error" in answer:
                    raise RuntimeError("%s: %s" % (method, answer["error"]))
                return answer["result"]
            self.events.append(answer)

    def wait_event(self, name):
        while not any(e.get("method") == name for e in self.events):
            self.events.append(self.receive())

    def eval(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    def key(self, key, text=None):
        codes = {"Enter": 13, "Tab": 9, "Escape": 27, " ": 32}
        args = {"key": key, "windowsVirtualKeyCode": codes.get(key, 0)}
        if text or len(key) == 1:
            args["text"] = text or key
        self.call("Input.dispatchKeyEvent", type="keyDown", **args)
        args.pop("text", None)
        self.call("Input.dispatchKeyEvent", type="keyUp", **args)

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))

    def requests(self):
        """Addresses that the page asked for, itself included."""
        return [e["params"]["request"]["url"] for e in self.events
                if e.get("method") == "Network.requestWillBeSent"]

    def close(self):
        self.session = None
        try:
            self.call("Browser.close")
        except (EOFError, OSError):
            pass
        self.child.wait(timeout=20)
        os.close(self.out)
        os.close(self.inp)
        shutil.rmtree(self.profile, ignore_errors=True)
