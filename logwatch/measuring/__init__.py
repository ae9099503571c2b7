"""The measuring room: attributed events in, rates per key out. It reads no file and no clock."""
