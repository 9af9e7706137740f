"""The board itself: how it fares, slower when hot, the heartbeat, new models, and what is wrong here.

The loop calls `duty` once a round; it is the only file here that knows the others. `updates` decides, before the loop
begins, which model runs. `doctor` and `software` are for people.
"""
