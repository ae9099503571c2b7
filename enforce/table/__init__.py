"""The deny table: an LMDB environment that one side writes and any number of milters read without waiting.

The only joint between the two halves; the light side owns the format.

    DIRECTORY/data.mdb, lock.mdb       one environment, its unnamed database
    account:… client:… net:…           a key of enforce.key, UTF-8 → one record, or an array of records, JSON
    account:*                          for every account that has no enforced record of the same action
    meta                               {"format": 1, "generation": N, "heartbeat": EPOCH, "seed": HEX, "capped": BOOL}

A record is an object with `action`, `mode`, `until`, `lease` (epoch seconds), `ref`, `rule`, and where they mean
something `share`, `max_recipients`, `text`. It counts while now < until and now < lease. A key carries more than one
where an enforced and an observed decision stand side by side. Other fields are ignored. `seed` was drawn when the
table was made: with it, throttles draw lots that no sender can foresee (enforce.verdict). `capped` says whether any
record has been a cap since the table was last written anew: only then need a milter be told of recipients.

Rules:
* A look-up has three answers: Denied, NotListed, Unusable. Whatever the files hold, it never raises.
* A change is visible to the next look-up once its transaction is committed; commits are atomic.
* Readers create nothing. They need write permission on lock.mdb, where LMDB notes which snapshot they look at: without
  it a writer could reuse pages under a reader's eyes, who would then deny the wrong account. So there is no reading
  without the lock, not even on a read-only mount (LMDB itself would); the answer is Unusable and says what to do.
* Every look-up asks for the data file's size (0.2 µs), so that one that was cut short, as by `cp` over it, is noticed
  before its pages are touched. Its device, inode and time are looked at twenty times a second (a stat, 1.4 µs), the
  format in `meta` and lock.mdb once a second: so it takes that long at most to notice a table that was removed,
  replaced, or overwritten in place with as many bytes. What changed is checked before it is used. One that appears is
  used at once.
* Files: directory 0750, data.mdb 0640, lock.mdb 0660. The milter's user reads through the group of the controller's.

Known limits: a file cut short in the very microseconds of a look-up kills the process (SIGBUS), and pages damaged
inside a file of the right shape are found by LMDB only when it comes across them. A process opens an environment once:
no Reader beside a Writer of the same table in one process (the answer is Unusable). To replace a table, rename.

Rooms: record (one decision, and its bytes), files (what both sides see of the files), reader, writer.
"""

from enforce.table.files import FORMAT, State, TableError, Unusable
from enforce.table.reader import NOT_LISTED, Answer, Denied, NotListed, Reader, import_all, peek
from enforce.table.record import ACTIONS, MODES, Record, decode, encode
from enforce.table.writer import OnChange, Swept, Writer

__all__ = [
    "ACTIONS",
    "FORMAT",
    "MODES",
    "NOT_LISTED",
    "Answer",
    "Denied",
    "NotListed",
    "OnChange",
    "Reader",
    "Record",
    "State",
    "Swept",
    "TableError",
    "Unusable",
    "Writer",
    "decode",
    "encode",
    "import_all",
    "peek",
]
