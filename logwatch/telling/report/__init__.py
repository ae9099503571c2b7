"""One self-contained HTML page that tells what was decided, or would have been: no network, no script, printable.

findings   what the page shows, as values
tally      makes them from the steps of a replay, or from the decisions of a journal
page       lays them out
charts     bars and spans in SVG
markup     the only place where text becomes HTML: whatever is not markup is escaped
"""
