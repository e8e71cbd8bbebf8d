// urql with documents that have only an id, as GraphQL Code Generator's are given to it: in the
// release build of an app, since urql wants to see the operation in any other.
import { Client, fetchExchange } from "@urql/core";
import { golden, of, recorder, say, told } from "./wire.mjs";

process.env.NODE_ENV = "production";
const persisted = Object.entries(golden("codegen/persisted-documents.json"));
const document = (name) => {
  const named = new RegExp(`(?:query|mutation) ${name}\\b`);
  const [documentId] = persisted.find(([, text]) => named.test(text));
  return { kind: "Document", definitions: [], documentId };
};
const wire = recorder();
const clientOf = (preferGetMethod) =>
  new Client({
    url: told.url,
    preferGetMethod,
    requestPolicy: "network-only",
    fetch: wire.fetch,
    fetchOptions: {
      headers: {
        authorization: `Bearer ${told.token}`,
        "graphql-client-name": "mobile",
        "graphql-client-version": told.version,
      },
    },
    exchanges: [fetchExchange],
  });
const result = ({ data, error }) => {
  if (error) throw error;
  return data;
};
const found = {};
for (const [way, preferGetMethod] of [["post", false], ["get", "force"]]) {
  const client = clientOf(preferGetMethod);
  found[way] = await of(wire, async () =>
    result(await client.query(document("Activity"), { first: 3 }).toPromise()),
  );
}
const client = clientOf(false);
found.mutation = await of(wire, async () =>
  result(
    await client
      .mutation(document("RenameAccount"), { input: { accountId: told.account, nickname: "urql" } })
      .toPromise(),
  ),
);
const unknown = { kind: "Document", definitions: [], documentId: `sha256:${"0".repeat(64)}` };
found.unknown = await of(wire, async () => result(await client.query(unknown, {}).toPromise()));
say(found);
