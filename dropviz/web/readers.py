"""The readers of what somebody watches: made by the first who asks, shared by all, forgotten when nobody has for a while."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from dropviz.store import Store
from dropviz.web.classroom import pooled
from dropviz.web.classroom.pooled import PooledReader
from dropviz.web.feed import Feed
from dropviz.web.reader import Reader

# More than the hundred people that a server is for: in a full shelf each who asks drives out one whose viewers ask again. A
# finished run of the preset for classes takes 0.2 MB.
MOST_EXPERIMENTS, MOST_CLASS_VIEWS = 256, 64
IDLE_SECONDS = 120.0

F = TypeVar("F", bound=Feed)


class Readers:
    """Those over one store. Views of classes have a shelf of their own: whoever has a class's link can name many of them."""

    def __init__(
        self, store: Store, experiments: int = MOST_EXPERIMENTS, class_views: int = MOST_CLASS_VIEWS
    ) -> None:
        self._experiments = Shelf(lambda view_id: Reader(store, view_id), experiments)
        self._class_views = Shelf(lambda view_id: PooledReader(store, view_id), class_views)

    def __len__(self) -> int:
        return len(self._experiments) + len(self._class_views)

    def get(self, view_id: str) -> Feed:
        """The reader of this experiment, or of this view of a class, made where there is none.

        Raises:
            UnknownExperiment: No experiment has this id.
            UnknownClass: No class has this link, or no run in it these settings.
        """
        shelf: Shelf[Reader] | Shelf[PooledReader] = self._experiments
        if view_id.startswith(pooled.PREFIX):
            shelf = self._class_views
        return shelf.get(view_id)

    def pool(self, view_id: str) -> PooledReader:
        """The reader of a view of a class; see ``get``."""
        return self._class_views.get(view_id)

    def forget(self) -> None:
        """Let go of those that nobody has used for a while, which asking for one does, too."""
        self._experiments.forget()
        self._class_views.forget()


class Shelf(Generic[F]):
    """The feeds that were asked for last, by name.

    Args:
        make: Makes the feed of a name. It may take its time: meanwhile nobody waits who asks for another one.
        most: How many there are at most.
    """

    def __init__(self, make: Callable[[str], F], most: int) -> None:
        self._make, self.most = make, most
        self._lock = threading.Lock()
        self._places: OrderedDict[str, _Place[F]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def get(self, name: str) -> F:
        """The feed of this name. What cannot be made raises its error, and takes no place."""
        with self._lock:
            place = self._places.setdefault(name, _Place())
            self._places.move_to_end(name)
            place.used_at = time.monotonic()
        try:
            feed = place.feed(lambda: self._make(name))
        except BaseException:
            with self._lock:
                if self._places.get(name) is place:
                    del self._places[name]
            raise
        self.forget()
        return feed

    def forget(self) -> None:
        """Let go of the feeds that nobody has asked for in ``IDLE_SECONDS``, and of the ones unused longest where there are too many."""
        now = time.monotonic()
        with self._lock:
            while self._places:
                name, place = next(iter(self._places.items()))
                if len(self._places) <= self.most and now - place.used_at < IDLE_SECONDS:
                    return
                del self._places[name]


class _Place(Generic[F]):
    def __init__(self) -> None:
        self.used_at = 0.0
        self._lock = threading.Lock()
        self._feed: F | None = None

    def feed(self, make: Callable[[], F]) -> F:
        """The one that is here, made by the first who asks."""
        with self._lock:
            if self._feed is None:
                self._feed = make()
            return self._feed
