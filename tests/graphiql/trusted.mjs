// GraphiQL where only published documents run, as each of these people: browser, URL, the id of the
// query for the schema, password, addresses.
import { answerTo, browse, signIn } from "./browser.mjs";

const [chromium, url, introspection, password, ...emails] = process.argv.slice(2);
const result = (page) => page.getByRole("region", { name: "Result Window" });

async function visit(page, email) {
  const docs = page.getByRole("region", { name: "Documentation Explorer" });
  const show = page.getByRole("button", { name: "Show Documentation Explorer" });
  await docs.or(show).first().waitFor();
  if (await show.isVisible()) await show.click();
  await docs.getByText("Error fetching schema").waitFor(); // to nobody it is not told

  const toldTo = answerTo(page, introspection);
  await signIn(page, email, password);
  await page.getByText(`Signed in as ${email}`).waitFor();
  const told = await toldTo;
  const found = { code: told.errors?.[0].extensions.code ?? null };
  if (found.code === null) {
    await docs.getByRole("link", { name: "Query" }).click();
    found.documented = await docs.getByRole("link", { name: "netWorth", exact: true }).innerText();
  } else {
    await docs.getByText("Error fetching schema").waitFor();
  }
  await page.getByRole("region", { name: "Operation Editor" }).locator(".monaco-editor").first().click();
  await page.keyboard.press("Escape");
  const refused = answerTo(page, "query Dashboard");
  await page.keyboard.press("Control+Enter");
  found.text = (await refused).errors[0].extensions.code;
  await result(page).getByText(found.text).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("form", { name: "Sign in" }).waitFor();
  return found;
}

await browse(chromium, url, async (page) => {
  const people = [];
  for (const email of emails) people.push(await visit(page, email));
  return { people };
});
