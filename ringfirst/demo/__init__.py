"""The demo: what it has to tell, taken from its store and its mails, and the screen that tells it."""
