"""What is in a frame: letterbox -> backend -> head -> frame pixels."""
