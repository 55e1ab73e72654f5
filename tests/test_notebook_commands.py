"""`execute` and `clean` clean a notebook, and `--check` names the cell that differs."""

import base64
import copy
import io
import json

import numpy as np
import pytest
from nbformat.v4 import new_markdown_cell, new_output
from PIL import Image
from sample_notebook import code, make_notebook, sample_cells, write

from rlbook.book.publish.execute import FOLDS, METADATA, clean, differences, few_colors, main
from rlbook.book.publish.launch import read, to_text


def test_clean_keeps_tags_and_outputs_only():
    cell = code("print(1)", "1\n", ("claim",))
    cell.metadata["execution"] = {"iopub.status.busy": "2026-01-01"}
    cell.metadata["lines_to_next_cell"] = 2
    notebook = make_notebook([cell])
    notebook.metadata = {"jupytext": {}, "widgets": {}, "kernelspec": {"name": "my-venv"}}
    expected = make_notebook([code("print(1)", "1\n", ("claim",))])
    assert clean(notebook) == expected and notebook.metadata == METADATA


def test_clean_keeps_what_closes_a_cell():
    closed = dict(FOLDS) | {"tags": ["claim"]}
    closed.pop("jp-MarkdownHeadingCollapsed")
    cell = code("print(1)", "1\n")
    cell.metadata = closed | {"editable": True, "slideshow": {}}
    assert clean(make_notebook([cell])).cells[0].metadata == closed
    cell.metadata = {"jp-MarkdownHeadingCollapsed": False, "jupyter": {"outputs_hidden": True}}
    assert clean(make_notebook([cell])).cells[0].metadata == {}


def test_clean_closes_what_its_name_says_is_closed():
    cells = [new_markdown_cell("#### ▸ Checked: it"), code("# Eq. (3.1): it\nf()"), code("f()")]
    first, second, third = clean(make_notebook(cells)).cells
    assert first.metadata == {"jp-MarkdownHeadingCollapsed": True}
    assert second.metadata["jupyter"] == {"source_hidden": True}
    assert third.metadata == {"tags": ["fold"]}


def test_metadata_may_differ_in_the_version_of_python_only():
    stored, fresh = (make_notebook([code("f()", "1\n")]) for _ in range(2))
    fresh.metadata = copy.deepcopy(METADATA)
    fresh.metadata["language_info"]["version"] = "3.99.0"
    assert differences(stored, fresh) == []
    fresh.metadata["language_info"]["name"] = "julia"
    assert differences(stored, fresh) == ["the notebook's metadata changed"]
    fresh.metadata = {"kernelspec": METADATA["kernelspec"]}
    assert differences(stored, fresh) == ["the notebook's metadata changed"]


def test_clean_joins_the_pieces_of_a_stream():
    pieces = [new_output("stream", name="stdout", text=text) for text in ("a\n", "b\n", "c\n")]
    pieces.insert(2, new_output("display_data", {"text/plain": "x"}))
    outputs = clean(make_notebook([code("f()", outputs=tuple(pieces))])).cells[0].outputs
    assert [output.get("text") for output in outputs] == ["a\nb\n", None, "c\n"]


def test_a_picture_keeps_its_looks_in_a_third_of_the_bytes():
    rows, columns = np.mgrid[:200, :300]
    smooth = np.stack([rows, columns // 2, 0 * rows, 0 * rows + 255], axis=-1).astype(np.uint8)
    smooth[:20] = 0  # see-through: white
    buffer = io.BytesIO()
    Image.fromarray(smooth).save(buffer, "PNG")
    stored = few_colors(base64.b64encode(buffer.getvalue()).decode())
    image = Image.open(io.BytesIO(base64.b64decode(stored)))
    assert image.mode == "P" and image.size == (300, 200)
    seen = np.asarray(image.convert("RGB")).astype(int)
    assert (seen[:20] == 255).all()
    assert abs(seen[20:] - smooth[20:, :, :3]).mean() < 4
    assert few_colors(stored) == stored


def test_clean_changes_nothing_twice():
    once = to_text(clean(make_notebook(sample_cells())))
    assert once == to_text(clean(make_notebook(sample_cells()))) and once.endswith("}\n")


def test_differences_name_the_cell_and_leave_measured_ones_out():
    stored = make_notebook([code("f()", "1\n"), code("g()", "2 s\n", ("measured",))])
    fresh = copy.deepcopy(stored)
    assert differences(stored, fresh) == []
    fresh.cells[1].outputs[0].text = "3 s\n"
    assert differences(stored, fresh) == []
    fresh.cells[0].outputs[0].text = "9\n"
    assert differences(stored, fresh) == ["cell 0 (cell-0): outputs changed"]


def test_text_is_what_was_read(tmp_path):
    path = write(make_notebook(sample_cells()), tmp_path)
    assert to_text(read(path)) == path.read_text(encoding="utf-8")


def test_clean_mends_a_file_and_check_leaves_it_alone(tmp_path, capsys):
    path = write(make_notebook(sample_cells()), tmp_path)
    assert main(["clean", str(path)]) == 0
    capsys.readouterr()
    right = path.read_text(encoding="utf-8")
    assert main(["clean", "--check", str(path)]) == 0 and capsys.readouterr() == ("", "")
    notebook = read(path)
    number = next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    notebook.cells[number].metadata["execution"] = {"iopub.status.busy": "2026-01-01"}
    path.write_text(to_text(notebook), encoding="utf-8")
    touched = path.read_text(encoding="utf-8")
    assert main(["clean", "--check", str(path)]) == 1
    assert f"cell {number} (" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == touched
    assert main(["clean", str(path)]) == 0 and f"cleaned {path}" in capsys.readouterr().out
    assert path.read_text(encoding="utf-8") == right
    path.write_text(json.dumps(json.loads(right), indent=4), encoding="utf-8")
    assert main(["clean", "--check", str(path)]) == 1
    assert "in another form" in capsys.readouterr().err


def test_clean_keeps_the_python_that_executed_a_notebook(tmp_path):
    notebook = clean(make_notebook(sample_cells()))
    notebook.metadata.language_info.version = "3.99.0"
    path = write(notebook, tmp_path)
    assert main(["clean", str(path)]) == 0
    assert read(path).metadata.language_info.version == "3.99.0"


@pytest.mark.parametrize("arguments", [[], ["execute"], ["clean"], ["publish"]])
def test_the_command_line_refuses_nonsense(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2 and "usage" in capsys.readouterr().err
