"""Other people's code, run where it can do no harm.

sandbox       a child with limits of time, memory and files, no network, its last words kept
environment   a Python for each front end: this one, one found here, or one made once in the user's cache
"""
