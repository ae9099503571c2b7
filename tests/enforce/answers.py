"""What the milter answers and logs of a record on bob, as most tests have one."""

FREE = "account:free@example.com"
TEMPFAIL = "450 4.7.1 Too much mail from this account, try again later (case 4F7K2A)"
BLOCK = "550 5.7.1 Sending is blocked for this account (case 4F7K2A)"


def verdict(action: str, mode: str = "enforce", login: str = "bob") -> str:
    return (
        f"verdict: {action}, mode={mode}, stage=MAIL, ref=4F7K2A, rule=strangers, key=account, "
        f"client_ip=192.0.2.1, sasl_username={login}"
    )
