"""One module for each word of the command line; heavy things are imported inside, so that ``--help`` comes at once."""
