"""Ctrl-C: what waits for it, and what it must not break."""

import signal
import subprocess
import sys
import threading

import pytest

from rlbook.ground.progress import uninterrupted


def test_ctrl_c_comes_at_the_end_of_the_block():
    handler, done = signal.getsignal(signal.SIGINT), []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done.append("all")
    assert done == ["all"] and signal.getsignal(signal.SIGINT) is handler
    with uninterrupted():
        pass


def test_an_error_of_the_block_comes_first_and_the_handler_is_back():
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        1 / 0  # noqa: B018
    assert signal.getsignal(signal.SIGINT) is handler


def test_in_another_thread_nothing_is_changed():
    done = []

    def work():
        with uninterrupted():
            done.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [signal.getsignal(signal.SIGINT)]


AT_ONE_OF_800 = """
import os, signal, sys
from rlbook.deep import ppo

class CtrlC:
    count = 0
    def find_spec(self, name, path=None, target=None):
        CtrlC.count += 1
        if CtrlC.count == 300:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, CtrlC())
short = ppo.Config(total_steps=1024, num_evals=2, evaluation_episodes=1)
try:
    print("interrupted", ppo.train("CartPole-v1", short, num_runs=1, progress=False).interrupted)
except KeyboardInterrupt:
    print("interrupted True")
print("of 300:", CtrlC.count >= 300)
print("interrupted", ppo.train("CartPole-v1", short, num_runs=1, progress=False).interrupted)
"""


@pytest.mark.slow
def test_ctrl_c_in_the_first_second_leaves_a_process_that_can_train():
    """While the first training imports 800 modules; later ones would find half of them."""
    ended = subprocess.run([sys.executable, "-c", AT_ONE_OF_800], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.splitlines() == ["interrupted True", "of 300: True", "interrupted False"]
