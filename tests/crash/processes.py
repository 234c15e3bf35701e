"""Processes that take turns at every effect: threads of which one runs at a time, chosen by a seed.

A process can be made to die at its n-th effect: from then on it has no effect at all, whatever its ``finally`` blocks
try, as if it had been killed.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence

TURN_SECONDS = 60.0
"""How long a turn may take: far more than any does."""

MAX_WAITS = 100_000
"""How often processes may find a lock held, before the run is said to hang."""


_running = threading.local()


def current() -> Process | None:
    """Return the process whose thread this is, or None."""
    process: Process | None = getattr(_running, "process", None)
    return process


class Died(BaseException):
    """The process was killed. Not an Exception: no code may catch it and go on."""


class Process:
    """One process of a simulation.

    Args:
        body: what it does; gets the process.
        dies_at: the number of the effect, from 1, before which it is killed; None for never.
    """

    def __init__(self, body: Callable[[Process], None], dies_at: int | None = None) -> None:
        self.body = body
        self.dies_at = dies_at
        self.steps = 0
        self.turns_taken = 0
        self.dead = False
        self.over = False
        self.error: BaseException | None = None
        self.turn = threading.Semaphore(0)
        self.turns: Turns | None = None

    def gate(self, what: str) -> None:
        """Wait for a turn before an effect; die here if this is the one to die at.

        To wait and to read are no effects: they take turns, and are not counted.
        """
        if self.turns is None:
            return
        self.turns.before_step()
        if not what.startswith(("wait", "read")):
            self.steps += 1
        if self.dead or self.steps == self.dies_at:
            self.dead = True
            raise Died
        self.turns.hand_over(self, waits=what.startswith("wait"))


class Turns:
    """Runs processes, one at a time.

    Args:
        seed: of the choice of who is next.
        before_step: called before each effect, by the process whose turn it still is.
        switch_at: after how many of its turns the first process is held up once, until the others are over or wait
            for it; None: who is next is drawn at every turn.
    """

    def __init__(self, seed: int, before_step: Callable[[], None], switch_at: int | None = None) -> None:
        self._switch_at = switch_at
        self._draw = random.Random(seed)
        self._often = self._draw.choice((0.03, 0.1, 0.4, 1.0))
        self._ended = threading.Event()
        self._waits = 0
        self.before_step = before_step
        self.processes: list[Process] = []

    def run(self, processes: Sequence[Process]) -> None:
        """Run them until all are over; raise what one of them raised, other than `Died`."""
        self.processes = list(processes)
        threads = [threading.Thread(target=self._run, args=(process,), daemon=True) for process in processes]
        for process in processes:
            process.turns = self
        for thread in threads:
            thread.start()
        first = self.processes[0] if self._switch_at is not None else self._draw.choice(self.processes)
        first.turn.release()
        ended = self._ended.wait(TURN_SECONDS)
        for process in processes:
            process.turns = None
        for thread in threads:
            thread.join(TURN_SECONDS if ended else 0)
        errors = [process.error for process in processes if process.error is not None]
        if errors:
            raise errors[0]
        if not ended:
            raise TimeoutError(f"the processes did not end within {TURN_SECONDS:g} seconds")

    def _run(self, process: Process) -> None:
        self._await(process)
        _running.process = process
        try:
            process.body(process)
        except Died:
            pass
        except BaseException as error:
            process.error = error
        process.over = True
        self.before_step()
        alive = [other for other in self.processes if not other.over]
        if alive:
            self._draw.choice(alive).turn.release()
        else:
            self._ended.set()

    def hand_over(self, process: Process, *, waits: bool) -> None:
        """Let another process run, or the same one go on."""
        alive = [other for other in self.processes if not other.over]
        if waits:
            self._waits += 1
            others = [other for other in alive if other is not process]
            if not others or self._waits > MAX_WAITS:
                raise TimeoutError("a process waits for a lock that nobody gives back")
            alive = others
        elif self._stays(process):
            return
        if self._switch_at is not None and not waits:
            alive = [other for other in alive if other is not process] or alive
        following = self._draw.choice(alive)
        if following is not process:
            following.turn.release()
            self._await(process)

    def _stays(self, process: Process) -> bool:
        process.turns_taken += 1
        if self._switch_at is None:
            return self._draw.random() >= self._often
        return process is not self.processes[0] or process.turns_taken != self._switch_at

    def _await(self, process: Process) -> None:
        if not process.turn.acquire(timeout=TURN_SECONDS):
            raise TimeoutError(f"a turn did not come within {TURN_SECONDS:g} seconds")
