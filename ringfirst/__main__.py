"""``python -m ringfirst`` is the command ``ringfirst``."""

from ringfirst.cli import main

if __name__ == "__main__":
    main()
