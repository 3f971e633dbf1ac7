// A server on npm `socket.io`: `node socketio.mjs PORT [io|echo]`. Each namespace is a room. What one emits goes to everyone
// else in it; with `io`, to everyone by `io.emit`, as the shortest relay does it; with `echo`, back to whoever emitted it.
import { createServer } from "node:http";
import { Server } from "socket.io";

const [port, mode] = process.argv.slice(2);
const http = createServer();
const io = new Server(http, { serveClient: false });

const relay = (socket) => {
  if (mode === "io") socket.on("chat", (...args) => socket.nsp.emit("chat", ...args));
  else if (mode === "echo") socket.on("chat", (...args) => socket.emit("chat", ...args));
  else socket.on("chat", (...args) => socket.broadcast.emit("chat", ...args));
};
io.on("connection", relay);
io.of(/^\/.+$/).on("connection", relay);
http.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
