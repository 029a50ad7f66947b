"""From a video or a live stream to counts over time: frames in, counts, alerts and pictures out."""
