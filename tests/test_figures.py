"""The diagrams in figures/ are what the code draws, and browsers can read them."""

import re
import xml.etree.ElementTree as ElementTree

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
from matplotlib.text import Text

from rlbook.book.chapters import CHAPTERS
from rlbook.book.paths import FIGURES
from rlbook.book.pictures import diagrams, of_the_book
from rlbook.book.pictures.diagrams import DIAGRAMS, main, save
from rlbook.ground.plotting import use_style


@pytest.fixture(params=list(DIAGRAMS))
def name(request):
    return request.param


def strings(svg: str) -> list[str]:
    """The texts of the diagram, which matplotlib repeats in comments."""
    return re.findall(r"<!-- (.*?) -->", svg)


def test_the_committed_file_is_what_the_code_draws(name, tmp_path):
    committed, drawn = FIGURES / f"{name}.svg", save(name, tmp_path)
    assert committed.exists(), f"python -m rlbook.book figures {name}"
    old, new = committed.read_text(), drawn.read_text()
    assert strings(old) == strings(new)
    if f"Matplotlib v{matplotlib.__version__}," in old:  # glyphs move between versions
        assert old == new, f"figures/{name}.svg is stale: python -m rlbook.book figures {name}"


def test_the_file_does_not_depend_on_what_was_set_or_drawn_before(tmp_path):
    first = save("time_line", tmp_path).read_bytes()
    with plt.rc_context({"font.family": "monospace", "lines.solid_capstyle": "round"}):
        save("agent_environment", tmp_path)
        assert save("time_line", tmp_path).read_bytes() == first


def test_the_file_is_a_small_white_page_of_700_pixels_that_needs_no_font(name):
    text = (FIGURES / f"{name}.svg").read_text()
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert float(root.get("width").removesuffix("pt")) == pytest.approx(7.3 * 72)
    assert not root.findall(".//{http://www.w3.org/2000/svg}text") and "font-family" not in text
    assert "fill: #ffffff" in text and "<dc:date>" not in text and "/work" not in text
    assert len(text) < 150_000


def test_no_text_is_clipped_tiny_or_over_another(name):
    with plt.rc_context():
        use_style()
        fig = DIAGRAMS[name]()
    fig.canvas.draw()
    page = fig.bbox
    texts = [t for t in fig.findobj(Text) if t.get_text()]
    boxes = [t.get_window_extent() for t in texts]
    for i, (text, area) in enumerate(zip(texts, boxes, strict=True)):
        assert text.get_fontsize() >= 8.5, text.get_text()
        inside = area.x0 >= page.x0 and area.x1 <= page.x1 and area.y0 >= page.y0
        assert inside and area.y1 <= page.y1, f"{text.get_text()!r} leaves the page"
        for other, place in zip(texts[:i], boxes[:i], strict=True):
            assert not area.overlaps(place), f"{text.get_text()!r} covers {other.get_text()!r}"
    plt.close(fig)


def test_the_command_draws_what_it_is_asked_for(tmp_path, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(diagrams, "save", lambda name: drawn.append(name))
    assert main(["floors"]) == 0 and drawn == ["floors"]
    assert main([]) == 0 and drawn[1:] == list(DIAGRAMS)
    assert main(["flors"]) == 2 and "no diagram called flors" in capsys.readouterr().out


def test_the_floors_name_modules_that_exist():
    package = FIGURES.parent / "rlbook"
    rooms = [room for floor in of_the_book.FLOORS for room in floor]
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    assert {name for name, *_ in rooms} == folders
    for room, _, _, modules in rooms:
        paths = [package / room / name for name in modules.split()]
        assert all(path.is_dir() or path.with_suffix(".py").exists() for path in paths)


def test_the_map_shows_the_chapters_that_exist():
    numbers = {chapter.number for chapter in CHAPTERS if chapter.kind != "index"}
    assert numbers == set(of_the_book.NAMES)
