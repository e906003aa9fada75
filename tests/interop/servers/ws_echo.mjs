// An echo server of the npm package `ws`: PORT [CERT KEY].
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { createRequire } from "node:module";
import { join } from "node:path";

const need = createRequire(join(process.env.INTEROP_DIR, "package.json"));
const { WebSocketServer } = need("ws");
const [port, cert, key] = process.argv.slice(2);
const server =
  cert === undefined
    ? createServer()
    : createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) });

const choose = (offered) => (offered.has("chat") ? "chat" : false);
const sockets = new WebSocketServer({ server, maxPayload: 32 << 20, handleProtocols: choose });
sockets.on("connection", (socket) => {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
  socket.on("error", () => {});
});
server.listen(Number(port), "127.0.0.1");
