"""The labs: what all share, and each chapter's, played by setting its controls."""

import ast
import importlib
import inspect
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from ipywidgets import interactive
from parsed_notebook import chapters, parse, plain_namespace, run_source, tags_of
from road_rules import OLD_FORM, REFERENCES

import rlbook.book.labs as labs
from rlbook.book.labs import chapter_01, chapter_02, chapter_05, chapter_09, chapter_10, play, strip
from rlbook.planning import MAX_MOVES, car_rental, policy_iteration, value_iteration

FOLDER = Path(labs.__file__).parent
LABS = [path.stem.removeprefix("chapter_") for path in sorted(FOLDER.glob("chapter_*.py"))]
PAGES = [
    number
    for number in LABS
    if number in chapters() and any("lab" in tags_of(cell) for cell in chapters()[number].code)
]
"""Labs that stand on a page; a lab may be written before its page."""


def draw(k: float, on: bool = True):
    figure, axis = plt.subplots(figsize=(2, 1.5))
    axis.plot([0, k], [0, 1])
    axis.set(xlim=(0, 9), title=f"{k}, {on}")
    return figure


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def pixels(figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba()).copy()


# ---------------------------------------------------------------- what all share


def test_a_control_moves_the_figure(monkeypatch):
    monkeypatch.delenv("RLBOOK_QUIET", raising=False)
    lab = play(draw, k=(0, 9), on=False)
    slider, box = lab.children[:2]
    slider.value = 3
    assert lab.result.axes[0].get_title() == "3, False"
    box.value = True
    assert lab.result.axes[0].get_title() == "3, True"


def test_nothing_is_stored(monkeypatch):
    monkeypatch.setenv("RLBOOK_QUIET", "1")
    assert play(draw, k=(0, 9)) is None


@pytest.mark.parametrize("controls", [{}, {"j": (0, 9)}])
def test_controls_name_arguments(controls):
    with pytest.raises(ValueError, match=r"controls must name arguments of draw, \('k', 'on'\)"):
        play(draw, **controls)


def test_a_strip_shows_each_frame_and_leaves_one_figure():
    figure = strip(draw, [{"k": 1}, {"k": 5}, {"k": 9}, {"k": 9, "on": False}])
    assert plt.get_fignums() == [figure.number]
    shown = [axis.get_images()[0].get_array() for axis in figure.axes if axis.get_images()]
    assert len(shown) == 4 and len(figure.axes) == 6
    assert all(not np.array_equal(shown[0], other) for other in shown[1:])
    assert shown[0].shape == (330, 440, 4)  # dots
    assert tuple(figure.get_size_inches()) == pytest.approx((6, 3))


def test_a_strip_has_three_frames_that_differ():
    with pytest.raises(ValueError, match="at least three frames, got 2"):
        strip(draw, [{"k": 1}, {"k": 2}])
    with pytest.raises(ValueError, match=r"settings\[2\] repeats a frame"):
        strip(draw, [{"k": 1}, {"k": 2}, {"k": 1}])


# ---------------------------------------------------------------- each chapter's


@pytest.mark.parametrize("number", LABS)
def test_a_lab_is_one_function_of_plain_arguments(number):
    lab = importlib.import_module(f"rlbook.book.labs.chapter_{number}").draw
    assert inspect.getdoc(lab), "draw has no docstring"
    kinds = {argument.kind for argument in inspect.signature(lab).parameters.values()}
    assert kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("number", PAGES)
def test_the_stored_frames_differ(number):
    lab = importlib.import_module(f"rlbook.book.labs.chapter_{number}").draw
    frames = frames_of(number)
    assert len(frames) >= 3
    drawn = [pixels(drawn_with(lab, frame)) for frame in frames]
    for place, one in enumerate(drawn):
        same = [other for other in drawn[:place] if np.array_equal(one, other)]
        assert not same, f"frame {place}, {frames[place]}, shows nothing new"


@pytest.mark.parametrize("number", PAGES)
def test_the_page_plays_its_lab(number, monkeypatch):
    """Only the imports have run. Each control is set to another value, and the figure follows."""
    monkeypatch.delenv("RLBOOK_QUIET", raising=False)
    played = []

    def record(function, **controls):
        played.append(interactive(function, **controls))
        return played[-1]

    namespace = imports_of(number) | {"play": record, "interact": record}
    run_source(cell_with(number, {"play", "interact"}), namespace, f"lab {number}")
    assert len(played) == 1
    lab = played[0]
    lab.update()  # before version 8 ipywidgets waits with the first call until it is displayed
    for control in lab.kwargs_widgets:
        before = pixels(lab.result)
        control.value = another(control)
        assert not np.array_equal(before, pixels(lab.result)), f"{control.description} does nothing"


def test_every_page_of_the_new_form_has_its_lab():
    wanted = {n for n, page in chapters().items() if page.chapter not in OLD_FORM | REFERENCES}
    assert wanted <= set(PAGES)


def another(control):
    """A value that the control does not have: its end, its other option, its opposite."""
    if hasattr(control, "max"):
        return control.max if control.value != control.max else control.min
    if hasattr(control, "options"):
        values = [o[1] if isinstance(o, tuple) else o for o in control.options]
        return next(value for value in values if value != control.value)
    return not control.value if isinstance(control.value, bool) else control.value + "R"


def imports_of(number: str) -> dict:
    namespace = plain_namespace()
    run_source(chapters()[number].import_cell().source, namespace, f"{number} imports")
    return namespace


def cell_with(number: str, functions: set[str]) -> str:
    """The cell tagged lab that calls one of these functions."""
    for cell in chapters()[number].code:
        calls = [n for n in ast.walk(parse(cell.source)) if isinstance(n, ast.Call)]
        if "lab" in tags_of(cell) and functions & {ast.unparse(call.func) for call in calls}:
            return cell.source
    raise AssertionError(f"no cell tagged lab calls {functions}")


def frames_of(number: str) -> list:
    """What a page hands to strip(draw, frames) or strip(frames)."""
    source, namespace = cell_with(number, {"strip"}), imports_of(number)
    calls = [n for n in ast.walk(parse(source)) if isinstance(n, ast.Call)]
    call = next(call for call in calls if ast.unparse(call.func) == "strip")
    return next(
        list(value)
        for argument in call.args
        if not callable(value := eval(ast.unparse(argument), namespace))
    )


def drawn_with(function, frame):
    if isinstance(frame, dict):
        return function(**frame)
    return function(*frame) if isinstance(frame, tuple) else function(frame)


# ---------------------------------------------------------------- chapter 1


def test_a_walk_on_the_lake():
    """One outcome of three is drawn; the last button of a cell is what the copycat presses."""
    walks = chapter_01.walks_of("d?DUR", luck=5)
    assert [[(s.state, s.meant, s.next_state, s.over) for s in walk] for walk in walks] == [
        [(0, 1, 1, False), (1, 1, 5, True)],
        [(0, 3, 0, False), (0, 2, 1, False)],
    ]
    assert chapter_01.buttons_of(walks) == {0: 2, 1: 1}
    assert [chapter_01.return_of(walk) for walk in walks] == [0.0, 0.0]
    bumps = chapter_01.walks_of("L" * 300, luck=1)
    assert max(map(len, bumps)) == chapter_01.CLOCK or len(bumps) > 1
    with pytest.raises(ValueError, match=r"walks must be in 1 \.\. 2000, got 0"):
        chapter_01.draw("R", 0)


def test_the_copycats_mean_is_near_its_exact_value():
    """Its walks and the recursion are two routes to one number; 0.0124 is Section 1.7's."""
    assert f"{chapter_01.worth({}):.4f}" == "0.0124"
    careful = {0: 0, 4: 0, 8: 3, 9: 1, 13: 2, 14: 1}
    returns = np.array(chapter_01.copycat(careful, walks=2000, luck=3))
    error = returns.std() / 2000**0.5
    assert abs(returns.mean() - chapter_01.worth(careful)) < 4 * error < 0.04


def test_the_buttons_write_letters():
    keys = chapter_01.keys()
    for button in keys.children[1:3]:
        button.click()
    assert keys.value == "DR"
    keys.children[4].click()
    assert keys.value == ""


# ---------------------------------------------------------------- chapter 5


def test_jacks_lab_is_jacks_model():
    jack = car_rental()
    found = policy_iteration(jack, initial_policy=torch.full((441,), MAX_MOVES))
    rounds = chapter_05.rounds(0.9, 2.0)
    assert len(rounds) == found.sweeps and torch.equal(rounds[-1][0] + MAX_MOVES, found.policy)
    torch.testing.assert_close(rounds[-1][1], found.values)
    bounded, plain = chapter_05.sweeps(0.9, 2.0)
    assert plain == value_iteration(jack, tolerance=0.01 / 9).sweeps > bounded > 1
    with pytest.raises(ValueError, match="round must be in 0 .. 6, got 7"):
        chapter_05.draw(7)
    with pytest.raises(ValueError, match=r"discount must be in \[0, 1\), got 1"):
        chapter_05.draw(1, 1.0)
    with pytest.raises(ValueError, match="cost must be at least 0, got -1"):
        chapter_05.draw(1, 0.9, -1)


# ---------------------------------------------------------------- chapter 2


def test_a_crowd_on_the_ice():
    """Worked by hand: left, on the first cell, is a bump or a slip to the cell below."""
    p, arrived = chapter_02.crowd("careful", 1.0)
    assert p[1, [0, 4]].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert p.sum(1).tolist() == pytest.approx([1.0] * 101)
    assert (p[:, 16] >= arrived - 1e-12).all() and arrived[6] > 0 == arrived[5]
    assert chapter_02.crowd("LUUU LLLL UDLL LRDL", 1.0)[0].equal(p)  # the same plan in letters
    with pytest.raises(ValueError, match="or 16 letters of LDRU, got 'LL'"):
        chapter_02.draw("LL")
    with pytest.raises(ValueError, match=r"attention must be in \[0, 1\], got 2"):
        chapter_02.draw("careful", 2)
    with pytest.raises(ValueError, match="steps must be in 0 .. 100, got 101"):
        chapter_02.draw(steps=101)


# ---------------------------------------------------------------- chapter 9


def test_a_walk_in_the_corridor():
    """Worked by hand: at the exit the target is -1 alone; L in cell 0 is a bump."""
    table, cell, last = chapter_09.walk("rRx RRL", 0.5)
    assert table == [[-0.5, -0.5], [0, -0.5], [0, -0.5], [0, -0.5]]
    assert cell == 0 and last == (0, 0, 0, -1.0, 0.0, -0.5)
    assert chapter_09.walk("RRRRL", 1.0)[2].target == -1  # the bump itself still promised 0
    assert chapter_09.walk("", 1.0)[2] is None
    with pytest.raises(ValueError, match=r"alpha must be in \(0, 1\], got 0"):
        chapter_09.draw("R", 0.0)


def test_a_taxi_learns_to_deliver():
    (lost, late), (found, there) = chapter_09.drive(0), chapter_09.drive(60_000)
    assert not late and there and len(lost) == 201 and len(found) == 12
    assert lost[0] == found[0] == chapter_09.START
    with pytest.raises(ValueError, match="steps must be one of"):
        chapter_09.draw_drive(5)


# ---------------------------------------------------------------- chapter 10


def test_the_best_way_along_the_cliff_goes_higher_as_the_hand_trembles_more():
    steps = {epsilon: len(chapter_10.best(epsilon)[0]) - 1 for epsilon in chapter_10.EPSILONS}
    assert steps[0.007] == 13 and steps[0.008] == 15 and steps[0.15] == 15 and steps[0.16] == 17
    assert list(steps.values()) == sorted(steps.values())
    assert chapter_10.best(0.1)[1:] == pytest.approx((-20.71, -50.80), abs=0.01)


def test_sarsa_takes_a_way_that_it_has_learned():
    ways, earned = chapter_10.learned(0.1, 0.5)
    assert len(ways) == chapter_10.RUNS and all(way[0] == chapter_10.START for way in ways)
    assert chapter_10.learned(0.1, 0.1)[1] > earned
    for epsilon, alpha in ((0, 0.5), (1, 0.5), (0.1, 0)):
        with pytest.raises(ValueError, match="must be in"):
            chapter_10.draw(epsilon, alpha)
