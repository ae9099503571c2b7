"""Beside the way of a line: what another threshold, step or policy would have meant. No I/O."""
