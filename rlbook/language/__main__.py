"""The command line of GRPO: any causal language model, a task with a verifier, a folder.

    python -m rlbook.language --model FOLDER_OR_HUB_NAME --task arithmetic --steps 500 \\
        --device cuda --dtype bfloat16 --output runs/sums
    python -m rlbook.language ... --output runs/sums --resume

The folder holds log.jsonl, one line a step; checkpoint/, from which --resume goes on exactly;
and at the end model/, which `from_pretrained` reads. Without --model it is the book's own.
"""

import argparse
import json
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import torch

from rlbook.language.grpo import Config, train
from rlbook.language.models import LanguageModel, load
from rlbook.language.pretraining import pretrained
from rlbook.language.tasks.task import TASKS


def main(arguments: list[str] | None = None) -> int:
    """Parse, train, write; returns the exit status."""
    options = make_parser().parse_args(arguments)
    task = TASKS[options.task]()
    if options.model is None:
        policy = pretrained(task)
        policy.model.to(options.device, getattr(torch, options.dtype or "float32"))
    else:
        dtype = getattr(torch, options.dtype) if options.dtype else None
        policy = load(options.model, device=options.device, dtype=dtype)
    names = [field.name for field in fields(Config) if field.name != "num_steps"]
    given = {name: getattr(options, name) for name in names}
    config = Config(num_steps=options.steps, **given)
    output = Path(options.output)
    folder, log = output / "checkpoint", Log(output / "log.jsonl")
    result = train(
        policy,
        task,
        config,
        seed=options.seed,
        checkpoint=folder,
        checkpoint_every=options.checkpoint_every,
        resume=folder if options.resume else None,
        on_step=log.write,
    )
    LanguageModel(result.models["policy"], policy.tokenizer).save(output / "model")
    print(f"{log.path}: {len(result.log.get('reward', ()))} steps, {result.wall_time:.0f} s")
    if result.interrupted:
        print("interrupted: what was learned is in the folder; --resume goes on")
    return int(bool(result.frozen))


def make_parser() -> argparse.ArgumentParser:
    """One option for each setting, with its default."""
    parser = argparse.ArgumentParser(
        prog="python -m rlbook.language",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", help="a folder, or a name on the hub; the book's own if missing")
    parser.add_argument("--task", choices=sorted(TASKS), default="arithmetic")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--output", required=True, help="a folder, made if missing")
    parser.add_argument("--resume", action="store_true", help="go on from its checkpoint")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint-every", type=int, default=50, help="steps")
    for field in fields(Config):
        if field.name != "num_steps":
            kind = int if field.default is None else type(field.default)
            name = "--" + field.name.replace("_", "-")
            default = None if field.default is MISSING else field.default
            parser.add_argument(name, type=kind, default=default, help=f"default: {default}")
    return parser


class Log:
    """A file of JSON lines, one a step; a continued training replaces the lines from there on."""

    def __init__(self, path: Path):
        self.path, self.begun = path, False

    def write(self, step: int, values: dict[str, float]) -> None:
        if not self.begun:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
            kept = [line for line in lines if json.loads(line)["step"] < step]
            self.path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
            self.begun = True
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
