"""GraphQL over server-sent events: graphql-sse's distinct connections, one stream an operation.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md, and as EventSource reads it:
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""
