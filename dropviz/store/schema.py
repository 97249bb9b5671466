"""The tables. A change here goes with a step in ``migrations.py``."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    true,
)

metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

# One row. Every change of any job's state advances it, because that may move everybody's place in the queue.
queue = Table("queue", metadata, Column("revision", Integer, nullable=False, default=0))

experiments = Table(
    "experiments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("spec", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("wants", Text, nullable=False),
    Column("watched_at", Float),  # of a command line: it is to stop when nobody watches it any more
    Column("revision", Integer, nullable=False, default=0),
    Column("origin", Text, nullable=False, server_default="lab"),  # see records.Origin
    # What people say of it.
    Column("name", Text, nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column("tags", Text, nullable=False, server_default="[]"),  # a JSON list of words
    Column("pinned", Boolean, nullable=False, server_default="0"),
    Column(
        "shared", Boolean, nullable=False, server_default="0"
    ),  # listed for everybody, not for its owner alone
    Column("deleted_at", Float),  # in nobody's lists since then; until it is pruned it can be taken back
    Column("class_id", ForeignKey("classes.id"), index=True),  # the class that it was started in
)
Index("experiments_by_owner", experiments.c.owner, experiments.c.created_at)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("spec", Text, nullable=False),
    Column("arm", Text, nullable=False),
    Column("seeds", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("wants", Text, nullable=False),
    Column("advance_once", Boolean, nullable=False, default=False),
    Column("step", Integer, nullable=False, default=0),
    Column("total", Integer, nullable=False),
    Column("steps_per_second", Float),
    Column("seq", Integer, nullable=False, default=-1),
    Column("begun_seq", Integer, nullable=False, default=-1),  # where the latest attempt began
    Column("attempt", Integer, nullable=False, default=0),
    Column("retries", Integer, nullable=False, default=0),
    Column("epoch", Integer, nullable=False, default=0),
    Column("revision", Integer, nullable=False, default=0),
    Column("queued_at", Float, nullable=False),
    Column("claimed_at", Float),
    Column("heartbeat_at", Float),
    Column("finished_at", Float),
    Column("worker_id", Text),
    Column("pid", Integer),
    Column("device", Text),
    Column("error", Text),
    Column("traceback", Text),
    # "train", which experiments ask for; "estimate" and "refresh" measure, and belong to no experiment.
    Column("kind", Text, nullable=False, server_default="train"),
    Column("cost_key", Text),  # of what measures: jobs of the same key take as long as each other
    Column("weights_of", ForeignKey("jobs.id")),  # of a refresh: whose weights are measured,
    Column("weights_step", Integer),  # and after how many steps
    Column("training_seconds", Float, nullable=False, server_default="0"),
    Column("evaluation_seconds", Float, nullable=False, server_default="0"),
    Column("statistics_seconds", Float, nullable=False, server_default="0"),
    sqlite_autoincrement=True,  # an id is never used twice in a store: checkpoints are named after it
)
Index("jobs_by_state", jobs.c.state, jobs.c.owner, jobs.c.queued_at)
Index("jobs_by_cost", jobs.c.cost_key)
Index("jobs_by_weights", jobs.c.weights_of)

results = Table(
    "results",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("reusable", Boolean, nullable=False, default=True),
    Column("seed", Integer, nullable=False),
    Column("job_id", ForeignKey("jobs.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
)
# Live and successful results are unique; failed and stopped ones stay as history and may be computed again.
Index(
    "one_reusable_result",
    results.c.key,
    unique=True,
    sqlite_where=results.c.reusable == true(),
    postgresql_where=results.c.reusable == true(),
)

experiment_results = Table(
    "experiment_results",
    metadata,
    Column("experiment_id", ForeignKey("experiments.id"), primary_key=True),
    Column("arm", Text, primary_key=True),
    Column("seed", Integer, primary_key=True),
    Column("result_id", ForeignKey("results.id"), nullable=False),
)

experiment_jobs = Table(
    "experiment_jobs",
    metadata,
    Column("experiment_id", ForeignKey("experiments.id"), primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), primary_key=True, index=True),
    Column("cached", Boolean, nullable=False),
)

points = Table(
    "points",
    metadata,
    Column("job_id", ForeignKey("jobs.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("step", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("values", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

arrays = Table(
    "arrays",
    metadata,
    Column("job_id", ForeignKey("jobs.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("step", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("dtype", Text, nullable=False),
    Column("shape", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
Index("arrays_by_name", arrays.c.job_id, arrays.c.name, arrays.c.seq)

# A grid of experiments over one or two knobs; a cell is an experiment like any other.
sweeps = Table(
    "sweeps",
    metadata,
    Column("id", Text, primary_key=True),
    Column("definition", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("owner", Text, nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    Column("deleted_at", Float),
)

sweep_cells = Table(
    "sweep_cells",
    metadata,
    Column("sweep_id", ForeignKey("sweeps.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("experiment_id", ForeignKey("experiments.id"), nullable=False, index=True),
)

# A class works on one experiment: some controls are locked, and every member has seeds of their own, by their seat.
classes = Table(
    "classes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("definition", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("owner", Text, nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    Column("closed_at", Float),  # nobody joins or runs since then; its results stay
)

class_members = Table(
    "class_members",
    metadata,
    Column("class_id", ForeignKey("classes.id"), primary_key=True),
    Column("visitor", Text, primary_key=True),
    Column("seat", Integer, nullable=False),
    Column("joined_at", Float, nullable=False),
)
Index("one_member_a_seat", class_members.c.class_id, class_members.c.seat, unique=True)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("device", Text, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("heartbeat_at", Float, nullable=False),
)

# Slot-seconds that an owner used lately; halves with time, so that a busy hour is forgiven.
usage = Table(
    "usage",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("slot_seconds", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)
