"""The book's diagrams: `python -m rlbook.book figures [NAME ...]` redraws them into figures/.

The files are the same byte for byte whenever the same version of matplotlib draws them.
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from rlbook.book.paths import FIGURES
from rlbook.book.pictures import of_the_book as diagrams_book
from rlbook.book.pictures import part_1 as diagrams_acting
from rlbook.book.pictures import part_1 as diagrams_models
from rlbook.book.pictures import part_1 as diagrams_part_1
from rlbook.book.pictures import part_2 as diagrams_sarsa
from rlbook.book.pictures import part_2 as diagrams_td
from rlbook.book.pictures import part_3 as diagrams_dqn
from rlbook.book.pictures import part_3 as diagrams_gae
from rlbook.book.pictures import part_3 as diagrams_policy_gradient
from rlbook.book.pictures import part_4 as diagrams_rlhf
from rlbook.book.pictures.drawing import draw_named
from rlbook.ground.plotting import use_style

DIAGRAMS: dict[str, Callable[[], Figure]] = {
    draw.__name__: draw
    for draw in (
        diagrams_book.book_map,
        diagrams_book.floors,
        diagrams_book.chapter_rhythm,
        diagrams_book.two_state_chain,
        diagrams_part_1.agent_environment,
        diagrams_part_1.time_line,
        diagrams_models.can_robot,
        diagrams_part_1.machine,
        diagrams_part_1.backup_diagrams,
        diagrams_part_1.termination_truncation,
        diagrams_part_1.policy_iteration_loop,
        diagrams_part_1.generalised_dp_family,
        diagrams_acting.acting_from_v_and_q,
        diagrams_td.n_step_backups,
        diagrams_sarsa.sarsa_backups,
        diagrams_policy_gradient.tile_coding,
        diagrams_policy_gradient.run_axis,
        diagrams_policy_gradient.rollout_fields,
        diagrams_dqn.dqn_loop,
        diagrams_gae.gae_scan,
        diagrams_rlhf.rlhf_episode,
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
