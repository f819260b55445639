"""What the events mean and what to do about them: state, measures, rulebook, decisions and the event store."""
