"""`dashtam bench`: the gateway beside a hand-written handler and stock Strawberry, on one database.

Three servers run at once and are measured in turns, so that whatever else the machine does meets
all of them. Ratios and CPU time a request can be quoted; requests a second are this machine's.
"""
