// A real Chromium, headless, as the peer of `ws serve`: the chat page, and the browser's own
// WebSocket.  Screenshots for a human eye are left in INTEROP_DIR.
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  SIZES,
  WORK,
  assert,
  main,
  need,
  sleep,
  soon,
  until,
  withScratch,
  withServer,
} from "./harness.mjs";
import * as checks from "./test_browser.mjs"; // itself

const { chromium } = need("playwright-core");
const WebSocket = need("ws");
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-sync",
  "--no-proxy-server",
  "--disable-background-networking",
  "--disable-component-update",
];

let browser = null;

// Opens pages in a profile of their own, and fails if one of them complains about anything, or
// asks another host for anything.
async function withPages(use, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 720 }, ...options });
  const complaints = [];
  await context.addInitScript(() =>
    addEventListener("securitypolicyviolation", (e) => {
      console.error("CSP: " + e.violatedDirective + " " + e.blockedURI);
    }),
  );
  const visit = async (url, allowed = null) => {
    const page = await context.newPage();
    const complain = (text) => {
      if (allowed === null || !allowed.test(text)) complaints.push(text);
    };
    page.on("console", (m) => {
      if (["error", "warning"].includes(m.type())) complain(m.type() + ": " + m.text());
    });
    page.on("pageerror", (e) => complain("exception: " + e.message));
    page.on("request", (r) => {
      if (!r.url().startsWith("data:") && new URL(r.url()).hostname !== "127.0.0.1")
        complain("request: " + r.url());
    });
    page.setDefaultTimeout(8000);
    await page.goto(url);
    return page;
  };
  try {
    await use(visit);
    assert.deepEqual(complaints, [], "complaints of the pages");
  } finally {
    await context.close();
  }
}

// ---- the chat page

const state = (page) => page.locator("#status").getAttribute("data-state");
const connected = (page) => until(async () => (await state(page)) === "open", "connected");
const names = (page) => page.locator("#people li bdi").allTextContents();
const myName = (page) => page.locator("#name").inputValue();
const sayings = (page) => page.locator("#messages .bubble").allTextContents();

async function rename(page, name) {
  await page.fill("#name", name);
  await page.press("#name", "Enter");
}

async function say(page, text) {
  await page.fill("#input", text);
  await page.press("#input", "Enter");
}

async function sees(page, name) {
  await until(async () => (await names(page)).includes(name), `"${name}" among the people`);
}

async function hears(page, text) {
  await until(async () => (await sayings(page)).includes(text), `"${text}" among the messages`);
}

// Members of the room that are no browsers.
async function withMembers(s, count, use) {
  const members = Array.from({ length: count }, () => new WebSocket(s.url));
  try {
    await Promise.all(members.map((m) => soon(once(m, "open"), "a member")));
    await use(members);
  } finally {
    for (const m of members) m.terminate();
  }
}

export function test_two_tabs_chat_and_see_each_other() {
  return withServer(["--chat"], (s) =>
    withPages(async (visit) => {
      const a = await visit(s.http + "/");
      await connected(a);
      await rename(a, "Ada");
      await sees(a, "Ada");
      const b = await visit(s.http + "/"); // shares the storage of the first: the same name
      await connected(b);
      await sees(b, "Ada 2");
      assert.equal(await myName(b), "Ada 2");
      await rename(b, "Bob");
      await sees(a, "Bob");
      await sees(b, "Ada");
      assert.equal((await names(a)).length, 2);

      await say(a, "Hello Bob \u{1f600}");
      await hears(b, "Hello Bob \u{1f600}");
      await say(b, "Hi!\nTwo lines");
      await hears(a, "Hi!\nTwo lines");
      assert.deepEqual(await sayings(a), await sayings(b));
      const authors = await b.locator("#messages .who b").allTextContents();
      assert.deepEqual(authors, ["Ada", "You"]);

      await b.reload(); // its old connection goes before the new one comes
      await connected(b);
      await sees(b, "Ada");
      assert.deepEqual(await names(b), ["Bob", "Ada"]);

      await b.close();
      await until(async () => (await names(a)).length === 1, "the one who left to be gone");
      for (const count of [1, 2]) {
        const line = await s.closed(count);
        assert.equal(line.code + line.clean, "1001yes", "a tab that is left says 1001");
      }
      const c = await visit(s.http + "/");
      await hears(c, "Hello Bob \u{1f600}"); // what was said before
    }),
  );
}

export function test_round_trip_and_rate_appear() {
  return withServer(["--chat"], (s) =>
    withPages(async (visit) => {
      const [a, b] = [await visit(s.http + "/"), await visit(s.http + "/")];
      await rename(a, "Grace");
      for (let i = 0; i < 12; i++) {
        await say(
          i % 3 ? a : b,
          ["What a fine day", "Indeed", "And no packet was lost"][i % 3] + (i > 2 ? ", " + i : "."),
        );
        await sleep(150);
      }
      for (const page of [a, b]) {
        const number = async (id) => Number(await page.locator(id).textContent());
        await until(async () => (await number("#rtt")) > 0, "a round-trip time");
        await until(async () => (await number("#rate")) > 0, "a message rate");
        assert.ok(
          (await number("#rtt")) < 200,
          "round trip on loopback: " + (await number("#rtt")),
        );
        assert.ok((await number("#median")) > 0);
        const drawn = await page.locator("#graph").evaluate((canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return new Set(new Uint32Array(data.buffer)).size;
        });
        assert.ok(drawn > 3, `${drawn} colours in the graph`);
      }
      await sleep(1500);
      await a.screenshot({ path: join(WORK, "chat.png") });
    }),
  );
}

export function test_dark_and_narrow_pages_fit() {
  return withServer(["--chat"], async (s) => {
    const narrow = { viewport: { width: 360, height: 640 }, colorScheme: "dark" };
    await withPages(async (visit) => {
      const page = await visit(s.http + "/");
      await connected(page);
      await say(page, "A long word: " + "W".repeat(200));
      await hears(page, "A long word: " + "W".repeat(200));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${wide} pixels too wide`);
      for (const id of ["#input", "#send", "#status"]) {
        const box = await page.locator(id).boundingBox();
        assert.ok(
          box && box.x >= 0 && box.x + box.width <= 360 && box.y + box.height <= 640,
          id + " is on the screen",
        );
      }
      await sleep(1500);
      await page.screenshot({ path: join(WORK, "chat-narrow-dark.png") });
    }, narrow);
    await withPages(
      async (visit) => {
        const page = await visit(s.http + "/");
        await connected(page);
        await sleep(1500);
        await page.screenshot({ path: join(WORK, "chat-dark.png") });
      },
      { colorScheme: "dark" },
    );
  });
}

export function test_markup_in_names_and_texts_stays_text() {
  return withServer(["--chat"], (s) =>
    withPages(async (visit) => {
      const [a, b] = [await visit(s.http + "/"), await visit(s.http + "/")];
      const markup =
        "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>";
      await connected(a);
      await rename(a, "<b onclick=alert(1)>x</b>");
      await sees(b, "<b onclick=alert(1)>x</b>");
      await say(a, markup);
      await hears(b, markup);
      assert.equal(await b.locator("#messages img, #people b").count(), 0);
      assert.ok(!(await b.title()).includes("owned"));
    }),
  );
}

export async function test_page_reconnects_when_the_server_comes_back() {
  const refused = /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|WebSocket connection to/;
  await withPages(async (visit) => {
    let a, listen;
    await withServer(["--chat"], async (s) => {
      listen = "127.0.0.1:" + s.port;
      a = await visit(s.http + "/", refused);
      await connected(a);
      await rename(a, "Ada");
      await sees(a, "Ada");
      await say(a, "before");
      await hears(a, "before");
    });
    await until(async () => (await state(a)) === "waiting", "offline");
    assert.equal((await names(a)).length, 0);
    assert.ok(await a.locator("#send").isDisabled(), "the send button while offline");
    await sleep(1000);
    await a.screenshot({ path: join(WORK, "chat-offline.png") });
    await withServer(
      ["--chat"],
      async (s) => {
        const start = Date.now();
        await until(async () => (await state(a)) === "open", "connected again", 10000);
        assert.ok(Date.now() - start < 6000, `reconnected after ${Date.now() - start} ms`);
        await sees(a, "Ada");
        const b = await visit(s.http + "/");
        await connected(b);
        await rename(b, "Bob");
        await say(a, "after");
        await hears(b, "after");
        await hears(a, "after");
        const mine = await a.locator("#messages .msg.me .bubble").allTextContents();
        assert.deepEqual(mine, ["before", "after"]);
        const clear = await a.locator("#messages .note").allTextContents();
        assert.ok(
          clear.some((t) => t.includes("Connection lost")) && clear.includes("Connected again"),
          clear.join("|"),
        );
      },
      listen,
    );
  });
}

// Ids begin anew with each server: those of the last one now belong to somebody else.
export async function test_sayings_of_others_after_a_restart_are_not_taken_for_ones_own() {
  await withPages(async (visit) => {
    let a, listen;
    await withServer(["--chat"], async (s) => {
      listen = "127.0.0.1:" + s.port;
      await withMembers(s, 4, async () => {
        a = await visit(s.http + "/", /ERR_CONNECTION_REFUSED|WebSocket connection to/);
        await connected(a);
      });
    });
    await withServer(
      ["--chat"],
      async (s) => {
        await until(async () => (await state(a)) === "open", "connected again", 10000);
        await withMembers(s, 12, async (members) => {
          for (const m of members) m.send("say from another");
          await until(async () => (await sayings(a)).length === 12, "all sayings");
          assert.equal(await a.locator("#messages .msg.me").count(), 0, "sayings shown as own");
        });
      },
      listen,
    );
  });
}

// ---- the browser's WebSocket, from a page that `ws serve` delivers

// Runs in the page.
function helpers() {
  window.makeText = (size) =>
    "a\u00e9\u20ac\u{1f600}".repeat(Math.floor(size / 10)) + "z".repeat(size % 10);
  window.makeBinary = (size) => {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) bytes[i] = i * 7 + (i >> 8) * 13;
    return bytes;
  };
  window.same = (a, b) => {
    for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
    return a.length === b.length;
  };
  window.socket = (url, protocols) =>
    new Promise((yes) => {
      const s = new WebSocket(url, protocols);
      s.binaryType = "arraybuffer";
      s.waiting = [];
      s.messages = [];
      s.ended = new Promise((end) => {
        s.onclose = (e) => {
          end({ code: e.code, reason: e.reason, wasClean: e.wasClean });
          yes(s);
        };
      });
      s.onmessage = (e) => (s.waiting.length ? s.waiting.shift()(e.data) : s.messages.push(e.data));
      s.next = () =>
        s.messages.length
          ? Promise.resolve(s.messages.shift())
          : new Promise((got) => s.waiting.push(got));
      s.onopen = () => yes(s);
    });
}

// `use(page, server)` with an empty page of the server's own origin.
function withTestPage(options, use, allowed = null, profile = {}) {
  return withScratch(async (site) => {
    writeFileSync(
      join(site, "index.html"),
      "<!doctype html><meta charset=utf-8><link rel=icon href=data:,><title>test</title>",
    );
    await withServer([...options, "--static", site], (s) =>
      withPages(async (visit) => {
        const page = await visit(s.http + "/", allowed);
        await page.evaluate(helpers);
        await use(page, s);
      }, profile),
    );
  });
}

async function everySize(page, s) {
  const wrong = await page.evaluate(
    async ([url, sizes]) => {
      const wrong = [];
      const s = await socket(url);
      for (const size of sizes) {
        const bytes = makeBinary(size);
        s.send(bytes);
        if (!same(new Uint8Array(await s.next()), bytes)) wrong.push("binary " + size);
        const string = makeText(size);
        s.send(string);
        if ((await s.next()) !== string) wrong.push("text " + size);
      }
      if (s.bufferedAmount !== 0) wrong.push("bufferedAmount " + s.bufferedAmount);
      s.close(1000);
      const end = await s.ended;
      if (end.code !== 1000 || !end.wasClean) wrong.push("close " + JSON.stringify(end));
      return wrong;
    },
    [s.url, SIZES],
  );
  assert.deepEqual(wrong, []);
  const line = await s.closed();
  assert.equal(line.messages_in + " " + line.messages_out, "18 18");
}

// req: 48, 61, 71
// bad: 89
export function test_every_size_comes_back_as_text_and_binary() {
  return withTestPage(["--echo"], everySize);
}

// The browser has to be told to take the certificate.
const UNVERIFIED = { ignoreHTTPSErrors: true };

export function test_every_size_comes_back_over_tls() {
  const use = async (page, s) => {
    assert.match(s.url, /^wss:/);
    await everySize(page, s);
  };
  return withTestPage(["--echo", "--self-signed"], use, null, UNVERIFIED);
}

export function test_two_tabs_chat_over_tls() {
  return withServer(["--chat", "--self-signed"], (s) =>
    withPages(async (visit) => {
      assert.match(s.http, /^https:/);
      const a = await visit(s.http + "/");
      const b = await visit(s.http + "/");
      await connected(a);
      await connected(b);
      await say(a, "Hello over TLS");
      await hears(b, "Hello over TLS");
    }, UNVERIFIED),
  );
}

// req: 78, 80, 88, 89, 96
// bad: 118, 119, 121
export function test_close_of_the_page_is_seen_on_both_sides() {
  return withTestPage(["--echo"], async (page, s) => {
    const cases = [
      [],
      [1000],
      [1000, "bye"],
      [3000, "\u20ac".repeat(41)],
      [4000, ""],
      [4999, "z".repeat(123)],
    ];
    for (const [i, args] of cases.entries()) {
      const end = await page.evaluate(
        async ([url, args]) => {
          const s = await socket(url);
          s.close(...args);
          return s.ended;
        },
        [s.url, args],
      );
      // The event tells what the server sent, which is the code alone.
      assert.deepEqual(end, { code: args[0] ?? 1005, reason: "", wasClean: true });
      const line = await s.closed(i + 1);
      assert.equal(`${line.code} ${line.clean} ${line.by}`, `${args[0] ?? 1005} yes peer`);
      if (/^[a-z]+$/.test(args[1] ?? "")) assert.equal(line.reason, args[1]);
    }
  });
}

// req: 88, 91, 97, 104
// bad: 88
export function test_too_long_message_is_1009_in_the_page() {
  return withTestPage(["--echo", "--max-message", "1000"], async (page, s) => {
    for (const size of [1001, 1 << 20, 32 << 20]) {
      const end = await page.evaluate(
        async ([url, size]) => {
          const s = await socket(url);
          s.send(new Uint8Array(1000));
          await s.next();
          s.send(new Uint8Array(size));
          return s.ended;
        },
        [s.url, size],
      );
      assert.equal(end.code, 1009, `close code for ${size}: ${JSON.stringify(end)}`);
    }
    assert.equal((await s.closed()).sent, "1009");
  });
}

export async function test_stop_is_1001_and_kill_is_1006_in_the_page() {
  for (const [signal, code, wasClean] of [
    ["SIGTERM", 1001, true],
    ["SIGKILL", 1006, false],
  ]) {
    await withTestPage(["--echo"], async (page, s) => {
      const handle = await page.evaluateHandle(async (url) => {
        const s = await socket(url);
        return { s };
      }, s.url);
      s.kill(signal);
      const end = await soon(
        handle.evaluate((h) => h.s.ended),
        "the end",
      );
      assert.equal(end.code, code);
      assert.equal(end.wasClean, wasClean);
      if (signal === "SIGTERM") {
        const line = await s.closed();
        assert.equal(`${line.code} ${line.sent} ${line.clean} ${line.by}`, "1001 1001 yes us");
      }
    });
  }
}

export function test_page_that_is_left_says_1001() {
  return withTestPage(["--echo"], async (page, s) => {
    await page.evaluate(async (url) => {
      window.kept = await socket(url);
    }, s.url);
    await page.goto("about:blank");
    const line = await s.closed();
    assert.equal(`${line.code} ${line.clean} ${line.by}`, "1001 yes peer");
  });
}

// req: 43, 107
// bad: 277
export function test_page_of_another_origin_is_refused_unless_allowed() {
  return withTestPage(
    ["--echo"],
    async (page, own) => {
      const attempt = (s) =>
        page.evaluate(async (url) => {
          const s = await socket(url);
          const open = s.readyState === WebSocket.OPEN;
          s.close();
          return open ? "open" : (await s.ended).code;
        }, s.url);
      await withServer(["--echo"], async (other) => assert.equal(await attempt(other), 1006));
      await withServer(["--echo", "--origin", own.http], async (other) =>
        assert.equal(await attempt(other), "open"),
      );
      await withServer(["--echo", "--origin", "*"], async (other) =>
        assert.equal(await attempt(other), "open"),
      );
    },
    /Unexpected response code: 403/,
  );
}

export function test_200_sockets_of_one_page_broadcast() {
  return withTestPage(["--broadcast"], async (page, s) => {
    const got = await page.evaluate(async (url) => {
      const all = await Promise.all(Array.from({ length: 200 }, () => socket(url)));
      all[0].send("hello");
      const heard = await Promise.all(all.slice(1).map((s) => s.next()));
      all[1].send("back");
      const first = await all[0].next();
      all.forEach((s) => s.close(1000));
      const ends = await Promise.all(all.map((s) => s.ended));
      return [
        heard.filter((m) => m === "hello").length,
        first,
        ends.filter((e) => e.wasClean).length,
      ];
    }, s.url);
    assert.deepEqual(got, [199, "back", 200]);
  });
}

// 50 messages: like ones first, of which each alone compresses badly.  Gives what was agreed on.
function compressed(page, url) {
  return page.evaluate(async (url) => {
    const s = await socket(url);
    const digits = crypto.getRandomValues(new Uint8Array(500)).join("");
    const messages = Array.from({ length: 40 }, (_, i) => `tick ${i} ${digits}`);
    for (const size of [0, 1, 126, 65536, 1 << 20]) messages.push(makeText(size), makeBinary(size));
    for (const m of messages) {
      s.send(m);
      const got = await s.next();
      if (typeof m === "string" ? got !== m : !same(new Uint8Array(got), m)) return "wrong echo";
    }
    s.close(1000);
    await s.ended;
    return s.extensions;
  }, url);
}

// req: 134
export function test_compression_is_agreed_on_in_every_mode() {
  const windows = [9, 10, 11, 12, 13, 14].map((bits) => `; client_max_window_bits=${bits}`);
  const agreed = [
    ["off", ""],
    ["shared", "; server_no_context_takeover; client_no_context_takeover"],
    ...windows.map((words, i) => [`dedicated:${i + 9}`, words]),
    ["dedicated:15", ""],
  ];
  const bytes = {};
  return withTestPage(["--echo"], async (page) => {
    for (const [mode, words] of agreed) {
      await withServer(["--echo", "--origin", "*", "--deflate", mode], async (s) => {
        const answer = mode === "off" ? "" : "permessage-deflate" + words;
        assert.equal(await compressed(page, s.url), answer, mode);
        const line = await s.closed();
        assert.equal(`${line.messages_in} ${line.messages_out}`, "50 50");
        bytes[mode] = [Number(line.deflated_in), Number(line.deflated_out)];
      });
    }
    for (const i of [0, 1])
      assert.ok(bytes["dedicated:15"][i] < bytes.shared[i] - 10000, JSON.stringify(bytes));
  });
}

// The profile is a new and empty directory each time; playwright removes it at the end.
try {
  browser = await chromium.launch({
    executablePath: process.env.INTEROP_BROWSER,
    headless: true,
    args: FLAGS,
    timeout: 20000,
  });
} catch (e) {
  console.log("fail launch: " + String(e.message).split("\n")[0]);
  console.log(" " + String(e.message).split("\n").slice(1, 20).join("\n "));
}
if (browser !== null) {
  await main(checks);
  await browser.close();
}
