// What the reference client of graphql-transport-ws makes of an endpoint; one JSON object on stdout.
// Arguments: the endpoint, a bearer token, a cookie, the id of a run, one of a run that is none.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [, , url, token, cookie, runId, noRunId] = process.argv;
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

/** Everything that a sink is told, to the end of the operation. */
function told(client, query, variables) {
  return new Promise((resolve) => {
    const said = [];
    client.subscribe(
      { query, variables },
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

// Many at once over one socket.
found.many = (
  await Promise.all(Array.from({ length: 40 }, () => told(byToken, "{ viewer { email } }")))
).filter((said) => said.at(-1) === "complete").length;

await new Promise((resolve) => setTimeout(resolve, 200));
found.pongs = pongs > 0;
await Promise.all([byToken.dispose(), byCookie.dispose(), nobody.dispose()]);
console.log(JSON.stringify(found));
