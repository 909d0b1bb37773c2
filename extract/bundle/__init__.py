"""What every bundle of evidence carries beside the evidence: its checker and its README.

`check` imports nothing of this project, and runs on any Python from 3.9 without a package installed.
"""
