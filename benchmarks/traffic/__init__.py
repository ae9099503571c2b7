"""A month of mail at a site, with attacks in it whose truth is known: seeded, written as Postfix log lines.

    python -m benchmarks.traffic --site company --seed 1 --log mail.log --truth truth.json

What is modelled, and after what: send times are those of a real company where its public trace is at hand (every
account replays a stretch of one real sender, shifted and thinned), else sessions of a Poisson process with daily and
weekly cycles, gamma noise by day and short bursts (Malmgren 2008). Recipients come from address books used
preferentially, with a share of strangers. Around the people stand the machines that make false alarms: scanners,
monitoring, ticket systems, newsletters, list servers; and what changes addresses without malice: carriers, providers
that renumber every night, VPN exits, webmail, trips, moves. The attack families are in `attacks`.

    scene      what happens: messages, failed logins, probes, connections
    places     addresses that a registry gave to a country
    sending    when somebody writes, and to whom of his contacts
    profile    the two sites
    origins    from where somebody writes
    people     persons;  machines   what sends without being one;  outside   what comes in
    attacks    families A to G, and what they look like
    postfix    lines of what happens
    month      all of it, in order of time
"""
