"""What it costs to watch a training run: Cockpit on the bare loop, and our statistics, each as often and against its own loop.

Cockpit is measured where it can be imported; ``PEERS.md`` says how, and what was found once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import torch
from torch import nn

from benchmarks.measure import Row, Summary, in_turns, ratio, say
from benchmarks.nets import bare_loop, digits
from dropviz.training import Block

INTERVAL, STEPS = 64, 512
CONFIGURATIONS = ("economy", "business", "full")  # Cockpit's own
BARE, STILL, OURS = "bare loop", "DropViz, no statistics", f"DropViz, statistics every {INTERVAL} steps"


def measure(*, quick: bool) -> list[Row]:
    """Processor time of a step of the default preset without dropout, one seed, over a run with eight looks.

    Not the same quantities: Cockpit has the gradient's distribution too, DropViz the regularizer and the noise of masks.
    """
    contenders: dict[str, Callable[[], float]] = {
        STILL: partial(_ours, 0),
        OURS: partial(_ours, STEPS // INTERVAL),
    }
    against = {OURS: STILL}
    if find_spec("cockpit") is None:
        say("Cockpit cannot be imported and is left out: benchmarks/PEERS.md says how to have it.")
    else:
        contenders[BARE] = _bare
        for label in CONFIGURATIONS:
            name = f"Cockpit, {label}, every {INTERVAL} steps"
            contenders[name], against[name] = partial(_cockpit, label), BARE
    for run in contenders.values():
        run()
    times = in_turns(contenders, 3 if quick else 9)
    return [
        Row(
            name=name,
            value=Summary.of([1000 * seconds for seconds in times[name]]),
            unit="CPU-ms a step",
            ratios={against[name]: ratio(times, name, against[name])} if name in against else {},
        )
        for name in contenders
    ]


def _ours(statistics: int) -> float:
    settings = [
        f"train.steps={STEPS}",
        f"observe.evaluations={STEPS // INTERVAL}",
        f"observe.statistics={statistics}",
    ]
    block = Block(digits(*settings), "none", [0])
    started = time.process_time()
    while not block.finished:
        block.advance()
    return (time.process_time() - started) / STEPS


def _bare() -> float:
    loop = bare_loop(digits(), 0, dropout=False)
    started = time.process_time()
    for _ in range(STEPS):
        loop.update()
    return (time.process_time() - started) / STEPS


def _cockpit(label: str) -> float:
    """The bare loop as Cockpit wants it: network and loss extended, the individual losses handed over."""
    from backpack import extend
    from cockpit import Cockpit
    from cockpit.utils import configuration, schedules

    loop = bare_loop(digits(), 0, dropout=False)
    network, criterion = extend(loop.network), extend(loop.criterion)
    individual = nn.CrossEntropyLoss(reduction="none")
    quantities = configuration.configuration(label, track_schedule=schedules.linear(interval=INTERVAL))
    cockpit = Cockpit(network.parameters(), quantities)
    started = time.process_time()
    for step in range(STEPS):
        rows = torch.randint(len(loop.x), (loop.batch_size,))
        loop.optimizer.zero_grad()
        z = network(loop.x[rows])
        loss = criterion(z, loop.y[rows])
        info = {
            "batch_size": loop.batch_size,
            "individual_losses": individual(z, loop.y[rows]),
            "loss": loss,
            "optimizer": loop.optimizer,
        }
        with cockpit(step, info=info):
            loss.backward(create_graph=cockpit.create_graph(step))
        loop.optimizer.step()
    return (time.process_time() - started) / STEPS
