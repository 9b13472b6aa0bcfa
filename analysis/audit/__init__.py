"""The audit: is the gain of one set over another real?"""
