"""What the command line offers beside a run; most modules are one command's work.

``failures``, ``streams`` and ``original_file`` are what several commands share.
"""
