// urql: persisted queries by GET and POST, errors, and subscriptions over a socket.
import { Client, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { of, recorder, say, told } from "./wire.mjs";

const wire = recorder();
const headers = {
  authorization: `Bearer ${told.token}`,
  "graphql-client-name": "urql-conformance",
  "graphql-client-version": "6.0.3",
};
const clientOf = (exchanges, more = {}) =>
  new Client({
    url: told.url,
    preferGetMethod: false,
    requestPolicy: "network-only",
    fetch: wire.fetch,
    fetchOptions: { headers },
    exchanges,
    ...more,
  });
const found = {};
const ask = (client, query, variables = {}) => async () => {
  const { data, error } = await client.query(query, variables).toPromise();
  if (error) throw error;
  return data;
};

for (const [way, preferGetForPersistedQueries] of [["post", false], ["get", "force"]]) {
  const query = gql(`query Urql_${way} { viewer { email } }`);
  const exchanges = [persistedExchange({ preferGetForPersistedQueries }), fetchExchange];
  const client = clientOf(exchanges);
  found[way] = { unknown: await of(wire, ask(client, query)) };
  found[way].known = await of(wire, ask(client, query));
}

const plain = clientOf([fetchExchange], { preferGetMethod: "force" });
found.plain = await of(wire, ask(plain, gql`query Plain { viewer { email } }`));
found.invalid = await of(wire, ask(plain, gql`query Invalid { nope }`));
found.refused = await of(
  wire,
  ask(plain, gql`query Refused($first: Int!) { transactions(first: $first) { nodes { id } } }`, {
    first: 0,
  }),
);

const socket = createClient({
  url: told.url.replace("http", "ws"),
  webSocketImpl: WebSocket,
  connectionParams: { authorization: headers.authorization },
  retryAttempts: 0,
});
const forwardSubscription = ({ query = "", variables }) => ({
  subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
});
found.progress = await new Promise((resolve) => {
  const states = [];
  const client = clientOf([subscriptionExchange({ forwardSubscription })]);
  const { unsubscribe } = client
    .subscription(gql`subscription Run($id: ID!) { syncProgress(runId: $id) { status } }`, {
      id: told.run,
    })
    .subscribe(({ data, error, hasNext }) => {
      states.push(error?.message ?? data.syncProgress.status);
      if (states.at(-1) === "SUCCEEDED" || !hasNext) {
        resolve(states);
        unsubscribe?.();
      }
    });
});
await socket.dispose();
say(found);
