"""GraphQL over HTTP, one file a part of it: from the bytes of a request to those of its answer."""
