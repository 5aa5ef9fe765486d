"""`python -m replication.study`."""

from replication.study.commands import main

if __name__ == "__main__":
    main()
