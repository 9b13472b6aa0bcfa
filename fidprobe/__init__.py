"""Is that FID gain real?"""
