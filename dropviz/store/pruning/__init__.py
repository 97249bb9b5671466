"""Deleting what is old: experiments and sweeps that nobody keeps, and with them what then belongs to nobody.

Kept whatever its age: what is pinned, shared, of a class, or under way; a sweep as long as one of its cells is. Everything is
decided from one look at the store (``plan``) and done in many small transactions (``carry_out``), each of which looks again, so
that others read and write meanwhile, and what somebody pins, joins or takes back in the last moment stays.
"""

from dropviz.store.pruning.planning import Plan, Rules, carry_out, plan, plan_uploads
from dropviz.store.pruning.retention import DAY, TRASH_DAYS

__all__ = ["DAY", "TRASH_DAYS", "Plan", "Rules", "carry_out", "plan", "plan_uploads"]
