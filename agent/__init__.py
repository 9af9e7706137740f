"""Lookout's agent: camera frames in, tracks, events and anomalies out over MQTT.

The floor plan. Data flows one way and a module imports only from rooms that stand above it
(tests/test_layout.py holds that):

data          Frame, Detections, Tracks, Scene, Event: the only types that cross rooms
boxes         pure box geometry: conversions, iou, nms, anchor points
overlay       boxes drawn on a picture, for people
plugins       a plugin is a file, chosen by `kind = "..."` = its name
logs          what the agent says to its operator, on stderr
disk          bytes that a power cut does not take back
libc          the C library, opened once
heap          memory that was freed goes back to the system
areas         zones and lines as drawn in a config
sections      tables of agent.toml that a device may do without: live page, second looks, updates
toml          TOML text -> typed structs; errors that name file, line and key
config        agent.toml -> frozen structs: every key, its type, its default
modelfile     the contract inside a .tflite and its checksum
foreign       cards for model files of other makers
capture       where frames come from: cameras, mailbox, supervisor
detect        what is in a frame: letterbox, backends, heads, detector
track         who is who: kalman, tracker
anomalies     what is not as it should be, and why: rules, what is normal here, a camera that cannot see
device        the board itself: health, slower when hot, heartbeat, new models, what is wrong here
publish       what the world hears: wire, mqtt, topics
web           the live page: pictures, what happened, numbers, zones to draw
stages        what one camera has of its own: tracker, zones, anomalies, what was asked of it
tally         what the loop did, and the frames it had no time for
pipeline      the loop; reads like this list
reload        a changed config or a new model, taken over between two frames or not at all
sim           the desktop simulation: clip, embedded broker, terminal view
cli           one file a command: run, sim, check, detect, replay, bench, doctor, update, password, gallery
__main__      python -m agent COMMAND
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lookout-agent")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+source"
