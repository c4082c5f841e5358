"""How long a batch waits for more records, by how many chunks wait in the sidecar's buffer. Pure.

Each flush of Fluent Bit makes a chunk for each tag that got a record, however few, and a chunk
stays until every output is done with it. While an output is down the number of chunks therefore
grows with the number of batches, not of records, and Fluent Bit can hold 16,384 at the most
(FLB_CONFIG_DEFAULT_TASK_MAP_SIZE_LIMIT). Records that come together share their chunks: so the
watcher collects for longer while chunks wait, and the other outputs get events a little later.
"""

from __future__ import annotations

# From so many waiting chunks on, a batch waits for so many seconds. The first row holds while every
# output delivers: a batch has waited for company already where it was read (kube/body.py).
#
# The others follow from 100 events a second with three tags and two queues, for required and for
# optional outputs: six chunks a batch. An outage then reaches the fourth row after some 50 minutes
# and the fifth after nearly a day. An event takes up to 1.7 s more than the wait, by the rest where
# it is read and by Fluent Bit's flush (measured with a rest of 0.4 s: 99 % within 1.2 s more), so
# the third row keeps new events within five seconds. Waiting costs little: 9,400 chunks that three
# outputs try take 3 % of a core.
LINGER_SECONDS = (
    (0, 0.0),
    (500, 2.0),
    (1_500, 3.0),
    (7_000, 55.0),
    (15_500, 600.0),
)


def linger_seconds(waiting_chunks: int) -> float:
    """The seconds for which a batch that is not full waits for more records."""
    return next(seconds for chunks, seconds in reversed(LINGER_SECONDS) if waiting_chunks >= chunks)


def is_collecting(waiting_chunks: int) -> bool:
    """Whether batches are held back to be sent together, also if some of them are full.

    Fluent Bit appends all that comes within one flush to one chunk for each tag.
    """
    return waiting_chunks >= LINGER_SECONDS[1][0]
