// The documents that GraphQL Code Generator made, as a small app sends them: by POST, and queries
// by a URL of their own, whose answer is asked for again with what it was tagged with. It keeps a
// copy, by what has changed, and follows a run over an event stream.
import { createClient } from "graphql-sse";
import * as documents from "../golden/codegen/documents.mjs";
import { of, recorder, say, told } from "./wire.mjs";

const wire = recorder();
const headers = {
  authorization: `Bearer ${told.token}`,
  accept: "application/graphql-response+json",
  "graphql-client-name": "mobile",
  "graphql-client-version": told.version,
};

async function post(document, variables, more = {}) {
  const body = JSON.stringify({ documentId: document.__meta__.hash, variables });
  const said = { ...headers, "content-type": "application/json", ...more };
  return (await wire.fetch(told.url, { method: "POST", headers: said, body })).json();
}

async function get(document, variables, more = {}, operation = "") {
  const url = new URL(`${told.url}/${document.__meta__.hash}${operation}`);
  if (variables) url.searchParams.set("variables", JSON.stringify(variables));
  const answer = await wire.fetch(url, { headers: { ...headers, ...more } });
  const text = await answer.text();
  return { tag: answer.headers.get("etag"), text, json: text ? JSON.parse(text) : null };
}

const { AccountsDocument, ActivityDocument, HomeDocument, RenameAccountDocument, SyncNowDocument } =
  documents;
const found = {};
const again = { "if-none-match": "" };
found.signIn = await of(wire, () =>
  post(documents.SignInDocument, { input: told.credentials }, { authorization: "" }),
);
headers.authorization = `Bearer ${found.signIn.data.data.signIn.accessToken}`;
found.home = await of(wire, () => post(HomeDocument));
found.homeByUrl = await of(wire, () => get(HomeDocument, undefined, {}, "/Home"));
found.list = await of(wire, () => get(AccountsDocument));
again["if-none-match"] = found.list.data.tag ?? "";
found.listAgain = await of(wire, () => get(AccountsDocument, undefined, again));
found.rename = await of(wire, () =>
  post(RenameAccountDocument, { input: { accountId: told.account, nickname: "codegen" } }),
);
found.listChanged = await of(wire, () => get(AccountsDocument, undefined, again));
found.activity = await of(wire, () => get(ActivityDocument, { first: 2 }));
found.otherPage = await of(wire, () => get(ActivityDocument, { first: 3 }, {
  "if-none-match": found.activity.data.tag ?? "",
}));

/** A copy that is kept by what has changed since the cursor. */
const copy = new Map();
let cursor;
async function brought() {
  for (let pages = 1; ; pages += 1) {
    const { data } = await post(documents.ChangesDocument, { after: cursor, first: 100 });
    for (const row of data.changes.upserted) copy.set(row.id, row);
    for (const id of data.changes.deletedIds) copy.delete(id);
    cursor = data.changes.cursor;
    if (!data.changes.hasMore) return { pages, last: data.changes.upserted.map((row) => row.id) };
  }
}
const kept = (kind) => [...copy.values()].filter((row) => row.__typename === kind);
found.firstCopy = await of(wire, brought);
found.nothingNew = await of(wire, brought);
await post(RenameAccountDocument, { input: { accountId: told.account, nickname: "offline" } });
found.oneChange = await of(wire, brought);
found.copy = {
  accounts: kept("Account").map(({ id, nickname, balance }) => ({ id, nickname, balance })),
  transactions: kept("Transaction").length,
};

const streams = createClient({ url: told.url, headers, retryAttempts: 0 });
found.progress = [];
const documentId = documents.SyncProgressDocument.__meta__.hash;
const variables = { runId: told.run };
for await (const { data } of streams.iterate({ documentId, variables })) {
  found.progress.push(data.syncProgress);
}
found.mutationByUrl = await of(wire, () => get(SyncNowDocument, { input: {} }));
say(found);
