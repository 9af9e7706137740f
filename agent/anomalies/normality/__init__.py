"""What is normal at one camera, learned from what it sees: no labels, bounded memory, old things fade.

habits     how often each value of an attribute occurs at each place, and how far out in the tail one is
traits     the attributes of a track: their bins, their tails, their words
likeness   what tracks were like at some thousand moments, and how far a new one is from them
loose      what is too quick for the tracker
walks      what each live track does just now: speed, direction, size, how long it stays
who        each track against what is known of tracks: its likeness, its stay, its hour
words      why a track is unusual, and what would be usual
counts     how many are there at this hour of the week, and how unlikely more are
many       the number in each zone against the counts of its hour
flow       how fast the picture moves at each place, now and then
stir       that speed against the habits of its place: what moves and has no name
spells     how strange the strangest moment of ten minutes usually is
tails      how rarely a track goes so far in one trait, so that all traits speak in one unit
memory     what was learned, on disk: one file, whole or not at all

Reiss & Hoshen, "Attribute-based Representations for Accurate and Interpretable Video Anomaly Detection" (2022): speed
and pose of tracked objects, scored by how dense the normal ones lie around them, rival deep features, and can say why.
Here a bounded set of moments is kept, so that it is learned online; what has no neighbour to be compared with (hours,
stays, the speed of cells) is counted in cells, the idea of half-space trees (Tan, Ting & Liu, IJCAI 2011).
"""
