"""Reports that a test does not expect."""


def expect_silence(line: str) -> None:
    """A function to report to, which fails with the message."""
    raise AssertionError(line)
