// Chromium with a fresh profile, and everything that a page did in it which it should not do.
import { chromium } from "playwright-core";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // The browser's own errands end here too: whatever is asked for is on this machine.
  "--host-resolver-rules=MAP *.localhost 127.0.0.1, MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];
const WAIT_MS = 20_000;

export function openBrowser(executablePath) {
  return chromium.launch({ executablePath, args: FLAGS });
}

/** Visits `url` and prints, as JSON, what `visit` found and what the browser noticed meanwhile. */
export async function browse(executablePath, url, visit) {
  const browser = await openBrowser(executablePath);
  try {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    context.setDefaultTimeout(WAIT_MS);
    const noticed = { requests: [], sockets: [], workers: [], violations: [], errors: [] };
    context.on("request", (request) => noticed.requests.push(request.url()));
    context.on("response", (response) => {
      if (response.status() >= 400) noticed.errors.push(`${response.status()} ${response.url()}`);
    });
    context.on("requestfailed", (request) => {
      const { errorText } = request.failure();
      // A page that is loaded again leaves what it was asking for.
      if (errorText !== "net::ERR_ABORTED") noticed.errors.push(`${errorText} ${request.url()}`);
    });
    context.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) noticed.errors.push(message.text());
    });
    context.on("weberror", (error) => noticed.errors.push(String(error.error())));
    await context.exposeBinding("violated", (_, what) => noticed.violations.push(what));
    await context.addInitScript(() =>
      document.addEventListener("securitypolicyviolation", (event) =>
        window.violated(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`),
      ),
    );
    const page = await context.newPage();
    page.on("websocket", (socket) => noticed.sockets.push(socket.url()));
    page.on("worker", (worker) => noticed.workers.push(worker.url()));
    await page.goto(url);
    const found = await visit(page);
    const requests = noticed.requests.filter((asked) => !asked.startsWith("data:"));
    console.log(JSON.stringify({ ...noticed, requests, ...found }));
  } finally {
    await browser.close();
  }
}

export async function signIn(page, email, password) {
  const form = page.getByRole("form", { name: "Sign in" });
  await form.getByLabel("Address").fill(email);
  await form.getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
}

/** Where that takes a code besides: what was said before it was asked for; then signed in, and out. */
export async function signInWithCode(page, email, password, code) {
  const form = page.getByRole("form", { name: "Sign in" });
  await signIn(page, email, password);
  await form.getByLabel("Code").waitFor();
  const asked = await page.getByRole("alert").filter({ hasText: /\S/ }).first().innerText();
  await form.getByLabel("Code").fill("000000");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: "wrong" }).first().waitFor();
  await form.getByLabel("Code").fill(code);
  await page.keyboard.press("Enter");
  await page.getByText(`Signed in as ${email}`).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await form.waitFor();
  return { asked, codeFieldsLeft: await form.getByLabel("Code").filter({ visible: true }).count() };
}

/** The answer that the gateway gives to the next operation that contains these words. */
export async function answerTo(page, words) {
  const response = await page.waitForResponse(
    (r) => r.url().endsWith("/graphql") && (r.request().postData() ?? "").includes(words),
  );
  return response.json();
}
