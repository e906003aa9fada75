// An echo server of the npm package `ws`: PORT [CERT KEY].
//
// The query of a URL chooses the compression of the connection, in the words of RFC 7692 and with
// =false for what the package calls false, as in ?deflate&client_max_window_bits=9; without one
// there is none.  With &parts messages go back in three pieces.
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

function compression(query) {
  if (!query.has("deflate")) return false;
  const option = (name) => {
    const value = query.get(name);
    return value === null ? undefined : JSON.parse(value || "true");
  };
  return {
    serverNoContextTakeover: option("server_no_context_takeover"),
    clientNoContextTakeover: option("client_no_context_takeover"),
    serverMaxWindowBits: option("server_max_window_bits"),
    clientMaxWindowBits: option("client_max_window_bits"),
    threshold: 0,
  };
}

function echo(socket, parts) {
  socket.on("message", (data, binary) => {
    const third = Math.floor(data.length / 3);
    if (parts) {
      socket.send(data.subarray(0, third), { binary, fin: false });
      socket.send(data.subarray(third, third), { binary, fin: false });
    }
    socket.send(data.subarray(parts ? third : 0), { binary });
  });
  socket.on("error", () => {});
}

server.on("upgrade", (request, socket, head) => {
  const query = new URL(request.url, "ws://localhost").searchParams;
  new WebSocketServer({
    noServer: true,
    maxPayload: 32 << 20,
    handleProtocols: choose,
    perMessageDeflate: compression(query),
  }).handleUpgrade(request, socket, head, (s) => echo(s, query.has("parts")));
});
server.listen(Number(port), "127.0.0.1");
