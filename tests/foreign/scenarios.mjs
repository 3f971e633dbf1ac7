// The few words that the scenarios in this folder share. `test_node.py` runs a script once and reads a line of JSON for each scenario.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import net from "node:net";

export { assert };
export const port = Number(process.argv[2]);
export const http = `http://127.0.0.1:${port}`;
export const ws = `ws://127.0.0.1:${port}`;

const PATIENCE_MS = 10_000;
const listed = [];

export function scenario(name, run) { listed.push({ name, run }); }

// Runs them one after the other, each in a room of its own.
export async function main() {
  let number = 0;
  for (const { name, run } of listed) {
    let why = null;
    try { await within(run(`node/${process.pid}/${++number}`), 4 * PATIENCE_MS, name); } catch (error) { why = error.stack ?? String(error); }
    console.log(JSON.stringify({ name, ok: why === null, why }));
  }
}

export function within(promise, ms = PATIENCE_MS, what = "an answer") {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`${what} did not come within ${ms} ms`)), ms); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// What events bring, to be awaited one by one.
export class Inbox {
  #items = []; #waiting = [];
  push(item) { const waiter = this.#waiting.shift(); if (waiter) waiter(item); else this.#items.push(item); }
  next(what) { return within(this.#items.length ? Promise.resolve(this.#items.shift()) : new Promise((resolve) => this.#waiting.push(resolve)), PATIENCE_MS, what); }
  get size() { return this.#items.length; }
}

export async function post(room, body, headers = {}, query = "") {
  const answer = await fetch(`${http}/r/${room}${query}`, { method: "POST", body, headers });
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()).at;
}

export function nc() {
  const process = spawn("nc", ["127.0.0.1", String(port)]);
  let text = "";
  const waiting = new Set();
  process.stdout.on("data", (data) => { text += data; for (const check of waiting) check(); });
  return {
    type(line) { process.stdin.write(`${line}\n`); },
    until(wanted) {
      return within(new Promise((resolve) => {
        const check = () => { if (text.includes(wanted)) { text = text.slice(text.indexOf(wanted) + wanted.length); waiting.delete(check); resolve(); } };
        waiting.add(check);
        check();
      }), PATIENCE_MS, JSON.stringify(wanted));
    },
    close() { process.kill(); },
  };
}

// A relay between a client and the server that can be cut, and closed and opened again on the same port.
export async function relay() {
  const clients = new Set();
  const server = net.createServer((client) => {
    const upstream = net.connect(port, "127.0.0.1");
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
    clients.add(client);
  });
  const open = (at) => new Promise((resolve) => server.listen(at, "127.0.0.1", resolve));
  await open(0);
  const between = {
    port: server.address().port,
    cut() { for (const client of clients) client.destroy(); clients.clear(); },
    close() { server.close(); between.cut(); },
    reopen() { return open(between.port); },
  };
  return between;
}
