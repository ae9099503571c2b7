"""The weighing room: what another threshold, next step or policy would have meant. Not for what runs live. No I/O."""
