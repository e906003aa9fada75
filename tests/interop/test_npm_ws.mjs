// The npm package `ws` as the peer of `ws serve`.
import { once } from "node:events";
import {
  SIZES,
  assert,
  binary,
  main,
  need,
  sleep,
  soon,
  text,
  until,
  withScratch,
  withServer,
} from "./harness.mjs";
import * as checks from "./test_npm_ws.mjs"; // itself

const WebSocket = need("ws");
const LARGE = { maxPayload: 64 << 20 };

async function open(url, ...rest) {
  const client = new WebSocket(url, ...rest);
  client.messages = [];
  client.on("message", (data, isBinary) => client.messages.push(isBinary ? data : data.toString()));
  client.ended = once(client, "close").then(([code, reason]) => ({
    code,
    reason: reason.toString(),
  }));
  await soon(once(client, "open"), "open " + url);
  client.on("error", () => {});
  return client;
}

async function next(client) {
  await until(
    () => client.messages.length > 0 || client.readyState === WebSocket.CLOSED,
    "a message",
    10000,
  );
  assert.ok(client.messages.length > 0, "closed instead of a message");
  return client.messages.shift();
}

async function ended(client) {
  return soon(client.ended, "the end of the connection");
}

// The status of the answer that is not 101, or 101.
function status(url, ...rest) {
  const client = new WebSocket(url, ...rest);
  client.on("error", () => {});
  return soon(
    new Promise((yes) => {
      client.on("unexpected-response", (_, response) => {
        response.resume();
        yes(response.statusCode);
      });
      client.on("open", () => {
        client.terminate();
        yes(101);
      });
    }),
    "an answer",
  );
}

// req: 48, 61, 68, 71
// bad: 89
export function test_every_size_comes_back_as_text_and_binary() {
  return withServer(["--echo"], async (s) => {
    for (const perMessageDeflate of [false, true]) {
      const client = await open(s.url, { ...LARGE, perMessageDeflate });
      for (const size of SIZES) {
        client.send(binary(size));
        assert.ok(binary(size).equals(await next(client)), `binary of ${size}`);
        client.send(text(size));
        assert.ok((await next(client)) === text(size), `text of ${size}`);
      }
      client.close(1000);
      assert.equal((await ended(client)).code, 1000);
    }
  });
}

// req: 62, 63, 83, 101
// bad: 102, 108
export function test_ping_between_fragments_is_answered_before_the_message_ends() {
  return withServer(["--echo"], async (s) => {
    const client = await open(s.url, LARGE);
    const word = Buffer.from(text(5000));
    for (const end of [1, 2, 3, 4, 5, 1000, 4999]) {
      const begin = client.at ?? 0;
      client.send(word.subarray(begin, end), { binary: false, fin: false });
      client.at = end;
      const payload = binary(end % 126);
      const pong = once(client, "pong");
      client.ping(payload);
      assert.ok(payload.equals((await soon(pong, "pong"))[0]), "pong payload");
    }
    assert.equal(client.messages.length, 0);
    client.send(word.subarray(4999), { binary: false, fin: true });
    assert.ok((await next(client)) === word.toString());
    client.close();
  });
}

// req: 85
// bad: 167
export function test_unsolicited_pongs_are_ignored() {
  return withServer(["--echo"], async (s) => {
    const client = await open(s.url);
    for (let i = 0; i < 100; i++) client.pong(binary(125));
    client.send("after");
    assert.equal(await next(client), "after");
    client.close();
    const line = await s.closed();
    assert.equal(line.clean, "yes");
  });
}

// req: 91, 97, 104
// bad: 88
export function test_message_above_the_limit_is_closed_1009() {
  return withServer(["--echo", "--max-message", "64K"], async (s) => {
    for (const extra of [1, 1 << 20, 64 << 20]) {
      const client = await open(s.url, LARGE);
      client.send(binary(65536));
      assert.equal((await next(client)).length, 65536);
      client.send(binary(65536 + extra));
      assert.equal((await ended(client)).code, 1009, `close code for ${extra} too many`);
    }
    assert.equal((await s.closed()).sent, "1009");
  });
}

// req: 78, 80, 88, 89, 96
// bad: 118, 119, 121
export function test_close_of_the_client_is_echoed_and_logged() {
  return withServer(["--echo"], async (s) => {
    const cases = [
      [undefined],
      [1000],
      [1000, "bye"],
      [1001, ""],
      [1012, "x".repeat(123)],
      [3000, "\u00e9"],
      [4999, "z"],
    ];
    for (const [i, [code, reason]] of cases.entries()) {
      const client = await open(s.url);
      client.close(code, reason);
      const got = await ended(client);
      assert.equal(got.code, code ?? 1005);
      const line = await s.closed(i + 1);
      assert.equal(line.code, String(code ?? 1005));
      assert.equal(line.sent, String(code ?? 1005), "1005 stands for a close without a code");
      assert.equal(line.clean + line.by, "yespeer");
    }
  });
}

// req: 81
// bad: 122, 123
export function test_close_inside_a_fragmented_message_is_clean() {
  return withServer(["--echo"], async (s) => {
    const client = await open(s.url);
    client.send("half", { fin: false });
    client.close(1000);
    assert.equal((await ended(client)).code, 1000);
    const line = await s.closed();
    assert.equal(line.clean + line.messages_in, "yes0");
  });
}

// req: 88, 92
// bad: 128
export function test_terminated_client_is_logged_1006_and_others_go_on() {
  return withServer(["--echo"], async (s) => {
    const other = await open(s.url);
    const client = await open(s.url);
    client.send(binary(1 << 20));
    client.terminate();
    const line = await s.closed();
    assert.equal(line.code + line.clean, "1006no");
    other.send("still here");
    assert.equal(await next(other), "still here");
    other.close();
  });
}

export function test_sigterm_closes_everyone_1001() {
  return withServer(["--echo"], async (s) => {
    const clients = await Promise.all(Array.from({ length: 50 }, () => open(s.url)));
    s.kill("SIGTERM");
    for (const client of clients) assert.equal((await ended(client)).code, 1001);
    assert.equal(await s.exited, 0);
  });
}

export function test_sigkill_is_1006_at_the_client() {
  return withServer(["--echo"], async (s) => {
    const client = await open(s.url);
    s.kill("SIGKILL");
    assert.equal((await ended(client)).code, 1006);
  });
}

// req: 43, 44, 107
// bad: 277, 279
export function test_foreign_origin_is_refused_403() {
  return withServer(["--echo"], async (s) => {
    assert.equal(await status(s.url, { origin: "https://evil.example" }), 403);
    assert.equal(await status(s.url, { headers: { Origin: "null" } }), 403);
    assert.equal(await status(s.url, { origin: s.http }), 101);
    assert.equal(await status(s.url), 101);
  });
}

// req: 39
// bad: 10
export function test_old_protocol_version_is_refused_426() {
  return withServer(["--echo"], async (s) => {
    assert.equal(await status(s.url, { protocolVersion: 8 }), 426);
  });
}

export function test_500_connections_echo_at_once() {
  return withServer(["--echo"], async (s) => {
    const clients = await Promise.all(
      Array.from({ length: 500 }, () => open(s.url, { perMessageDeflate: false })),
    );
    for (const [i, client] of clients.entries())
      for (let j = 0; j < 10; j++) client.send(`${i} ${j}`);
    for (const [i, client] of clients.entries()) {
      await until(
        () => client.messages.length === 10,
        `client ${i} has ${client.messages.length} of 10`,
      );
      assert.equal(client.messages[9], `${i} 9`);
      client.close();
    }
    await s.closed(500);
  });
}

export function test_duplex_stream_of_64_mib_comes_back_intact() {
  return withServer(["--echo"], async (s) => {
    const client = new WebSocket(s.url, LARGE);
    const duplex = WebSocket.createWebSocketStream(client);
    const block = binary(64 << 10);
    let received = 0;
    const reading = (async () => {
      for await (const part of duplex) {
        assert.ok(part.equals(block), "a block came back different");
        if (++received === 1024) break;
      }
    })();
    for (let i = 0; i < 1024; i++) if (!duplex.write(block)) await once(duplex, "drain");
    await soon(reading, "the end of the stream", 20000);
    assert.equal(received, 1024);
  });
}

export function test_unix_socket_echoes() {
  return withScratch((directory) =>
    withServer(
      ["--echo"],
      async (s) => {
        const client = await open(`ws+unix://${directory}/s:/path`);
        client.send(text(70000));
        assert.ok((await next(client)) === text(70000));
        client.close();
        assert.equal((await s.closed()).path, "/path");
      },
      `unix:${directory}/s`,
    ),
  );
}

export function test_broadcast_reaches_everyone_but_the_sender() {
  return withServer(["--broadcast"], async (s) => {
    const [a, b, c] = [await open(s.url), await open(s.url), await open(s.url)];
    a.send("one");
    a.send(binary(70000));
    for (const client of [b, c]) {
      assert.equal(await next(client), "one");
      assert.ok(binary(70000).equals(await next(client)));
    }
    b.send("two");
    assert.equal(await next(a), "two");
    await sleep(50);
    assert.equal(b.messages.length, 0);
    for (const client of [a, b, c]) client.close();
  });
}

await main(checks);
