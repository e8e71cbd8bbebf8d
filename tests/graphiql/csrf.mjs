// Pages of other origins ask the gateway for what they should not get, in the ways that browsers
// have. The victim is signed in by the cookie; each shape carries a mark of its own.
import { createServer } from "node:http";
import { openBrowser } from "./browser.mjs";
import { inPage, popups } from "./csrf_shapes.mjs";

const [chromium, given] = process.argv.slice(2);
const { pairs, port, email, password, other, allowed } = JSON.parse(given);
const SIGN_IN = `mutation($input: SignInInput!) { signIn(input: $input) { viewer { email } } }`;

/** Blank pages of any host, and redirects: /hop?status=307&to=… */
const pages = createServer((request, response) => {
  const url = new URL(request.url, "http://here");
  if (url.pathname === "/hop") {
    response.writeHead(Number(url.searchParams.get("status")), {
      location: url.searchParams.get("to"),
      "access-control-allow-origin": request.headers.origin ?? "*",
      "access-control-allow-credentials": "true",
    });
    response.end();
    return;
  }
  response.writeHead(200, { "content-type": "text/html" });
  response.end("<!doctype html><link rel=icon href=data:,><title>another page</title>");
});
await new Promise((ready) => pages.listen(port, "127.0.0.1", ready));

/** A page of its own, which is closed once it is there; nobody but the browser can look into it. */
async function inPopup(page, shape, words) {
  const opened = page.waitForEvent("popup");
  await page.evaluate(shape, words);
  const popup = await opened;
  await popup.waitForLoadState("load").catch(() => {});
  await popup.waitForURL((url) => url.href !== "about:blank", { timeout: 5_000 }).catch(() => {});
  await popup.close();
}

async function signIn(page, victim) {
  await page.goto(`${victim}/verify-email`);
  const answer = await page.evaluate(
    async ([query, input]) => {
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ query, variables: { input } });
      return (await fetch("/graphql", { method: "POST", headers, body })).json();
    },
    [SIGN_IN, { email, password, delivery: "COOKIE" }],
  );
  return answer.data.signIn.viewer.email;
}

const whoIsIt = (page) =>
  page.evaluate(async () => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ query: "{ viewer { email } }" });
    return (await (await fetch("/graphql", { method: "POST", headers, body })).json()).data?.viewer.email;
  });

/** All shapes from one page: the names of those tried, and what it could read. */
async function attack(context, { victim, attacker }, number) {
  const page = await context.newPage();
  const found = { victim, attacker, shapes: [], read: [] };
  found.before = await signIn(page, victim);
  await page.goto(attacker);
  const words = { gateway: victim, own: attacker, pair: number, password, other };
  const { shapes, read } = await page.evaluate(inPage, words);
  found.shapes.push(...shapes);
  found.read.push(...read);
  for (const [name, shape] of Object.entries(popups)) {
    const address = `${victim}/graphql?shape=${encodeURIComponent(`${number}.${name}`)}`;
    const query = `mutation { createManualAccount(input: {
      name: "${number}.${name}", type: CHECKING, currency: "USD", balance: "1.00"
    }) { account { id } } }`;
    await inPopup(page, shape, { address, own: attacker, query });
    found.shapes.push(name);
  }
  await page.goto(`${victim}/verify-email`);
  found.after = await whoIsIt(page);
  await page.close();
  return found;
}

/** The app that ALLOWED_ORIGINS names changes something, and reads what came of it. */
async function permitted(context, { victim, page: address }) {
  const page = await context.newPage();
  await signIn(page, victim);
  await page.goto(address);
  const answer = await page.evaluate(async (gateway) => {
    const query = `mutation { createManualAccount(input: {
      name: "allowed", type: CHECKING, currency: "USD", balance: "1.00"
    }) { account { name } } }`;
    const headers = { "content-type": "application/json" };
    const asked = { method: "POST", credentials: "include", headers, body: JSON.stringify({ query }) };
    return (await fetch(`${gateway}/graphql`, asked)).json();
  }, victim);
  await page.close();
  return answer;
}

const browser = await openBrowser(chromium);
try {
  const context = await browser.newContext();
  const attacks = [];
  for (const [number, pair] of pairs.entries()) attacks.push(await attack(context, pair, number));
  console.log(JSON.stringify({ attacks, permitted: await permitted(context, allowed) }));
} finally {
  await browser.close();
  pages.close();
  pages.closeAllConnections();
}
