"""The embedded server: events in over HTTP, decisions by the owner of all lanes, mails out by the sender beside it."""
