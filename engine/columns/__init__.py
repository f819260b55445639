"""State in columns: an array for each value that rules read, vectorised midnights, code printed by event type.

The faster twin of ``engine.state``: ``lane.ColumnLane`` gives the same facts as ``engine.lane.Lane``, which stays as
its judge. ``layout`` says what becomes a column, ``sheet`` holds the columns of one lane and zone, ``code`` prints
the Python that runs over them, ``rows`` lets the plain reading code read a row as if it were a plain state.
"""
