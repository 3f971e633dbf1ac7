// A server on npm `ws` with rooms by path: `node ws.mjs PORT [echo]`. What one says goes to everyone else in the room;
// with `echo`, back to whoever said it.
import { WebSocketServer, WebSocket } from "ws";

const [port, mode] = process.argv.slice(2);
const server = new WebSocketServer({ port: Number(port), host: "127.0.0.1", perMessageDeflate: false, backlog: 4096 });
const rooms = new Map();

server.on("connection", (socket, request) => {
  if (mode === "echo") {
    socket.on("message", (data, binary) => socket.send(data, { binary }));
    return;
  }
  const name = request.url.split("?")[0];
  const room = rooms.get(name) ?? new Set();
  rooms.set(name, room.add(socket));
  socket.on("message", (data, binary) => {
    for (const other of room) {
      if (other !== socket && other.readyState === WebSocket.OPEN) other.send(data, { binary });
    }
  });
  socket.on("close", () => {
    room.delete(socket);
    if (room.size === 0) rooms.delete(name);
  });
});
