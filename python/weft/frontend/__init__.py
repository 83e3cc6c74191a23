"""From Python source to staged IR: the only code that knows Python's syntax."""
