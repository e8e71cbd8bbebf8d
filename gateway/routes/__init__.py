"""What is served beside GraphQL: pages, callbacks of providers, webhooks, health."""
