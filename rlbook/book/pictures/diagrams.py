"""The book's diagrams: `python -m rlbook.book figures [NAME ...]` redraws them into figures/.

The files are the same byte for byte whenever the same version of matplotlib draws them.
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from rlbook.book.paths import FIGURES
from rlbook.book.pictures import of_the_book, part_1, part_2, part_3, part_4
from rlbook.book.pictures.drawing import draw_named
from rlbook.ground.plotting import use_style

DIAGRAMS: dict[str, Callable[[], Figure]] = {
    draw.__name__: draw
    for draw in (
        of_the_book.book_map,
        of_the_book.floors,
        of_the_book.chapter_rhythm,
        of_the_book.two_state_chain,
        part_1.agent_environment,
        part_1.time_line,
        part_1.ball_in_the_air,
        part_1.can_robot,
        part_1.machine,
        part_1.backup_diagrams,
        part_1.termination_truncation,
        part_1.policy_iteration_loop,
        part_1.generalised_dp_family,
        part_1.acting_from_v_and_q,
        part_2.n_step_backups,
        part_2.sarsa_backups,
        part_2.staggering_sailor,
        part_2.three_ways,
        part_3.tile_coding,
        part_3.run_axis,
        part_3.rollout_fields,
        part_3.dqn_loop,
        part_3.gae_scan,
        part_4.rlhf_episode,
    )
}


def save(name: str, folder: Path = FIGURES) -> Path:
    """Draw one diagram into folder/name.svg, text as paths, without date or random ids."""
    path = Path(folder) / f"{name}.svg"
    with plt.style.context("default"):
        use_style()
        plt.rcParams.update({"svg.hashsalt": f"rlbook {name}", "svg.fonttype": "path"})
        fig = DIAGRAMS[name]()
        fig.savefig(path, metadata={"Date": None})
        plt.close(fig)
    return path


def main(names: list[str]) -> int:
    return draw_named(names, DIAGRAMS, save, "diagram")
