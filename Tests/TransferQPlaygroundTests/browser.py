"""A Chromium that tests of the page share, and what they check with."""

import base64
import json
import pathlib
import shutil
import sys
import time

from selenium import webdriver
from selenium.webdriver.common.by import By

failures = []


def check(holds, sentence):
    if not holds:
        failures.append(sentence or f"line {sys._getframe(1).f_lineno} does not hold, and finds no text")
    return holds


class Browser:
    def __init__(self):
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        # Named, or Selenium would look for them on the network.
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
        options.binary_location = next(
            filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), "")
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_script_timeout(20)
        self.js = self.driver.execute_script

    def open(self, url):
        self.driver.get(url)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """What an element holds, seen or not; empty where there is none."""
        return self.js("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def count(self, selector):
        return self.js("return document.querySelectorAll(arguments[0]).length", selector)

    def click(self, element):
        """Clicks in the middle of the window, where nothing that sticks to its edges is in the way."""
        self.js("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def wait(self, holds, what, seconds=15):
        """Waits until something holds; notes a failure where it does not in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if holds():
                return True
            time.sleep(0.02)
        return check(False, f"waited {seconds} s in vain until {what}")

    def call(self, module, expression, *values):
        """The value of an expression with the exports of one of the page's modules in reach as `m`, arguments as `a`."""
        found = self.driver.execute_async_script(
            f"""const [a, done] = [[...arguments].slice(0, -1), [...arguments].at(-1)];
            import({json.dumps(module)}).then((m) => done({{ value: {expression} }}), (error) => done({{ error: String(error) }}))
                .catch((error) => done({{ error: String(error) }}));""", *values)
        if "error" in found:
            raise RuntimeError(f"{expression}: {found['error']}")
        return found["value"]

    def size(self, width, height=900):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def prefer(self, **features):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()]})

    def picture(self, folder, name):
        if folder is None:
            return
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        data = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
        (folder / f"{name}.png").write_bytes(base64.b64decode(data))

    def complaints(self, expected=()):
        """What the browser's console says, but for what a test provokes."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if not any(part in entry["message"] for part in expected)]

    def requests(self):
        """Addresses that were asked for since the last time."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [message["params"]["request"]["url"] for message in messages
                if message["method"] == "Network.requestWillBeSent"]
