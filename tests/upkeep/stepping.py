"""Two programs that take turns step by step, in every order there is: a checker of schedules over the real code.

A program is a function that runs in a thread of its own and gives the turn away at each gate. Which program goes on is
a choice; the list of choices is the schedule. All schedules are gone through by running again and again, each time with
the next list.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

PATIENCE = 60.0
"""Seconds that one step may take; far more than any does."""


class Killed(BaseException):
    """The program was killed: no code may catch it, and nothing that it still tries has an effect."""


@dataclass
class Program:
    """One program and where it stands."""

    body: Callable[[], None]
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    steps: list[str] = field(default_factory=list)
    killed: bool = False
    over: bool = False
    error: BaseException | None = None


class Turns:
    """Runs programs by a list of choices; where it ends, the first program that can goes on.

    Args:
        bodies: the programs.
        choices: at each step, which of the options is taken.
        kills: which programs can be killed; one is, at most.
        draw: chooses where ``choices`` ends; the first option is taken where not given.
    """

    def __init__(
        self, bodies: Sequence[Callable[[], None]], choices: Sequence[int], kills: Sequence[int], draw: Random | None
    ) -> None:
        self.programs = [Program(body) for body in bodies]
        self._choices = choices
        self._kills = kills
        self._draw = draw
        self._back = threading.Semaphore(0)
        self.options: list[int] = []
        self.taken: list[int] = []

    def run(self) -> None:
        """Run until all programs are over; raise the error of the first that failed."""
        threads = [threading.Thread(target=self._start, args=(program,), daemon=True) for program in self.programs]
        for program, thread in zip(self.programs, threads, strict=True):
            thread.start()
            self._wake(program)  # To its first gate: nothing has happened yet.
        while any(not program.over for program in self.programs):
            program, kill = self._choose()
            program.killed = kill
            self._wake(program)
        for thread in threads:
            thread.join(PATIENCE)
        for program in self.programs:
            if program.error is not None:
                raise program.error

    def gate(self, what: str, is_step: bool) -> None:
        """Called by a program before whatever has an effect; to wait for its turn where that is a step."""
        program = _current.program
        if program is None:
            return
        if is_step and not program.killed:
            program.steps.append(what)
            self._back.release()
            assert program.go.acquire(timeout=PATIENCE), "a program waited for its turn in vain"
        if program.killed:
            raise Killed

    def _choose(self) -> tuple[Program, bool]:
        alive = [program for program in self.programs if not program.over]
        options = [(program, False) for program in alive]
        if not any(program.killed for program in self.programs):
            # Before its first step there is nothing to kill.
            mortal = [self.programs[number] for number in self._kills]
            options += [(program, True) for program in alive if program in mortal and len(program.steps) > 1]
        at = len(self.taken)
        drawn = 0 if self._draw is None else self._draw.randrange(len(options))
        choice = self._choices[at] if at < len(self._choices) else drawn
        self.options.append(len(options))
        self.taken.append(choice)
        return options[choice]

    def _wake(self, program: Program) -> None:
        program.go.release()
        assert self._back.acquire(timeout=PATIENCE), f"a program hangs after {program.steps}"

    def _start(self, program: Program) -> None:
        assert program.go.acquire(timeout=PATIENCE)
        _current.program = program
        try:
            program.body()
        except Killed:
            pass
        except BaseException as error:
            program.error = error
        program.over = True
        self._back.release()


class _Current(threading.local):
    program: Program | None = None


_current = _Current()


def every(run: Callable[[Sequence[int]], Turns]) -> Iterator[Turns]:
    """Run every schedule there is, one after another."""
    choices: list[int] = []
    while True:
        turns = run(choices)
        yield turns
        choices = list(turns.taken)
        while choices and choices[-1] == turns.options[len(choices) - 1] - 1:
            choices.pop()
        if not choices:
            return
        choices[-1] += 1
