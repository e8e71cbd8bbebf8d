// Works with the plain page as a person would: browser, URL, address, password.
import { answerTo, browse, signIn, signInWithCode } from "./browser.mjs";

const [chromium, url, email, password, ...careful] = process.argv.slice(2);

await browse(chromium, url, async (page) => {
  const answer = page.locator("#answer");
  const shows = (words) => answer.filter({ hasText: words }).waitFor();
  const found = { title: await page.title(), note: await page.locator(".note").innerText() };

  await signIn(page, email, `not ${password}`);
  found.refusal = await page.getByRole("alert").filter({ hasText: /\S/ }).innerText();
  found.careful = await signInWithCode(page, ...careful);
  await signIn(page, email, password);
  await page.getByText(`Signed in as ${email}`).waitFor();

  const dashboard = answerTo(page, "query Dashboard");
  await page.getByRole("button", { name: "Run" }).click();
  found.dashboard = await dashboard;
  await shows('"netWorth"');

  await page.getByLabel("Query").fill("query Some($n: Int!) { transactions(first: $n) { nodes { id } } }");
  await page.getByLabel("Variables").fill('{"n": 3}');
  const some = answerTo(page, "query Some");
  await page.keyboard.press("Control+Enter");
  found.some = await some;
  await shows('"transactions"');

  await page.getByLabel("Variables").fill("{n: 3}");
  await page.keyboard.press("Control+Enter");
  await shows("JSON");
  found.badVariables = await answer.innerText();

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("form", { name: "Sign in" }).waitFor();
  found.left = await answer.innerText();

  // A session that ended elsewhere is no reason to be kept here.
  await signIn(page, email, password);
  await page.getByText(`Signed in as ${email}`).waitFor();
  await page.context().clearCookies();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("form", { name: "Sign in" }).waitFor();
  found.refusedAtLast = await page.getByRole("alert").innerText();
  return found;
});
