"""The page in a real browser: real clicks, a real server. Chromium is the system's; playwright brings none."""

from pathlib import Path

import pytest

from meshwright.runtime.files.reader import read_mesh
from tests.importers import CHROMIUM, needs_chromium
from tests.runtime.server.conftest import SHORT

pytestmark = [needs_chromium, pytest.mark.slow]
SECONDS = 120_000
# Drawn by the processor: machines that run tests have no GPU.
SOFTWARE = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
# What Chromium says of its own slowness, and of answers that the page itself shows.
NOISE = ("rAF timed out", "GPU stall", "GL Driver Message", "status of 422", "status of 401",
         "status of 503")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, server):
    """The page, opened; afterwards there must have been no error that only the console shows, and no request to elsewhere."""
    page = browser.new_page(viewport={"width": 1000, "height": 700}, device_scale_factor=0.5)  # the processor draws each pixel
    said: list[str] = []
    page.on("console", lambda message: message.type in ("error", "warning") and not any(noise in message.text for noise in NOISE)
            and said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: request.url.startswith((server.address, "blob:", "data:")) or said.append(request.url))
    page.set_default_timeout(SECONDS)
    page.goto(server.address)
    page.wait_for_selector("#state:has-text('ready')")
    yield page
    page.close()
    assert said == []


def small(page) -> None:
    """The options that make a task of the tiny pack short."""
    page.click("summary")
    page.select_option("#texture", "256")


def test_a_prompt_becomes_a_mesh_that_can_be_downloaded(page, tmp_path):
    small(page)
    page.fill("#prompt", "a red chair")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".card[data-state=SUCCEEDED] model-viewer[data-shows='a_red_chair.glb']")
    page.wait_for_function("() => document.querySelector('.card model-viewer').loaded")
    with page.expect_download() as download:
        page.click(".downloads a")
    assert download.value.suggested_filename == "a_red_chair.glb"
    download.value.save_as(tmp_path / "chair.glb")
    assert len(read_mesh(tmp_path / "chair.glb").mesh.faces) > 100
    assert page.locator("#history li").first.inner_text().strip() == "a red chair seed 0"
    page.click(".card .again")
    page.wait_for_selector(".card h3:has-text('seed 1')")


def test_variants_stand_side_by_side_and_are_cancelled(page):
    page.click("summary")
    page.fill("#variants", "8")  # more than a browser opens connections to one server
    page.fill("#steps", "1000")
    page.fill("#prompt", "a blue table")
    page.click("#make")
    page.wait_for_function("() => document.querySelectorAll('.card').length === 8")
    assert [title.split()[-1] for title in page.locator(".card h3").all_inner_texts()] == list("01234567")
    left = [page.locator(".card").nth(index).bounding_box()["x"] for index in range(2)]
    assert left[0] < left[1]
    for card in page.locator(".card").all():  # the first ones wait longest
        if card.locator(".cancel").is_visible():
            card.locator(".cancel").click()
    page.wait_for_function("() => document.querySelectorAll('.card[data-state=CANCELED], .card[data-state=SUCCEEDED]').length === 8")
    assert page.locator(".card .said").all_inner_texts()[0] == "cancelled"
    page.locator(".card .delete").first.click()
    page.wait_for_function("() => document.querySelectorAll('.card').length === 7")


def test_a_mesh_is_dropped_and_redrawn_for_an_engine(page, server, tmp_path):
    done = server.client.wait(server.client.submit(**SHORT)["id"])
    mesh = server.client.download(done["id"], "result.glb", tmp_path / "old.glb")
    small(page)
    page.select_option("#for", "unity")
    page.set_input_files("#file", mesh)
    page.wait_for_selector("#drop-label:has-text('old.glb')")
    page.fill("#prompt", "a blue chair")
    page.click("#make")
    page.wait_for_selector(".card[data-state=SUCCEEDED]")
    names = page.eval_on_selector_all(".downloads a", "links => links.map((link) => link.download)")
    assert names == ["a_blue_chair.glb", "a_blue_chair_collision.glb"]


def test_what_is_wrong_is_shown_on_the_page(page):
    page.click("#make")
    page.wait_for_selector("#error:not([hidden])")
    assert "prompt: is missing" in page.inner_text("#error")


def test_it_fits_narrow_screens_and_dark_rooms(page, server):
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    colours = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]


def test_everything_is_reached_by_keys(page):
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"file", "SUMMARY", "make"} <= reached


def test_a_token_is_asked_for(browser, start, tmp_path):
    token = "s3cret-s3cret-s3cret"
    Path(tmp_path / "token").write_text(token)
    server = start("--token-file", tmp_path / "token")
    page = browser.new_page()
    page.set_default_timeout(SECONDS)
    # The page itself holds nothing that is secret; what it asks for needs the token.
    page.goto(server.address)
    page.fill("#token", token)
    page.keyboard.press("Enter")
    page.wait_for_selector("#state:has-text('ready')")
    page.close()
