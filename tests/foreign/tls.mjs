// socket.io-client in Node, and headless Chromium, over https and wss. `node tls.mjs PORT CA`; says "fine" when all went well.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { launch } from "./chromium.mjs";

const [port, authority] = process.argv.slice(2), base = `https://localhost:${port}`;
const ca = readFileSync(authority);
const once = (emitter, event) => new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error(`no ${event} came`)), 15_000).unref();
  emitter.on(event, (...values) => resolve(values));
});

for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
  const [one, other] = [0, 1].map(() => io(`${base}/r/sockets`, { transports, ca, forceNew: true }));
  await Promise.all([once(one, "connect"), once(other, "connect")]);
  const heard = once(other, "said");
  await one.timeout(15_000).emitWithAck("said", "by TLS", Buffer.alloc(100_000, 7));
  const [text, blob] = await heard;
  assert.equal(text, "by TLS");
  assert.equal(Buffer.compare(Buffer.from(blob), Buffer.alloc(100_000, 7)), 0);
  one.close();
  other.close();
}

const stranger = io(`${base}/r/sockets`, { transports: ["websocket"], forceNew: true, reconnection: false });
await once(stranger, "connect_error");
stranger.close();

const browser = await launch("--ignore-certificate-errors");
const context = await browser.newContext({ ignoreHTTPSErrors: true });
const pages = [];
for (let number = 0; number < 2; number++) {
  const page = await context.newPage();
  await page.goto(`${base}/r/pages`);
  await page.waitForSelector("#state[data-state=open]");
  pages.push(page);
}
await pages[0].fill("#say", "from page to page");
await pages[0].press("#say", "Enter");
await pages[1].waitForFunction(() => [...document.querySelectorAll("#messages .text")].some((one) => one.textContent === "from page to page"));
const [event, first] = await pages[0].evaluate(async () => {
  const events = new EventSource("/r/events");
  const event = await new Promise((resolve) => {
    events.onmessage = (event) => resolve(event.data);
    events.onopen = () => fetch("/r/events", { method: "POST", body: "by fetch" });
  });
  events.close();
  const socket = new WebSocket(location.origin.replace("https", "wss") + "/r/events?rewind=1");
  const first = await new Promise((resolve) => { socket.onmessage = (message) => resolve(message.data); });
  socket.close();
  return [event, first];
});
assert.deepEqual([event, first], ["by fetch", "by fetch"]);
await browser.close();
console.log("fine");
process.exit(0);
