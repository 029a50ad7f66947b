"""Count people in zones of a video, with alerts: `python examples/watch_video.py street.mp4 zones.yaml`.

Needs `pip install '.[video]'`. The video may be a file, a camera's number or an RTSP URL.
"""

import argparse
import threading
from contextlib import closing
from pathlib import Path

import crowdpoint
from crowdpoint import zones
from crowdpoint.video.frames import Pace
from crowdpoint.video.picture import Painter
from crowdpoint.video.sources import open_source
from crowdpoint.video.watcher import Watcher
from crowdpoint.video.writer import VideoWriter


def main() -> None:
    """Print a line for each frame and alert, and write the annotated video."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", help="file, camera number or URL")
    parser.add_argument("zones", type=Path, help="YAML file of zones and their alerts")
    parser.add_argument("--out", type=Path, default="watched.mp4", help="video to write (%(default)s)")
    parser.add_argument("--fps", type=float, default=2.0, help="counted frames per second (%(default)s)")
    parser.add_argument("--model", default="fidtm-lite", help="name or file of the model (%(default)s)")
    arguments = parser.parse_args()

    known = zones.load(arguments.zones)
    watcher = Watcher(crowdpoint.load(arguments.model), arguments.fps, known)
    source = open_source(arguments.video, Pace(fps=arguments.fps), retries=8, report=print)
    stop = threading.Event()  # set it to stop a camera
    painter = Painter(known)
    with closing(VideoWriter(arguments.out, arguments.fps)) as video:
        for frame in source.frames(stop):
            sighting = watcher.see(frame)
            figures = ", ".join(f"{zone.zone} {zone.smoothed:g}" for zone in sighting.count.zones)
            print(f"{frame.seconds:7.1f} s: {sighting.count.count} people; {figures}")
            for alert in sighting.alerts:
                print(f"ALERT {alert.state}: {alert.zone} has {alert.value:g}, limit {alert.level:g}")
            picture = painter.paint(frame.pixels, sighting.points, sighting.count, sighting.persons.tolist())
            video.write(picture, frame.seconds)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
