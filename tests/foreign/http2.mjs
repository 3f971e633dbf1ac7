// Node's http2 and headless Chromium. `node http2.mjs PORT CA`; says "fine" when all went well.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { connect } from "node:http2";
import { launch } from "./chromium.mjs";

const [port, authority] = process.argv.slice(2), base = `https://localhost:${port}`;
const session = connect(base, { ca: readFileSync(authority) });

function ask(headers, body) {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers);
    let status, text = "";
    stream.setEncoding("utf8");
    stream.on("response", (fields) => { status = fields[":status"]; });
    stream.on("data", (part) => { text += part; });
    stream.on("end", () => resolve({ status, text }));
    stream.on("error", reject);
    stream.end(body);
  });
}

const streams = await Promise.all(Array.from({ length: 50 }, (_, number) => ask({ ":path": "/r/node", ":method": "POST" }, `message ${number}`)));
assert.ok(streams.every(({ status }) => status === 200));
const page = JSON.parse((await ask({ ":path": "/r/node" })).text);
assert.equal(page.messages.length, 50);
const events = session.request({ ":path": "/r/node", accept: "text/event-stream" });
const heard = new Promise((resolve) => { let text = ""; events.on("data", (part) => { text += part; if (text.includes("data: again")) resolve(); }); });
await new Promise((resolve) => events.on("response", resolve));
await ask({ ":path": "/r/node", ":method": "POST" }, "again");
await heard;
events.close();
session.close();

const browser = await launch("--ignore-certificate-errors");
const context = await browser.newContext({ ignoreHTTPSErrors: true });
const tab = await context.newPage();
await tab.goto(`${base}/r/pages`);
await tab.waitForSelector("#state[data-state=open]");
assert.equal(await tab.evaluate(() => performance.getEntriesByType("navigation")[0].nextHopProtocol), "h2");
await tab.fill("#say", "from the page");
await tab.press("#say", "Enter");
await tab.waitForFunction(() => [...document.querySelectorAll("#messages .text")].some((one) => one.textContent === "from the page"));
const count = await tab.evaluate(async () => {
  // Over HTTP/1.1 a browser opens six connections to a host, and the seventh stream would never begin.
  const streams = Array.from({ length: 20 }, () => new EventSource("/r/events"));
  await Promise.all(streams.map((one) => new Promise((resolve) => { one.onopen = resolve; })));
  const heard = streams.map((one) => new Promise((resolve) => { one.onmessage = (event) => resolve(event.data); }));
  await fetch("/r/events", { method: "POST", body: "to all" });
  const said = await Promise.all(heard);
  streams.forEach((one) => one.close());
  const socket = new WebSocket(location.origin.replace("https", "wss") + "/r/events?rewind=1");
  const first = await new Promise((resolve) => { socket.onmessage = (message) => resolve(message.data); });
  socket.close();
  return said.filter((text) => text === first).length;
});
assert.equal(count, 20);
await browser.close();
console.log("fine");
process.exit(0);
