// Clients of the npm package `ws`, one for each line of standard input: see
// test_deflate_clients.py.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const need = createRequire(join(process.env.INTEROP_DIR, "package.json"));
const WebSocket = need("ws");
const CASE_MS = 20000;
const kept = new Map();

function readMessages(path) {
  if (!kept.has(path)) {
    const read = ({ text, binary }) =>
      text === undefined
        ? { binary: true, pieces: binary.map((piece) => Buffer.from(piece, "base64")) }
        : { binary: false, pieces: text.map((piece) => Buffer.from(piece)) };
    const messages = JSON.parse(readFileSync(path)).map(read);
    for (const m of messages) m.whole = Buffer.concat(m.pieces);
    kept.set(path, messages);
  }
  return kept.get(path);
}

function options(offer) {
  if (offer === null) return { perMessageDeflate: false };
  return {
    perMessageDeflate: {
      serverNoContextTakeover: offer.server_no_context_takeover,
      clientNoContextTakeover: offer.client_no_context_takeover,
      serverMaxWindowBits: offer.server_max_window_bits,
      clientMaxWindowBits: offer.client_max_window_bits ?? false,
      threshold: 0,
    },
  };
}

async function run({ url, offer, messages: path }, report) {
  const messages = readMessages(path);
  const socket = new WebSocket(url, { ...options(offer), maxPayload: 0 });
  const timer = setTimeout(() => socket.terminate(), CASE_MS);
  let next = 0;
  socket.on("upgrade", (response) => {
    report.answer = response.headers["sec-websocket-extensions"] ?? null;
  });
  socket.on("open", () => {
    for (const { binary, pieces } of messages)
      pieces.forEach((piece, i) => socket.send(piece, { binary, fin: i === pieces.length - 1 }));
  });
  socket.on("message", (data, binary) => {
    const wanted = messages[next];
    if (binary !== wanted.binary || !wanted.whole.equals(data)) report.wrong ??= `message ${next}`;
    if (++next < messages.length) return;
    const params = socket._extensions["permessage-deflate"]?.params;
    if (params !== undefined) {
      const takeover = params.client_no_context_takeover !== true;
      report.sends = [takeover, params.client_max_window_bits ?? 15];
    }
    socket.close(1000);
  });
  socket.on("error", (e) => (report.wrong ??= e.message));
  await once(socket, "close");
  clearTimeout(timer);
  if (next < messages.length) report.wrong ??= `only ${next} messages came back`;
}

for await (const line of createInterface({ input: process.stdin })) {
  const report = { answer: null, sends: null, wrong: null };
  try {
    await run(JSON.parse(line), report);
  } catch (e) {
    report.wrong ??= String(e);
  }
  console.log(JSON.stringify(report));
}
