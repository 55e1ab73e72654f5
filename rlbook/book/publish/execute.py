"""The author's commands: execute and clean notebooks, and write the repository's address.

    python -m rlbook.book execute [--check] NOTEBOOK...
    python -m rlbook.book clean [--check] NOTEBOOK...
    python -m rlbook.book install-cell
    python -m rlbook.book address [URL]

`execute` runs each notebook from top to bottom and stores it in a form that a second run
reproduces byte for byte; `clean` brings it into that form without running it, so that what
JupyterLab adds while one writes does not get into a commit. `address` is the one place that
knows where the book lives.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rlbook.book.paths import ROOT
from rlbook.book.publish.launch import (
    address,
    install_cell,
    read,
    set_address,
    synchronise,
    synchronise_book,
    to_text,
)
from rlbook.book.publish.road import set_folds

if TYPE_CHECKING:  # Jupyter's own packages come with the extra `lab`
    from nbformat import NotebookNode

CELL_TIMEOUT = 600  # seconds; a busy machine is several times slower than a quiet one
WARNINGS = (  # what a later release will break, it announces; conftest.py sets the same for tests
    *("error::FutureWarning", "error::DeprecationWarning", "error::PendingDeprecationWarning"),
    # torch itself calls it, for derivatives in forward mode
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning",
    # peft 0.21 asks a model of transformers for what is called otherwise since 5.24
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",
    # Box2D's import, written by swig: as an error it would end the process
    "ignore:builtin type :DeprecationWarning",
)
ENVIRONMENT = {  # the tests set the same variables before they start a kernel
    "RLBOOK_QUIET": "1",
    "PYTHONHASHSEED": "0",
    "HF_HUB_OFFLINE": "1",
    "SDL_VIDEODRIVER": "dummy",
    "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", ",".join(WARNINGS)),
}
METADATA = {  # what JupyterLab writes when it opens a notebook: then to open one changes nothing
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
        "version": platform.python_version(),
    },
}
FOLDS = (  # what closes a heading or a cell: in JupyterLab, in JupyterLab, in Colab
    ("jp-MarkdownHeadingCollapsed", True),
    ("jupyter", {"source_hidden": True}),
    ("cellView", "form"),
)


def execute(notebook: NotebookNode, folder: Path, *, allow_errors: bool = False) -> float:
    """Run every cell in a fresh kernel of this Python, in `folder`; outputs are stored in place.
    With `allow_errors`, what a cell raises is an output as any other, and the next cell is run.

    Returns:
        The peak resident memory of the kernel in MB, NaN where the system does not tell.

    Raises:
        CellExecutionError: a cell raised an exception.
        CellTimeoutError: a cell ran for longer than CELL_TIMEOUT seconds.
    """
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    specs = KernelSpecManager(kernel_dirs=[])  # no other python3 than the one that runs this
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs),
        timeout=CELL_TIMEOUT,
        allow_errors=allow_errors,
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(folder)}},
    )
    env = {**os.environ, **ENVIRONMENT}
    env.pop("MPLBACKEND", None)  # the kernel then chooses the inline backend
    client.owns_km = True  # so that leaving the block below shuts the kernel down
    client.reset_execution_trackers()
    with client.setup_kernel(env=env, stderr=subprocess.DEVNULL):
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        assert client.km is not None
        return _peak_megabytes(getattr(client.km.provisioner, "pid", None))


def _peak_megabytes(pid: int | None) -> float:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return float("nan")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
    return int(found[1]) / 1000 if found else float("nan")


def clean(notebook: NotebookNode) -> NotebookNode:
    """Keep sources, tags, folds, outputs, counts and ids; drop all that a rerun could change.
    What is folded follows from its name, see road.py."""
    from nbformat import from_dict

    set_folds(notebook)
    notebook.metadata = from_dict(METADATA)
    for cell in notebook.cells:
        kept = {name: value for name, value in FOLDS if cell.metadata.get(name) == value}
        tags = cell.metadata.get("tags")
        cell.metadata = from_dict(kept | ({"tags": tags} if tags else {}))
        cell.pop("attachments", None)
        if cell.cell_type == "code":
            cell.outputs = _merge_streams(cell.outputs)
            for output in cell.outputs:
                if picture := output.get("data", {}).get("image/png"):
                    output.data["image/png"] = few_colors(picture)
    return notebook


def few_colors(picture: str) -> str:
    """A PNG, in base64, with at most 256 colours: a third of the bytes, and no eye sees it.
    One that has a palette already is returned as it is, so that a second time changes nothing."""
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        if image.mode == "P":
            return picture
        flat = Image.new("RGB", image.size, "white")
        flat.paste(image, mask=image.getchannel("A") if "A" in image.getbands() else None)
    buffer = io.BytesIO()
    flat.quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring pieces of one stream: where a kernel cuts them is an accident."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if output.output_type == "stream" and last is not None and last.get("name") == output.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def differences(stored: NotebookNode, fresh: NotebookNode) -> list[str]:
    """Name the cells in which a fresh run differs, leaving out outputs of `measured` cells."""
    found = []
    for number, (old, new) in enumerate(zip(stored.cells, fresh.cells, strict=True)):
        if "measured" in old.metadata.get("tags", []):
            old, new = ({**cell, "outputs": []} for cell in (old, new))
        if old != new:
            fields = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
            found.append(f"cell {number} ({old['id']}): {', '.join(fields)} changed")
    same = same_metadata(stored.metadata, fresh.metadata)
    if not same or stored.nbformat_minor != fresh.nbformat_minor:
        found.append("the notebook's metadata changed")
    return found


def same_metadata(one: Mapping, other: Mapping) -> bool:
    """Whether two notebooks' metadata are equal, but for the Python that executed them."""
    return _without_version(one) == _without_version(other)


def _without_version(metadata: Mapping) -> dict:
    language = dict(metadata.get("language_info", {}))
    return {**metadata, "language_info": language | {"version": None} if language else None}


def execute_file(path: Path, *, check: bool = False) -> bool:
    """Execute and clean one file in place; or, with `check`, compare and leave it alone."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    stored, notebook = read(path), read(path)
    if not check:
        synchronise(notebook, path.name, address())
    start = time.monotonic()
    try:
        peak = execute(notebook, path.resolve().parent)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f"{path}: failed, and is left as it was\n{error}", file=sys.stderr)
        return False
    print(f"{path}: {time.monotonic() - start:.0f} s, {peak:.0f} MB at the peak")
    clean(notebook)
    if not check:
        path.write_text(to_text(notebook), encoding="utf-8")
        return True
    found = differences(stored, notebook)
    if not found and to_text(stored) != path.read_text(encoding="utf-8"):
        found = ["the file is not in the form that `execute` writes"]
    for line in found:
        print(f"{path}: {line}", file=sys.stderr)
    return not found


def clean_file(path: Path, *, check: bool = False) -> bool:
    """Bring one file into the form that `execute` writes, without running it; outputs stay.

    The notebook still says which Python executed it.

    Args:
        check: leave the file alone, and say on stderr where it is in another form.

    Returns:
        Whether the file is in that form now.
    """
    stored, notebook = read(path), read(path)
    synchronise(notebook, path.name, address())
    clean(notebook)
    if "version" in stored.metadata.get("language_info", {}):
        notebook.metadata.language_info.version = stored.metadata.language_info.version
    before, after = path.read_text(encoding="utf-8"), to_text(notebook)
    if before == after:
        return True
    if not check:
        path.write_text(after, encoding="utf-8")
        print(f"cleaned {path}")
        return True
    for line in differences(stored, notebook) or ["written in another form than `execute` writes"]:
        print(f"{path}: {line}; run python -m rlbook.book clean", file=sys.stderr)
    return False


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rlbook.book", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("execute", help="run and clean notebooks in place")
    run.add_argument("notebooks", nargs="+", type=Path)
    run.add_argument("--check", action="store_true", help="compare with the stored file only")
    tidy = commands.add_parser("clean", help="bring notebooks into that form without running them")
    tidy.add_argument("notebooks", nargs="+", type=Path)
    tidy.add_argument("--check", action="store_true", help="only say whether they are in it")
    commands.add_parser("install-cell", help="print the first code cell of a notebook")
    where = commands.add_parser("address", help="set the repository's address, and write it out")
    where.add_argument("url", nargs="?", help="without it, write the present one out again")
    options = parser.parse_args(arguments)
    if options.command == "execute":
        results = [execute_file(path, check=options.check) for path in options.notebooks]
        return 0 if all(results) else 1
    if options.command == "clean":
        results = [clean_file(path, check=options.check) for path in options.notebooks]
        return 0 if all(results) else 1
    if options.command == "install-cell":
        print(install_cell(address()))
        return 0
    if options.url:
        set_address(options.url.rstrip("/"))
    for path in synchronise_book():
        print(f"rewrote {path.relative_to(ROOT)}")
    return 0
