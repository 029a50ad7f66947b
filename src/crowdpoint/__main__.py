"""Run the `crowdpoint` command in a process of its own, also as `python -m crowdpoint`."""

from crowdpoint.cli import main


def run() -> None:
    """Run the command line as this process."""
    main(own_process=True)


if __name__ == "__main__":
    run()
