// Headless Chromium on a page that the server under test serves: `node socketio_page.mjs URL…` prints what each page leaves in `globalThis.result`, a line of JSON each.
import { launch } from "./chromium.mjs";

const browser = await launch();
for (const url of process.argv.slice(2)) {
  const page = await browser.newPage(), errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => { if (message.type() === "error") errors.push(message.text()); });
  let result = null;
  try {
    await page.goto(url);
    await page.waitForFunction(() => globalThis.result !== undefined, undefined, { timeout: 15_000 });
    result = await page.evaluate(() => globalThis.result);
  } catch (error) { errors.push(String(error)); }
  console.log(JSON.stringify({ url, result, errors }));
  await page.close();
}
await browser.close();
