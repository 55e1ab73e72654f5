"""The book's diagrams: `python -m rlbook.figures [NAME ...]` redraws them into figures/.

The files are the same byte for byte whenever the same version of matplotlib draws them.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from rlbook import (
    diagrams_acting,
    diagrams_book,
    diagrams_dqn,
    diagrams_gae,
    diagrams_models,
    diagrams_part_1,
    diagrams_policy_gradient,
    diagrams_rlhf,
    diagrams_sarsa,
    diagrams_td,
)
from rlbook.drawing import draw_named
from rlbook.plotting import use_style

FOLDER = Path(__file__).parent.parent / "figures"
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


def save(name: str, folder: Path = FOLDER) -> Path:
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
