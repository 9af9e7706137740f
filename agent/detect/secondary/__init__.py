"""A second model: it looks again at a place in the picture, less often than the detector and never in its way.

novelty   is this place as it was in the normal pictures?
memory    the normal pictures, as a model file carries them: a few hundred vectors
aside     where second looks are made: a thread of low priority that rests three times as long as it works
"""
