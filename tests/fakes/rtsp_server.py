"""A network camera's server: H.264 and MJPEG over RTSP on a port of 127.0.0.1, by GStreamer.

Run by the system's Python, which has gi (apt: gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base -good -ugly
python3-gi): `/usr/bin/python3 rtsp_server.py PORT`. Streams /h264 and /jpeg: 320x192, 15 fps, a red picture.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402  only after their versions are chosen

SOURCE = "videotestsrc is-live=true pattern=red ! video/x-raw,format=I420,width=320,height=192,framerate=15/1"
STREAMS = {
    "/h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96",
    "/jpeg": "jpegenc ! rtpjpegpay name=pay0 pt=26",
}

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
for path, coding in STREAMS.items():
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {SOURCE} ! {coding} )")
    factory.set_shared(True)
    server.get_mount_points().add_factory(path, factory)
if not server.attach(None):
    sys.exit(f"port {sys.argv[1]} is taken")
print("ready", flush=True)
GLib.MainLoop().run()
