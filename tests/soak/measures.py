"""What a process holds, from /proc; and whether that grows."""

import dataclasses
import os
import pathlib


@dataclasses.dataclass
class Holdings:
    seconds: float
    anonymous_kib: int  # RssAnon + VmSwap: what the process itself took, mapped files apart
    n_threads: int
    n_files: int


def holdings(pid, seconds):
    lines = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    number = lambda name: int(lines[name].split()[0])  # noqa: E731
    return Holdings(seconds, number("RssAnon") + number("VmSwap"), number("Threads"), len(os.listdir(f"/proc/{pid}/fd")))


def slope(points):
    """Of the line that fits (x, y) best, by the median of the slopes of all pairs: single outliers do not matter."""
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1:] if b[0] > a[0])
    return slopes[len(slopes) // 2] if slopes else 0.0


def growth(points):
    """How much the fitted line rises over all points."""
    return slope(points) * (points[-1][0] - points[0][0]) if len(points) > 1 else 0.0


MOST_GROWTH = {"anonymous_kib": 4 << 10, "n_threads": 0.9, "n_files": 1.5}
LEAST_LOOKS = 6


def complaints(noted):
    """What grew among all that was noted, once every buffer had seen its largest."""
    if len(noted) < LEAST_LOOKS:
        return [f"too short to tell whether anything grows: looked {len(noted)} times"]
    calm = noted[len(noted) // 4:]
    found = []
    for name, most in MOST_GROWTH.items():
        rise = growth([(each.seconds, getattr(each, name)) for each in calm])
        print(f"growth of {name} from {calm[0].seconds:.0f} to {calm[-1].seconds:.0f} s: {rise:.1f}, at most {most}")
        if rise > most:
            found.append(f"{name} grew: {[getattr(each, name) for each in calm]}")
    return found
