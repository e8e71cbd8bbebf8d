// What the reference client of graphql-sse makes of an endpoint, one connection an operation.
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "graphql-sse";
import { recorder, say, told } from "./wire.mjs";

const PROGRESS = "subscription ($id: ID!) { syncProgress(runId: $id) { status progress } }";
const bearer = { authorization: `Bearer ${told.token}` };
const wire = recorder();
const clientOf = (headers, more = {}) =>
  createClient({ url: told.url, headers, fetchFn: wire.fetch, retryAttempts: 0, ...more });

/** Everything that a sink is told, to the end of the operation. */
function heard(client, request) {
  return new Promise((resolve) => {
    const said = [];
    client.subscribe(request, {
      next: (result) => said.push({ next: result }),
      error: async (error) => {
        const { response } = error;
        const refused = { message: error.message, status: response?.status };
        if (response) refused.body = await response.clone().json();
        resolve([...said, refused]);
      },
      complete: () => resolve([...said, "complete"]),
    });
  });
}

const client = clientOf(bearer);
const nobody = clientOf({});
const found = {};
found.progress = await heard(client, { query: PROGRESS, variables: { id: told.run } });
found.sent = wire.taken();
found.query = await heard(client, { query: "{ viewer { email } }" });
found.mutation = await heard(client, {
  query: 'mutation { updateSettings(input: {timeZone: "UTC"}) { errors { code } } }',
});
found.unknown = await heard(client, { query: PROGRESS, variables: { id: "U3luY1J1bjp4" } });
found.invalid = await heard(client, { query: "{ nope }" });
found.syntax = await heard(client, { query: "{" });
found.variables = await heard(client, { query: PROGRESS });
found.nobody = await heard(nobody, { query: "{ viewer { email } }" });
found.nobodys = await heard(nobody, { query: PROGRESS, variables: { id: told.run } });
found.stolen = await heard(clientOf({ authorization: "Bearer stolen" }), {
  query: "{ viewer { email } }",
});

// Completed early: the connection goes, and others go on.
const early = client.iterate({ query: PROGRESS, variables: { id: told.run } });
found.early = [(await early.next()).done, (await early.return()).done];

// Many at once, who come back when they were too many.
async function answered() {
  const said = await heard(client, { query: "{ viewer { email } }" });
  return said.at(-1).status === 503 ? pause(100).then(answered) : said;
}
found.many = (await Promise.all(Array.from({ length: 20 }, answered))).map((said) => said.at(-1));
say(found);
