"""The best int8 of one model, and whether it is good enough.

search        the smallest float region that cures a loss, found by place in the graph
scoring       candidates: quantised, run, compared with float
gate          what was lost, against a budget, and what to say
cures         what is tried when the best ranges lose too much
"""
