"""Which workers a cluster has, whether each is fit for jobs, and how many it takes."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from distributed import Client

from dropviz import settings
from dropviz.engine.checkpoints import Checkpoints
from dropviz.engine.cluster import facts, remote
from dropviz.engine.cluster.facts import Facts
from dropviz.store import Store

SLOT = "slot"  # what a worker declares to take jobs: --resources slot=1
ANSWER_SECONDS = 10.0
LOOK_SECONDS = 60.0  # it may import DropViz from a network disk first,
WARM_SECONDS = 180.0  # and then torch
SILENT_SECONDS = 10.0  # workers report every second or so
LOOK_AGAIN_SECONDS = 30.0

logger = logging.getLogger(__name__)


@dataclass
class Member:
    """A worker process that the scheduler knows; fit for jobs once it has ``facts`` and is ``warm``."""

    address: str
    slots: int
    facts: Facts | None = None
    warm: bool = False
    looking: asyncio.Task[None] | None = None
    looked_at: float = float("-inf")
    objection: str = ""
    heard: tuple[float, float] = field(
        default=(-1.0, 0.0)
    )  # the scheduler's time of its last word, and ours when it was new

    @property
    def usable(self) -> bool:
        """Whether it may get another job now."""
        return self.warm and time.monotonic() - self.heard[1] < SILENT_SECONDS


class Roster:
    """The workers by their addresses.

    Args:
        client: The connection to their scheduler.
        store: Where this engine is registered, which a fit worker finds there, too.
    """

    def __init__(self, client: Client, store: Store) -> None:
        self.members: dict[str, Member] = {}
        self._client, self._store = client, store
        self._folder = Checkpoints(store).folder

    def update(self, listed: Mapping[str, Mapping[str, Any]]) -> list[Member]:
        """Take over what the scheduler lists; returns the members that are gone."""
        now = time.monotonic()
        there = {
            address: about for address, about in listed.items() if about["status"] in ("running", "paused")
        }
        gone = [self.members.pop(address) for address in list(self.members) if address not in there]
        for member in gone:
            logger.info("worker %s is gone", member.address)
            if member.looking:
                member.looking.cancel()
        for address, about in there.items():
            slots = _slots(about)
            member = self.members.setdefault(address, Member(address=address, slots=slots))
            if member.heard[0] != about["last_seen"]:
                member.heard = (about["last_seen"], now)
            if not member.warm and member.looking is None and now - member.looked_at > LOOK_AGAIN_SECONDS:
                member.looking = asyncio.create_task(self._look(member, _shortage(about)))
        return gone

    def sharing(self, member: Member) -> int:
        """How many jobs run at once on a member's machine."""
        there = [(other.facts, other.slots) for other in self.members.values() if other.warm]
        return sum(
            slots
            for found, slots in there
            if found and member.facts and found.machine == member.facts.machine
        )

    async def ask(
        self, address: str, function: Callable[..., Any], *args: str, seconds: float = ANSWER_SECONDS
    ) -> Any:
        """Have a worker call one of the functions in ``remote``, beside whatever it runs.

        Raises:
            OSError: It does not answer, or cannot be reached.
            Exception: Whatever the function, or its import, raised there.
        """
        answers = await asyncio.wait_for(self._client.run(function, *args, workers=[address]), seconds)
        return answers[address]

    async def _look(self, member: Member, shortage: str) -> None:
        try:
            objection = shortage or await self._objection(member)
            if not objection:
                await self.ask(member.address, remote.warm, seconds=WARM_SECONDS)
                member.warm = True
                logger.info("worker %s takes %d jobs at once", member.address, member.slots)
        except (TimeoutError, OSError) as error:
            objection = f"it does not answer ({error or 'it took too long'})."
        except Exception as error:  # of its imports, or of torch's: whatever it was keeps it from working
            objection = (
                f"it cannot run DropViz ({type(error).__name__}: {error}): install the same version there."
            )
        finally:
            member.looking, member.looked_at = None, time.monotonic()
        if objection and objection != member.objection:
            logger.warning("worker %s gets no jobs: %s", member.address, objection)
        member.objection = objection

    async def _objection(self, member: Member) -> str:
        with facts.probe(self._folder) as (name, content):
            answer = await self.ask(
                member.address, remote.look, json.dumps({"probe": name}), seconds=LOOK_SECONDS
            )
        table = json.loads(answer)
        member.facts = Facts(**table | {"engines": tuple(table["engines"])})
        own = await asyncio.to_thread(self._own, content)
        return facts.objection(member.facts, own, one_machine=self._store.database.one_engine) or ""

    def _own(self, probe: str) -> Facts:
        return Facts(
            **facts.own_versions(),
            device=settings.device(),
            folder=str(self._folder),
            probe=probe,
            engines=tuple(worker.id for worker in self._store.workers()),
        )


def _slots(about: Mapping[str, Any]) -> int:
    return int(about["resources"].get(SLOT, 0))


def _shortage(about: Mapping[str, Any]) -> str:
    slots, threads = _slots(about), about["nthreads"]
    if slots < 1:
        return "it declares no slots: start it with --resources slot=1."
    if threads < slots:
        return f"it declares {slots} slots and has {threads} threads: start it with --nthreads {slots}."
    return ""
