"""The live page (extra `[web]`): pictures with what was found in them, what happened, numbers, zones to draw.

    pipeline ──on_scene──▶ now ◀──asked──  server ──▶ guard ──▶ browser
    (its thread: a few          (the page's own thread and event loop: whoever looks asks for the newest,
     assignments a frame)        so a slow one gets fewer; nothing is encoded while nobody looks)

now        the newest of everything, and what happened, bounded
album      pictures of what happened on the disk, if asked for
site       the sink that the pipeline holds; the page's thread
server     routes: page, pictures, events, numbers, drawing
guard      who may ask: every request passes it first
password   an argon2 hash, and what is given
drawing    zones and lines -> the text of agent.toml, comments and all; saved or rolled back
metrics    numbers as Prometheus reads them
static/    the page itself: html, css, js as the browser gets them

Only site.py imports the extra's packages, and only where the page is on.
"""
