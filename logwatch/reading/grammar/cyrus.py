"""What Cyrus SASL, by which Postfix and Sendmail may check logins, says of a login that failed.

Written after its `sasl.h` and `sasl_errstring`. Most of its words are about the client: a wrong password, a login that
nobody has or that is locked, a broken exchange. The others are these.
"""

from __future__ import annotations

import re

# Nothing was found out about any password: whoever knows them was away (a saslauthd that does not answer is a "generic
# failure", one that says no an "authentication failure"), or the way to log in is not offered.
_UNCHECKED = (
    "generic failure",
    "no memory available",
    "no mechanism available",
    "transient failure (e.g., weak key)",
    "SASL library is not initialized",
    "mechanism too weak for this user",
    "encryption needed to use mechanism",
    "version mismatch with plug-in",
    "remote authentication server unavailable",
)

UNCHECKED = "|".join(map(re.escape, _UNCHECKED))
