"""The running thing: the only package that knows all the others.

http/ sse/ websocket/ live/    how requests come in, and how answers and events go out
documents/ cost/ operations/   an operation: its text, its price, its execution
routes/                        what is served beside GraphQL
processes/ worker/ shell/      what runs: gateways, workers, commands
wiring/ telemetry/             ports with their adapters, traces with their exporters
audit/ keys/ doctor/           upkeep: the log's seals, the keyring, what is wrong here
embedded/ bench/               the PostgreSQL of `up`, and how fast all of this is
"""
