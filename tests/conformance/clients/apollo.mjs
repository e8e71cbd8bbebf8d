// Apollo Client: automatic persisted queries, errors, cancellation, and subscriptions.
import { createHash } from "node:crypto";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { of, recorder, say, told } from "./wire.mjs";

const NAMED = { name: "apollo-conformance", version: "4.3.8" };
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const headers = { authorization: `Bearer ${told.token}` };
const wire = recorder();
const http = (more = {}) => new HttpLink({ uri: told.url, fetch: wire.fetch, headers, ...more });
const clientOf = (link) =>
  new ApolloClient({ cache: new InMemoryCache(), clientAwareness: NAMED, link });
const found = {};
const ask = (client, query, variables) => async () =>
  (await client.query({ query, variables, fetchPolicy: "network-only" })).data;

for (const [way, useGETForHashedQueries] of [["post", false], ["get", true]]) {
  const query = gql(`query Apollo_${way} { viewer { email } }`);
  const link = new PersistedQueryLink({ sha256, useGETForHashedQueries });
  const client = clientOf(link.concat(http()));
  found[way] = { unknown: await of(wire, ask(client, query)) };
  found[way].known = await of(wire, ask(client, query));
}

const plain = clientOf(http());
const PAGE = gql`
  query Page($first: Int!, $after: String) {
    transactions(first: $first, after: $after) {
      nodes {
        id
      }
    }
  }
`;
found.invalid = await of(wire, ask(plain, gql`query Invalid { nope }`));
found.refused = await of(wire, ask(plain, PAGE, { first: 0 }));
found.variables = await of(wire, ask(plain, PAGE, { first: "many" }));
found.signedOut = await of(wire, ask(clientOf(http({ headers: {} })), gql`{ viewer { email } }`));
found.badToken = await of(
  wire,
  ask(clientOf(http({ headers: { authorization: "Bearer stolen" } })), gql`{ viewer { email } }`),
);

// Given up before it is answered, as a component does that goes away.
const WAIT = gql`
  mutation Wait {
    sync(input: { waitSeconds: 20, force: true }) {
      runs {
        id
      }
    }
  }
`;
found.abandoned = await of(wire, async () => {
  const observed = ApolloLink.execute(http(), { query: WAIT }, { client: plain });
  const subscription = observed.subscribe({});
  while (wire.sent.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  subscription.unsubscribe();
});
found.afterwards = await of(wire, ask(plain, gql`{ viewer { email } }`));

const socket = createClient({
  url: told.url.replace("http", "ws"),
  webSocketImpl: WebSocket,
  connectionParams: headers,
  retryAttempts: 0,
});
const PROGRESS = gql`
  subscription Progress($id: ID!) {
    syncProgress(runId: $id) {
      id
      status
    }
  }
`;
found.progress = await new Promise((resolve, reject) => {
  const states = [];
  clientOf(new GraphQLWsLink(socket))
    .subscribe({ query: PROGRESS, variables: { id: told.run } })
    .subscribe({
      next: ({ data, error }) => states.push(error?.message ?? data.syncProgress.status),
      error: reject,
      complete: () => resolve(states),
    });
});
await socket.dispose();
say(found);
