// Relay: a network layer that sends `doc_id`, a connection that is paged, an object that is read
// again by its global id, a mutation that changes it in the store, and a subscription by id.
import { createRequire } from "node:module";
import { createClient } from "graphql-ws";
import relay from "relay-runtime";
import WebSocket from "ws";
import { of, recorder, say, told } from "./wire.mjs";

const require = createRequire(import.meta.url);
const artifact = (name) => require(`../golden/relay/${name}.graphql.js`);
const { Environment, Network, Observable, RecordSource, Store } = relay;
const headers = {
  authorization: `Bearer ${told.token}`,
  "content-type": "application/json",
  accept: "application/graphql-response+json, application/json;q=0.9",
  "graphql-client-name": "relay-conformance",
  "graphql-client-version": told.version,
};
const wire = recorder();
const socket = createClient({
  url: told.url.replace("http", "ws"),
  webSocketImpl: WebSocket,
  connectionParams: {
    authorization: headers.authorization,
    "graphql-client-name": "relay-conformance",
    "graphql-client-version": told.version,
  },
  retryAttempts: 0,
});

async function fetched(params, variables) {
  const body = JSON.stringify({ doc_id: params.id, variables });
  const answer = await wire.fetch(told.url, { method: "POST", headers, body });
  return answer.json();
}
const subscribed = (params, variables) =>
  Observable.create((sink) => socket.subscribe({ query: "", doc_id: params.id, variables }, sink));

const environment = new Environment({
  network: Network.create(fetched, subscribed),
  store: new Store(new RecordSource()),
});
const query = (name, variables = {}) =>
  relay.fetchQuery(environment, artifact(name), variables).toPromise();

/** What a component of this fragment is shown. */
function shownBy(fragment, reference) {
  const selector = relay.getSingularSelector(artifact(fragment), reference);
  return environment.lookup(selector).data;
}
const read = (name, variables = {}) =>
  environment.lookup(relay.createOperationDescriptor(artifact(name), variables).fragment).data;

const found = {};
found.pages = await of(wire, async () => {
  const variables = { first: 5 };
  await query("ActivityQuery", variables);
  const operation = relay.createOperationDescriptor(artifact("ActivityQuery"), variables);
  const kept = environment.retain(operation);
  const pages = [];
  for (;;) {
    const { transactions } = shownBy("Activity_list", read("ActivityQuery", variables));
    pages.push(transactions.edges.map((edge) => edge.node.id));
    const { endCursor, hasNextPage } = transactions.pageInfo;
    if (!hasNextPage || pages.length === 4) break;
    await query("ActivityPageQuery", { first: 7, after: endCursor });
  }
  kept.dispose();
  return pages;
});
found.again = await of(wire, async () => {
  const { accounts } = await query("AccountCardQuery");
  const [{ id }] = accounts;
  const { node } = await query("AccountCardAgainQuery", { id });
  return [shownBy("AccountCard_account", accounts[0]), shownBy("AccountCard_account", node)];
});
found.mutation = await of(wire, async () => {
  const input = { accountId: told.account, nickname: "relay" };
  const errors = await new Promise((resolve, reject) =>
    relay.commitMutation(environment, {
      mutation: artifact("AccountCardRenameMutation"),
      variables: { input },
      onCompleted: (data) => resolve(data.updateAccount.errors),
      onError: reject,
    }),
  );
  const { nickname } = environment.getStore().getSource().get(told.account);
  return { errors, nickname };
});
found.absent = await of(wire, async () => query("AccountCardAgainQuery", { id: "QWNjb3VudDp4" }));
found.progress = await new Promise((resolve) => {
  const states = [];
  relay.requestSubscription(environment, {
    subscription: artifact("SyncProgressSubscription"),
    variables: { runId: told.run },
    onNext: (data) => states.push(data.syncProgress.status),
    onError: (error) => resolve([...states, error.message ?? error]),
    onCompleted: () => resolve(states),
  });
});
await socket.dispose();
say(found);
