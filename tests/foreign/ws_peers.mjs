// npm's `ws` on either side. `node ws_peers.mjs client URL PROTOCOLS TEXT…` (JSON) says what came back and how it ended; `node ws_peers.mjs echo` prints its
// port and echoes, greets `/greet`, closes `/close/CODE/REASON`, pings `/ping` and refuses `/refuse`.
import WebSocket, { WebSocketServer } from "ws";
import http from "node:http";

const [role, ...rest] = process.argv.slice(2);

function client(url, protocols, texts) {
  const socket = new WebSocket(url, protocols);
  const said = { protocol: null, extensions: null, came: [], code: null, reason: null, error: null };
  socket.on("open", () => {
    said.protocol = socket.protocol;
    said.extensions = socket.extensions;
    for (const text of texts) socket.send(text.hex === undefined ? text : Buffer.from(text.hex, "hex"));
    if (!texts.length) socket.close(1000);
  });
  socket.on("message", (data, isBinary) => {
    said.came.push(isBinary ? { hex: data.toString("hex") } : data.toString());
    if (said.came.length === texts.length) socket.close(1000, "enough");
  });
  socket.on("pong", () => {});
  socket.on("error", (error) => (said.error = error.message));
  socket.on("close", (code, reason) => {
    console.log(JSON.stringify({ ...said, code, reason: reason.toString() }));
  });
}

function echo() {
  const server = http.createServer((request, response) => response.writeHead(426).end("Upgrade Required"));
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: { threshold: 64 }, handleProtocols: (offered) => [...offered].at(-1) });
  server.on("upgrade", (request, socket, head) => {
    if (request.url === "/refuse") return socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\nConnection: close\r\n\r\nno way\n");
    sockets.handleUpgrade(request, socket, head, (one) => talk(one, request));
  });
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
}

function talk(socket, request) {
  const [, what, code, reason] = request.url.split("/");
  socket.on("error", () => {});
  if (what === "greet") socket.send("hello, " + (request.headers["x-name"] ?? "stranger"));
  if (what === "close") return socket.close(Number(code), decodeURIComponent(reason ?? ""));
  if (what === "origin") socket.send(String(request.headers.origin));
  if (what === "ping") {
    socket.on("pong", (data) => socket.send("pong " + data));
    socket.ping("are you there");
  }
  if (what === "terminate") socket.once("message", () => socket.terminate());
  if (what === "binary") socket.send(Buffer.from([0, 255, 65]));
  if (what === "escapes") socket.send("\u001b[31mred\u001b[0m \u0007");
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
}

if (role === "client") client(rest[0], JSON.parse(rest[1]), JSON.parse(rest[2]));
else echo();
