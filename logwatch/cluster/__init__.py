"""Many gateways that share one table: lines go into a stream, decisions come out of the table (NATS JetStream).

    gateway    ship: log ─▶ spool ─▶ lines.HOST                    table.> ─▶ sync: LMDB ─▶ milter
    controller lines.> ─▶ merging ─▶ the same core as anywhere ─▶ shared table, of the partitions that it holds

Every controller reads all lines, merges them alike and so takes the same decisions; leases say who of them publishes
which keys. Only this room, and the commands that start it, know that there is a network; only `link` connects.

On a gateway: wire (a batch as bytes), spool, ship, sync. On a controller: merging (no I/O), stream (the source),
bucket_table (the table), partition_leases (who publishes which keys), controller (joins them), figures. On both: link
(the connection), layout (streams and subjects), bucket, names, tasks, status; credentials are made beforehand.
"""
