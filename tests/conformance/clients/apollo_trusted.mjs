// Apollo Client with the manifest of its own build: ids alone are sent, by POST and by GET.
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { generatePersistedQueryIdsFromManifest } from "@apollo/persisted-query-lists";
import { golden, of, recorder, say, told } from "./wire.mjs";

const manifest = golden("apollo.json");
const textOf = (name) => manifest.operations.find((operation) => operation.name === name).body;
const ids = generatePersistedQueryIdsFromManifest({ loadManifest: () => manifest });
const wire = recorder();
const http = () =>
  new HttpLink({
    uri: told.url,
    fetch: wire.fetch,
    headers: { authorization: `Bearer ${told.token}` },
  });
const clientOf = (link) =>
  new ApolloClient({
    cache: new InMemoryCache(),
    clientAwareness: { name: "mobile", version: told.version },
    link,
  });
const asked = (client, name, variables) => async () =>
  (await client.query({ query: gql(textOf(name)), variables, fetchPolicy: "network-only" })).data;
const found = {};

const byPost = clientOf(new PersistedQueryLink(ids).concat(http()));
const byGet = clientOf(
  new PersistedQueryLink({ ...ids, useGETForHashedQueries: true }).concat(http()),
);
found.post = await of(wire, asked(byPost, "Home"));
found.get = await of(wire, asked(byGet, "Activity", { first: 3 }));
found.mutation = await of(wire, async () => {
  const { nodes } = found.get.data.transactions;
  const answer = await byGet.mutate({
    mutation: gql(textOf("RenameAccount")),
    variables: { input: { accountId: found.post.data.accounts[0].id, nickname: nodes[0].id } },
  });
  return answer.data;
});

// What no manifest has, upon which the link sends the text as well; and a text alone.
const unknown = { ...ids, generateHash: async () => "0".repeat(64) };
const astray = clientOf(new PersistedQueryLink(unknown).concat(http()));
found.unknown = await of(wire, asked(astray, "Home"));
found.text = await of(wire, asked(clientOf(http()), "Home"));
say(found);
