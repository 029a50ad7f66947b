"""Measure the memory that is available to this process."""

import sys
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_GROUPS = (  # limit, usage, statistics and name of the file cache, in cgroup v2 and v1
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def get_available(groups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return the free memory in bytes of this machine and its container's control group; None if unknown."""
    free = [_read_field(_MEMINFO, "MemAvailable:", 1024), *(_read_group(groups, *names) for names in _GROUPS)]
    return min((value for value in free if value is not None), default=None)


def restrict(extra: int) -> None:
    """Limit this process to `extra` bytes more than it has; larger allocations fail.

    Does nothing on systems that do not report the memory of a process.
    """
    used = _read_field(Path("/proc/self/status"), "VmData:", 1024)
    if sys.platform == "win32" or used is None:
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = used + extra
    resource.setrlimit(
        resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard)
    )


def _read_group(folder: Path, limit: str, usage: str, statistics: str, cache: str) -> int | None:
    try:
        most, used = (int((folder / name).read_text()) for name in (limit, usage))
    except (OSError, ValueError):  # no such group, or no limit (the word "max")
        return None
    return max(0, most - used + (_read_field(folder / statistics, cache, 1) or 0))


def _read_field(path: Path, name: str, unit: int) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.split()[:1] == [name]]
    return int(found[0]) * unit if found else None
