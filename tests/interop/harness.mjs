// What the Node suites share: a `ws serve` process and its log, and a runner that prints one line
// per check.  The twin of harness.py; npm packages come from INTEROP_DIR, not from the source tree.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export { assert, sleep };
export const WORK = process.env.INTEROP_DIR;
export const need = createRequire(join(WORK, "package.json"));
export const SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 16 << 20];
const CHECK_MS = 40000;

const block = Buffer.from(Array.from({ length: 65521 }, (_, i) => (i * 7 + (i >> 8) * 13) & 255));

// Bytes in which a lost, doubled or moved one shows.
export function binary(size) {
  return size === 0 ? Buffer.alloc(0) : Buffer.alloc(size, block);
}

// A string of exactly `size` bytes of UTF-8, with code points of every length.
export function text(size) {
  const count = Math.floor(size / 10);
  return "a\u00e9\u20ac\u{1f600}".repeat(count) + "z".repeat(size - 10 * count);
}

// A directory for sockets and pages; short, because a unix socket path has 107 bytes at most.
export async function withScratch(use) {
  const directory = mkdtempSync(join(tmpdir(), "ws-"));
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export async function until(condition, what, ms = 5000) {
  for (const end = Date.now() + ms; !(await condition());) {
    if (Date.now() > end) throw new Error("timeout: " + what);
    await sleep(20);
  }
}

// Rejects when `promise` takes too long.
export function soon(promise, what, ms = 5000) {
  let timer;
  const late = new Promise((_, no) => {
    timer = setTimeout(() => no(new Error("timeout: " + what)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const running = new Set();

class Server {
  constructor(options, listen) {
    this.told = false; // to end
    this.log = [];
    this.stdout = [];
    this.process = spawn(
      process.env.INTEROP_WS,
      ["serve", "--verbose", "--listen", listen, ...options],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    this.exited = new Promise((yes) =>
      this.process.on("close", (status, signal) => yes(signal ?? status)),
    );
    this.#collect(this.process.stdout, this.stdout);
    this.#collect(this.process.stderr, this.log);
  }

  #collect(stream, lines) {
    let rest = "";
    stream.setEncoding("utf8").on("data", (data) => {
      const parts = (rest + data).split("\n");
      rest = parts.pop();
      lines.push(...parts);
    });
  }

  async start() {
    await until(() => this.stdout.length > 0, "no address on standard output: " + this.log);
    this.url = / on (\S+)/.exec(this.stdout[0])[1];
    this.http = this.url.replace(/^ws/, "http").replace(/\/$/, "");
    this.port = /:(\d+)\/$/.exec(this.url)?.[1];
    return this;
  }

  kill(signal) {
    this.process.kill(signal);
    this.told = true;
  }

  // The fields of the close line that is the `count`th.
  async closed(count = 1) {
    const lines = () => this.log.filter((line) => line.startsWith("ws: close "));
    await until(() => lines().length >= count, `${lines().length} of ${count} close lines`);
    return Object.fromEntries(
      Array.from(lines()[count - 1].matchAll(/(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/g), (m) => [
        m[1],
        m[2] ?? m[3],
      ]),
    );
  }
}

// Runs `use` with a server that is stopped afterwards and must then exit with status 0.
export async function withServer(options, use, listen = "127.0.0.1:0") {
  const s = new Server(options, listen);
  running.add(s);
  try {
    await s.start();
    const result = await use(s);
    if (!s.told) s.kill("SIGTERM"); // a second one would cut the stop short
    const status = await soon(s.exited, "the server does not stop", 10000);
    if (status !== 0 && status !== "SIGKILL") {
      throw new Error(["the server's exit status: " + status, ...s.log.slice(-20)].join("\n"));
    }
    running.delete(s);
    return result;
  } finally {
    s.kill("SIGKILL");
  }
}

// Run the named checks in order.
export async function main(checks) {
  for (const [name, check] of Object.entries(checks)) {
    if (process.argv[2] !== undefined && !name.includes(process.argv[2])) continue;
    running.clear();
    const start = Date.now();
    try {
      await soon(check(), "the check itself", CHECK_MS);
      console.log(`pass ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
    } catch (e) {
      const lines = String(e.stack ?? e)
        .split("\n")
        .filter((line) => line.trim() !== "");
      console.log(
        `fail ${name}: ${String(e.message ?? e)
          .split("\n")[0]
          .slice(0, 400)}`,
      );
      for (const s of running) lines.push("server:", ...s.log.slice(-6));
      for (const line of lines.slice(0, 30)) console.log(" " + line.slice(0, 400));
    }
  }
  console.log("done");
}
