"""The desktop simulation: a street clip, a broker and a terminal view, so that the whole agent runs without a board.

clip     the default clip, fetched once from the Debian archive and checksummed
serve    the broker's process
broker   starts it on 127.0.0.1; it ends with its parent
heard    what a subscriber was told: decoded, counted, and kept no longer than it is shown
render   what was heard -> lines of text; pure
view     subscribes as any other client would, and shows what arrives
"""
