// Opens the links of two mails as a person would, by keyboard alone.
import { browse } from "./browser.mjs";

const [chromium, verify, reset, weak, strong] = process.argv.slice(2);

await browse(chromium, verify.split("?")[0], async (page) => {
  const alert = page.getByRole("alert").filter({ hasText: /\S/ });
  const status = page.getByRole("status").filter({ hasText: /\S/ });
  const found = { incomplete: await alert.innerText(), buttons: await page.getByRole("button").count() };
  const told = [];
  page.on("request", (request) => told.push(request.headers().referer ?? ""));

  await page.goto(verify);
  found.verifyAddress = page.url();
  found.verifyTitle = await page.title();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  found.verified = await status.innerText();
  found.focused = await page.evaluate(() => document.activeElement.id);

  await page.goto(reset);
  found.resetAddress = page.url();
  const field = page.getByLabel("New password");
  found.described = await field.evaluate(
    (input) => document.getElementById(input.getAttribute("aria-describedby")).innerText,
  );
  await page.keyboard.press("Tab");
  await page.keyboard.type(weak);
  await page.keyboard.press("Enter");
  found.weak = await alert.innerText();
  found.focusedAgain = await page.evaluate(() => document.activeElement.id);
  await field.fill(strong);
  await page.getByLabel("Show it").check();
  found.shown = await field.getAttribute("type");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  found.reset = await status.innerText();

  await page.goto(reset);
  await field.fill(strong);
  await page.keyboard.press("Enter");
  found.again = await alert.innerText();
  found.told = told;
  return found;
});
