// What the reference client of graphql-transport-ws makes of an endpoint.
import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { say, told as given } from "./wire.mjs";

const { token, cookie, run: runId } = given;
const url = given.url.replace("http", "ws");
const noRunId = "U3luY1J1bjp4";
const PROGRESS = `subscription ($id: ID!) { syncProgress(runId: $id) { status progress } }`;

function clientOf({ authorization, headers = {}, ...more }) {
  class WithHeaders extends WebSocket {
    constructor(address, protocols) {
      super(address, protocols, { headers });
    }
  }
  return createClient({
    url,
    webSocketImpl: WithHeaders,
    connectionParams: authorization ? { authorization } : undefined,
    retryAttempts: 0,
    lazy: true,
    ...more,
  });
}

const told = (client, query, variables) => heard(client, { query, variables });

/** Everything that a sink is told, to the end of the operation. */
function heard(client, payload) {
  return new Promise((resolve) => {
    const said = [];
    client.subscribe(
      payload,
      {
        next: (result) => said.push({ next: result }),
        error: (error) => {
          const shown = Array.isArray(error)
            ? { errors: error.map((e) => ({ message: e.message, ...e.extensions, path: e.path })) }
            : { code: error.code, reason: error.reason, message: error.message };
          resolve([...said, shown]);
        },
        complete: () => resolve([...said, "complete"]),
      },
    );
  });
}

const bearer = `Bearer ${token}`;
const byToken = clientOf({ authorization: bearer, keepAlive: 50 });
const byCookie = clientOf({ headers: { cookie } });
const nobody = clientOf({});
const found = {};
let pongs = 0;
byToken.on("pong", (received) => (pongs += received ? 1 : 0));

found.progress = await told(byToken, PROGRESS, { id: runId });
found.again = await told(byCookie, PROGRESS, { id: runId });
found.query = await told(byToken, "{ viewer { email } }");
found.mutation = await told(
  byCookie,
  `mutation { updateSettings(input: {timeZone: "UTC"}) { errors { code } } }`,
);
found.unknown = await told(byToken, PROGRESS, { id: noRunId });
found.invalid = await told(byToken, "{ nope }");
found.syntax = await told(byToken, "{");
found.variables = await told(byToken, PROGRESS, {});
found.nobody = await told(nobody, "{ viewer { email } }");
found.nobodys = await told(nobody, PROGRESS, { id: runId });
found.stolen = await told(clientOf({ authorization: "Bearer stolen" }), "{ viewer { email } }");
found.stranger = await told(
  clientOf({ headers: { cookie, origin: "https://evil.example" } }),
  "{ viewer { email } }",
);

// Completed early: the sink hears nothing more, and the socket goes on.
const early = byToken.iterate({ query: PROGRESS, variables: { id: runId } });
found.early = [(await early.next()).done, (await early.return()).done];
found.afterwards = await told(byToken, "{ __typename }");

// A hash alone, then with its text, then alone again. The client insists on a `query`, which is
// left empty where a document is named.
const query = "query Registered { viewer { email } }";
const sha256Hash = createHash("sha256").update(query).digest("hex");
const extensions = { persistedQuery: { version: 1, sha256Hash } };
found.missed = await heard(byToken, { query: "", extensions });
found.registered = await heard(byToken, { query, extensions });
found.named = await heard(byToken, { query: "", documentId: `sha256:${sha256Hash}` });

// Many at once over one socket, who come back when they were too many.
async function answered() {
  const said = await told(byToken, "{ viewer { email } }");
  return said.at(-1).errors?.[0].code === "UNAVAILABLE" ? pause(100).then(answered) : said;
}
const many = await Promise.all(Array.from({ length: 40 }, answered));
found.many = many.filter((said) => said.at(-1) === "complete").length;

await pause(200);
found.pongs = pongs > 0;
await Promise.all([byToken.dispose(), byCookie.dispose(), nobody.dispose()]);
say(found);
