// Runs every audit of graphql-http against each URL of the arguments; on stdout one JSON list each.
import { serverAudits } from "graphql-http";

async function audited(url) {
  const results = [];
  for (const audit of serverAudits({ url, fetchFn: fetch })) {
    const { id, name, status, reason = "" } = await audit.fn();
    results.push({ id, name, status, reason });
  }
  return results;
}
console.log(JSON.stringify(await Promise.all(process.argv.slice(2).map(audited))));
