// Works with GraphiQL as a person would: browser, URL, address, password, a statement's file.
import { answerTo, browse, signIn, signInWithCode } from "./browser.mjs";

const [chromium, url, email, password, statement, ...careful] = process.argv.slice(2);
const LINK = `mutation { connectProvider(input: {provider: "sandbox", using: {credentials: [
  {name: "scenario", value: "default"}, {name: "seed", value: "${Date.now()}"}
]}}) { link { lastRun { id } } } }`;

const editor = (page) => page.getByRole("region", { name: "Operation Editor" });
const result = (page) => page.getByRole("region", { name: "Result Window" });

/** Ctrl-Enter, after an Escape for the list of suggestions, which would take the Enter. */
async function run(page) {
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+Enter");
}

/** Into a new tab; its name is how GraphiQL shows that it has read the operation. */
async function write(page, name, text) {
  await page.getByRole("button", { name: "New tab" }).click();
  await editor(page).locator(".monaco-editor").first().click();
  await page.keyboard.press("Control+A");
  await page.keyboard.insertText(text);
  await page.getByRole("tab", { name }).waitFor();
}

/** One of our panes in the sidebar. */
async function pane(page, title) {
  await page.getByRole("button", { name: `Show ${title}` }).click();
  return page.getByRole("region", { name: title, exact: true });
}

/** Opens one from a pane in a tab, and runs it: what was sent, and what came back. */
async function runFrom(page, region, button, name) {
  await region.getByRole("button", { name: button, exact: true }).click();
  await page.getByRole("tab", { name }).last().waitFor();
  const asked = page.waitForRequest((r) => r.url().endsWith("/graphql") && r.method() === "POST");
  await editor(page).locator(".monaco-editor").first().click();
  await run(page);
  const request = await asked;
  return { sent: request.postData(), answer: await (await request.response()).json() };
}

/** The panel's figures and statements. */
async function reported(page) {
  const panel = await pane(page, "Cost and SQL");
  const statements = panel.getByRole("list", { name: "Statements" }).getByRole("listitem");
  return {
    cost: await panel.getByRole("table", { name: "Cost" }).getByRole("row").allInnerTexts(),
    heading: await panel.getByRole("heading", { level: 3 }).innerText(),
    statements: await statements.allInnerTexts(),
    text: await panel.innerText(),
  };
}

async function panes(page) {
  const found = {};
  const examples = await pane(page, "Examples");
  found.examples = await examples.getByRole("button").allInnerTexts();
  found.filtered = await runFrom(page, examples, "Transactions", "Transactions");
  await result(page).getByText('"nodes"').waitFor();
  found.reported = await reported(page);

  const statementOf = page.waitForEvent("filechooser").then((chooser) => chooser.setFiles(statement));
  found.imported = await runFrom(page, await pane(page, "Examples"), "Import", "Import");
  await statementOf;
  await result(page).getByText('"preview"').waitFor();

  const documents = await pane(page, "Published documents");
  await documents.getByRole("button", { name: "Viewer", exact: true }).waitFor();
  found.published = await documents.getByRole("button").allInnerTexts();
  found.byId = await runFrom(page, documents, "Viewer", "Viewer");
  await result(page).getByText('"email"').waitFor();
  found.shown = await result(page).innerText();
  found.reportedById = await reported(page);

  await (await pane(page, "Examples")).getByRole("button", { name: "Events", exact: true }).click();
  await page.getByRole("tab", { name: "Events" }).waitFor();
  await editor(page).locator(".monaco-editor").first().click();
  const socket = page.waitForEvent("websocket");
  await run(page);
  await (await socket).waitForEvent("framereceived");
  const panel = await pane(page, "Cost and SQL");
  await panel.getByText("A subscription is not reported on").waitFor();
  found.subscribed = await panel.innerText();
  const closed = (await socket).waitForEvent("close");
  await page.getByRole("button", { name: "Stop query" }).click();
  await closed;
  return found;
}

await browse(chromium, url, async (page) => {
  const found = { title: await page.title() };

  await signIn(page, email, `not ${password}`);
  const alert = page.getByRole("alert").filter({ hasText: /\S/ });
  found.refusal = await alert.first().innerText();
  found.careful = await signInWithCode(page, ...careful);
  await signIn(page, email, password);
  await page.getByText(`Signed in as ${email}`).waitFor();
  await page.reload();
  await page.getByText(`Signed in as ${email}`).waitFor();

  await editor(page).locator(".monaco-editor").first().click();
  const dashboard = answerTo(page, "query Dashboard");
  await run(page);
  found.dashboard = await dashboard;
  await result(page).getByText('"netWorth"').waitFor();

  await page.getByRole("button", { name: "Show Documentation Explorer" }).click();
  const docs = page.getByRole("region", { name: "Documentation Explorer" });
  await docs.getByRole("link", { name: "Query" }).click();
  found.documented = await docs.getByRole("link", { name: "netWorth", exact: true }).innerText();

  await page.getByRole("button", { name: "Show History" }).click();
  const past = page.getByRole("region", { name: "History" }).getByRole("listitem");
  found.history = await past.allInnerTexts();

  found.panes = await panes(page);

  const frames = [];
  page.on("websocket", (socket) => {
    socket.on("framesent", (frame) => frames.push(JSON.parse(frame.payload)));
    socket.on("framereceived", (frame) => frames.push(JSON.parse(frame.payload)));
  });
  const runId = await page.evaluate(async (query) => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ query });
    const response = await fetch("/graphql", { method: "POST", headers, body });
    return (await response.json()).data.connectProvider.link.lastRun.id;
  }, LINK);
  await write(
    page,
    "Progress",
    `subscription Progress { syncProgress(runId: "${runId}") { id status } }`,
  );
  const socket = page.waitForEvent("websocket");
  await run(page);
  await (await socket).waitForEvent("close");
  found.frames = frames.map(({ type, payload }) => ({ type, payload }));
  found.runId = runId;
  await result(page).getByText('"SUCCEEDED"').waitFor();

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("form", { name: "Sign in" }).waitFor();
  found.left = await result(page).getByText("SUCCEEDED").count();
  await editor(page).locator(".monaco-editor").first().click();
  await write(page, "Nobody", "query Nobody { viewer { email } }");
  const nobody = answerTo(page, "query Nobody");
  await run(page);
  found.nobody = await nobody;
  await result(page).getByText("UNAUTHENTICATED").waitFor();
  return found;
});
