"""Where frames come from: a camera is run by its supervisor's thread, which hands each frame to the mailbox."""
