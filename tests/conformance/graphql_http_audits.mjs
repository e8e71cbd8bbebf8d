// Runs every audit of graphql-http against the URL of the first argument; one JSON list on stdout.
import { serverAudits } from "graphql-http";

const results = [];
for (const audit of serverAudits({ url: process.argv[2], fetchFn: fetch })) {
  const { id, name, status, reason = "" } = await audit.fn();
  results.push({ id, name, status, reason });
}
console.log(JSON.stringify(results));
