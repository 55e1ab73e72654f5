"""The author's commands.

    python -m rlbook.book execute [--check] NOTEBOOK...    run notebooks, clean and store them
    python -m rlbook.book clean [--check] NOTEBOOK...      clean them without running them
    python -m rlbook.book folds [--check] NOTEBOOK...      close the folds that their names announce
    python -m rlbook.book times [--check] [CHAPTER ...]    write Read, Do, Dig into box and README
    python -m rlbook.book english NOTEBOOK...              find sentences that are hard to read
    python -m rlbook.book install-cell                     print the first code cell of a notebook
    python -m rlbook.book address [URL]                    say where the book lives, once
    python -m rlbook.book experiments CHAPTER              compute a chapter's stored comparisons
    python -m rlbook.book figures [NAME ...]               redraw diagrams
    python -m rlbook.book animations [NAME ...]            train again, and redraw animations
    python -m rlbook.book wavefront                        redraw the animation of chapter 4
    python -m rlbook.book flowing-back                     redraw the animation of chapter 0
    python -m rlbook.book index                            look up the places of the index again
    python -m rlbook.book renumber CHAPTER                 number its equations and figures anew
    python -m rlbook.book moved [--since REV]              list the numbers that a change moves
    python -m rlbook.book html [FOLDER]                    the book as web pages

Most of them explain themselves after --help.
"""

import importlib
import sys

COMMANDS = {
    **dict.fromkeys(("execute", "clean", "install-cell", "address"), "publish.execute"),
    **dict.fromkeys(("folds", "times"), "publish.road"),
    "experiments": "experiments.command_line",
    "figures": "pictures.diagrams",
    "animations": "pictures.animations",
    "wavefront": "pictures.wavefront",
    "flowing-back": "labs.flowing_back",
    "index": "publish.index",
    "renumber": "publish.renumber",
    "moved": "publish.moved",
    "html": "publish.html",
    "english": "publish.english",
}
"""Each command's module below rlbook.book; its `main` takes the arguments."""
OF_THE_LAB = {"jupyter_client", "nbclient", "nbconvert", "nbformat", "traitlets"}
"""What some of them need, and only the extra `lab` brings."""
KEEP_THEIR_NAME = {"publish.execute", "publish.road"}  # one module, several commands


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    if (command := arguments[0]) not in COMMANDS:
        print(f"no command {command}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    name = COMMANDS[command]
    module = importlib.import_module(f"rlbook.book.{name}")
    try:
        return module.main(arguments if name in KEEP_THEIR_NAME else arguments[1:])
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing not in OF_THE_LAB:
            raise
        print(f'{command} needs {missing}: pip install -e ".[lab]"', file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
