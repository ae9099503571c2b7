"""The reading room: log bytes in, attributed events out."""
