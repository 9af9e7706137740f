"""Who is who, and where: detections of single frames become tracks of single objects, and these cross zones and lines.

kalman        where a box is and how fast it goes, with dt in seconds, over all tracks at once
association   how alike a track and a detection are, and the best way to pair them all
kinds         which classes may be one object (a truck that looks like a car for one frame)
table         the one table of tracks, a row each
tracker       the steps of one frame, in order
memory        what zones and lines carry of each live track from frame to frame
polygons      which track stands in which zone, who entered, who left
lines         who crossed which line, which way, once
journal       the last value of each key, on disk
counters      how many went in and out, and survived a restart
zones         the zones and lines of one camera over its tracks
"""
