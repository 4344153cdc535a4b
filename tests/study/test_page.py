"""The page in a real browser: what it lights is what ``edge_index`` says."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from vig_pyg.graph import ImageGraph
from vig_pyg.study.page import graph_page
from vig_pyg.study.views import View, view

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,1400",
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="needs a browser: apt-get install chromium chromium-driver"
)


@pytest.fixture(scope="module")
def views() -> list[View]:
    torch.manual_seed(0)
    models = {name: timm.create_model(name).eval() for name in ("vig_micro", "pvig_micro")}
    images = {name: torch.randn(3, 32, 32) for name in ("a.png", "b.png")}
    return [view(model, image, name, source) for source, image in images.items() for name, model in models.items()]


@pytest.fixture(scope="module")
def page(views: list[View], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "graphs.html"
    path.write_text(graph_page(views), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome, page: Path) -> Iterator[webdriver.Chrome]:
    chromium.get(page.as_uri())
    yield chromium
    assert [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []


def stage(browser: webdriver.Chrome, panel: int):
    return browser.find_elements(By.CSS_SELECTOR, ".stage")[panel]


def point_at(browser: webdriver.Chrome, panel: int, row: int, column: int, side: int) -> None:
    """Move the mouse to the middle of a patch of a grid of ``side × side``."""
    element = stage(browser, panel)
    step = element.size["width"] / side
    right, down = ((at + 0.5) * step - element.size["width"] / 2 for at in (column, row))
    ActionChains(browser, duration=0).move_to_element_with_offset(element, round(right), round(down)).perform()


def lit(browser: webdriver.Chrome, panel: int) -> tuple[int, list[int]]:
    """Return the node with the star and the sources that are lit, in their order."""
    element = stage(browser, panel)
    sources = [
        int(rect.get_attribute("data-source")) for rect in element.find_elements(By.CSS_SELECTOR, "rect.neighbor")
    ]
    return int(element.find_element(By.CSS_SELECTOR, ".star").get_attribute("data-node")), sources


def expected(view: View, block: int, node: int) -> list[int]:
    edges = view.graphs[block - 1].edge_index
    return edges[0][edges[1] == node].tolist()


def press(browser: webdriver.Chrome, *keys: str) -> None:
    ActionChains(browser).send_keys(*keys).perform()


def test_the_page_needs_no_other_file_and_no_network(page: Path) -> None:
    text = page.read_text()
    assert text.count('src="data:image/png;base64,') == 4
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}  # a name, never fetched
    assert "url(" not in text and "@import" not in text and "fetch(" not in text


@needs_chromium
def test_pointing_at_a_patch_lights_its_neighbors_in_both_models(browser, views) -> None:
    for row, column in ((2, 5), (7, 0), (4, 4)):
        point_at(browser, 0, row, column, 8)
        node, sources = lit(browser, 0)
        assert node == 8 * row + column and sources == expected(views[0], 1, node)
        node, sources = lit(browser, 1)  # the other model's graph at the same place: 16 × 16 nodes
        assert node // 16 // 2 == row and node % 16 // 2 == column
        assert sources == expected(views[1], 1, node)


@needs_chromium
def test_the_slider_moves_through_the_blocks(browser, views) -> None:
    point_at(browser, 1, 9, 12, 16)
    slider = browser.find_element(By.ID, "block")
    for block in (2, 3, 4):
        slider.send_keys(Keys.ARROW_RIGHT)
        for panel in (0, 1):
            node, sources = lit(browser, panel)
            assert sources == expected(views[panel], block, node)
        assert browser.find_element(By.ID, "number").text == f"{block} of 4"
        assert slider.get_attribute("aria-valuetext") == f"block {block} of 4"
    assert lit(browser, 1)[0] == 2 * 4 + 3  # the node of the last stage over the same place


@needs_chromium
def test_the_keyboard_does_all_that_the_mouse_does(browser, views) -> None:
    for _ in range(12):
        press(browser, Keys.TAB)
        if browser.switch_to.active_element == stage(browser, 0):
            break
    start, _ = lit(browser, 0)
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_LEFT, Keys.ARROW_UP, Keys.ARROW_UP)
    assert lit(browser, 0)[0] == start
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.PAGE_DOWN, Keys.PAGE_DOWN)
    node, sources = lit(browser, 0)
    assert node == start + 9 and sources == expected(views[0], 3, node)
    press(browser, *[Keys.ARROW_UP] * 10)  # stays inside
    assert lit(browser, 0)[0] == node % 8
    said = browser.find_element(By.ID, "live").get_attribute("textContent")
    assert said.startswith(f"vig_micro, block 3: row 0, column {node % 8}; 9 neighbors, the first: itself at 0.00; ")


@needs_chromium
def test_distances_and_degrees_can_be_read(browser, views) -> None:
    for panel, (row, column, side) in enumerate(((3, 1, 8), (10, 3, 16))):
        point_at(browser, panel, row, column, side)
        graph, node = views[panel].graphs[0], side * row + column
        distances = graph.edge_attr[graph.edge_index[1] == node, 0].tolist()
        element = browser.find_elements(By.CSS_SELECTOR, ".panel")[panel]
        items = [item.text.split() for item in element.find_elements(By.CSS_SELECTOR, "li")]
        assert [float(item[-1]) for item in items] == pytest.approx(distances, abs=0.006)
        own = node if panel == 0 else 8 * (row // 2) + column // 2
        degree = int((graph.edge_index[0] == own).sum())
        assert element.find_element(By.CSS_SELECTOR, ".degree").text.split()[0] == str(degree)
        mean = sum(distances) / len(distances)
        assert float(element.find_element(By.CSS_SELECTOR, ".distance").text) == pytest.approx(mean, abs=0.006)


@needs_chromium
def test_the_map_of_degrees_is_brightest_where_most_point(browser, views) -> None:
    browser.find_element(By.ID, "degrees").click()
    reds = "const c = document.querySelectorAll('canvas')[arguments[0]]; const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return Array.from(d).filter((_, i) => i % 4 === 0)"  # noqa: E501
    for panel in (0, 1):
        degrees = views[panel].graphs[0].edge_index[0].bincount(minlength=64)
        assert torch.tensor(browser.execute_script(reds, panel)).argmax() == degrees.argmax()
        assert browser.find_elements(By.CSS_SELECTOR, ".degrees b")[panel].text == str(int(degrees.max()))


@needs_chromium
def test_sources_that_are_no_grid_are_at_their_places(chromium, tmp_path) -> None:
    graph = ImageGraph(
        pos=torch.tensor([[16.0, 16.0], [48.0, 16.0], [16.0, 48.0], [48.0, 48.0]]),
        pos_source=torch.tensor([[20.0, 40.0], [50.0, 30.0], [33.0, 17.0]]),
        edge_index=torch.tensor([[2, 0, 1], [0, 0, 3]]),
        edge_attr=torch.tensor([[0.5], [1.0], [0.25]]),
        grid=torch.tensor([[2, 2]]),
    )
    page = tmp_path / "page.html"
    page.write_text(graph_page([View("centroids", "a.png", torch.rand(3, 64, 64), [graph])]), encoding="utf-8")
    chromium.get(page.as_uri())
    for node, sources in ((0, [2, 0]), (3, [1]), (1, [])):
        point_at(chromium, 0, node // 2, node % 2, 2)
        assert lit(chromium, 0) == (node, sources)
        for rect in stage(chromium, 0).find_elements(By.CSS_SELECTOR, "rect.neighbor"):
            x, y, width, height = (float(rect.get_attribute(name)) for name in ("x", "y", "width", "height"))
            center = graph.pos_source[int(rect.get_attribute("data-source"))].tolist()
            assert [x + width / 2, y + height / 2, width, height] == pytest.approx([*center, 32, 32])
        assert chromium.find_element(By.CSS_SELECTOR, ".degree").text.startswith("–")
    chromium.find_element(By.ID, "degrees").click()
    assert [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []


@needs_chromium
def test_weights_are_opacities_and_hyperedges_are_the_patches_in_them(chromium, tmp_path) -> None:
    places = torch.tensor([[16.0, 16.0], [48.0, 16.0], [16.0, 48.0], [48.0, 48.0]])
    edges, distances = torch.tensor([[1, 2, 1], [0, 0, 3]]), torch.rand(3, 1)
    plain = {"pos": places, "edge_index": edges, "edge_attr": distances, "grid": torch.tensor([[2, 2]])}
    weighted = ImageGraph(**plain, edge_weight=torch.tensor([0.25, 0.5, 1.0]))
    members = torch.tensor([[0, 3, 1, 0, 2], [1, 1, 0, 2, 2]])
    hyper = ImageGraph(**plain, pos_source=torch.rand(3, 2), members=members)
    image, page = torch.rand(3, 64, 64), tmp_path / "page.html"
    views = [View(name, "a.png", image, [graph]) for name, graph in (("gated", weighted), ("hypergraph", hyper))]
    page.write_text(graph_page(views), encoding="utf-8")
    chromium.get(page.as_uri())
    point_at(chromium, 0, 0, 0, 2)
    rects = [stage(chromium, panel).find_elements(By.CSS_SELECTOR, "rect.neighbor") for panel in (0, 1)]
    assert [float(rect.value_of_css_property("opacity")) for rect in rects[0]] == [0.5, 1]
    corners = [(float(rect.get_attribute("x")), float(rect.get_attribute("y"))) for rect in rects[1]]
    assert corners == [(0, 0), (32, 32), (0, 0), (0, 32)]  # the nodes of hyperedges 1 and 2
    items = [item.text for item in chromium.find_elements(By.CSS_SELECTOR, "li")]
    assert items[0].startswith("0, 1, weight 0.25") and items[2].startswith("hyperedge 1, 2 patches")
    assert [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []


@needs_chromium
def test_another_image_is_chosen(browser, views) -> None:
    browser.find_element(By.ID, "image").send_keys("b.png")
    shown = [panel.is_displayed() for panel in browser.find_elements(By.CSS_SELECTOR, ".panel")]
    assert shown == [False, False, True, True]
    point_at(browser, 2, 6, 2, 8)
    node, sources = lit(browser, 2)
    assert node == 6 * 8 + 2 and sources == expected(views[2], 1, node)


@needs_chromium
def test_a_click_holds_a_patch_until_the_next(browser) -> None:
    point_at(browser, 0, 1, 1, 8)
    ActionChains(browser).click().perform()
    point_at(browser, 0, 5, 5, 8)
    assert lit(browser, 0)[0] == 9
    ActionChains(browser).click().perform()
    point_at(browser, 0, 6, 6, 8)
    assert lit(browser, 0)[0] == 54


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_both_models_side_by_side_and_a_tap_lights(browser, views, scheme) -> None:
    screen = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        browser.refresh()
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        left, right = (stage(browser, panel).rect for panel in (0, 1))
        assert left["y"] == right["y"] and left["x"] + left["width"] < right["x"]
        element = stage(browser, 0)
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        box = browser.execute_script("return arguments[0].getBoundingClientRect().toJSON()", element)
        finger = {"x": box["x"] + 6.5 * box["width"] / 8, "y": box["y"] + 1.5 * box["height"] / 8}
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [finger]})
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert lit(browser, 0) == (14, expected(views[0], 1, 14))
        assert contrast(browser, "body") > 7 and contrast(browser, ".quiet") > 4.5
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def contrast(browser: webdriver.Chrome, selector: str) -> float:
    """Return the contrast of text with the page, as WCAG 2 defines it."""

    def luminance(css: str, element: str) -> float:
        color = browser.find_element(By.CSS_SELECTOR, element).value_of_css_property(css)
        levels = [int(part) / 255 for part in re.findall(r"[\d.]+", color)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in levels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright = sorted((luminance("color", selector), luminance("background-color", "body")))
    return (bright[1] + 0.05) / (bright[0] + 0.05)
