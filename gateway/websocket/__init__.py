"""GraphQL over a WebSocket: the protocol graphql-transport-ws, one file a part of it."""
