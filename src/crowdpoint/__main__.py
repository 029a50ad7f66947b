"""Run the `crowdpoint` command as `python -m crowdpoint`."""

from crowdpoint.cli import main

if __name__ == "__main__":
    main()
