"""Where frames come from: a supervisor's thread runs a camera, covers what is private, and fills the mailbox."""
