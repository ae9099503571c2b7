"""Many gateways, one brain: lines go into a stream, decisions come out of a table that all share (NATS JetStream).

    gateway    ship: log ─▶ spool ─▶ lines.HOST                    table.> ─▶ sync: LMDB ─▶ milter
    controller lines.> ─▶ merging ─▶ the same core as anywhere ─▶ shared table, of the partitions that it holds

Every controller reads all lines, merges them alike and so takes the same decisions; leases say who of them publishes
which keys. Only this room, and the commands that start it, know that there is a network; only `link` imports nats.

Rooms: wire (a batch as bytes), spool, ship; merging (no I/O), stream (the source), shares (who holds what), shared (the
table), sync; link (the connection), layout (streams and subjects), credentials.
"""
