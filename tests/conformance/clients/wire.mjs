// What the scripts of clients share: what they were told to do, and what went over the wire.
import { readFileSync } from "node:fs";

/** What the test says, as JSON in the only argument: at least `url` and `token`. */
export const told = JSON.parse(process.argv[2] ?? "{}");

export const golden = (path) =>
  JSON.parse(readFileSync(new URL(`../golden/${path}`, import.meta.url), "utf8"));

/** A fetch that writes down what it sent and what came back. */
export function recorder() {
  const sent = [];
  async function recorded(address, init = {}) {
    const url = new URL(address);
    const headers = Object.fromEntries(new Headers(init.headers));
    delete headers.authorization;
    const said = { method: init.method ?? "GET", path: url.pathname, headers };
    if (url.search) said.query = Object.fromEntries(url.searchParams);
    for (const name of ["variables", "extensions"]) {
      if (said.query?.[name]) said.query[name] = JSON.parse(said.query[name]);
    }
    if (init.body) said.body = JSON.parse(init.body);
    sent.push(said);
    init.signal?.addEventListener("abort", () => (said.status ?? (said.aborted = true)));
    const answer = await fetch(address, init);
    said.status = answer.status;
    said.answer = Object.fromEntries(answer.headers);
    return answer;
  }
  return { fetch: recorded, sent, taken: () => sent.splice(0) };
}

/** What `work` brought, or the error that it ended in; with what it sent. */
export async function of(wire, work) {
  let received;
  try {
    received = { data: await work() };
  } catch (error) {
    received = { error: shown(error) };
  }
  return { ...received, sent: wire.taken() };
}

/** An error as each client has it: with those of GraphQL, each with its code. */
export function shown(error) {
  const errors = error.errors ?? error.graphQLErrors ?? error.source?.errors;
  return {
    name: error.name,
    message: error.message,
    codes: errors?.map((e) => e.extensions?.code),
    status: error.statusCode ?? error.response?.status,
  };
}

export function say(found) {
  console.log(JSON.stringify(found));
}
