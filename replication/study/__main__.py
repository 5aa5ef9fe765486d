"""`python -m replication.study`."""

from replication.study.app import main

if __name__ == "__main__":
    main()
