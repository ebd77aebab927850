// Starts build/socketio_echo on a free port for a test file and ends it afterwards; small helpers for raw protocol tests.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import path from "node:path";
import { WebSocket } from "ws";
import { endWithTests } from "./helper.mjs";

const build = path.resolve(process.env.MIEN_BUILD ?? "build");

export async function startEcho(...options) {
  const child = spawn(path.join(build, "socketio_echo"), ["--port", "0", ...options], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  endWithTests(child);
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([once(lines, "line"), once(child, "exit").then(() => [""])]);
  const port = Number(/port (\d+)/.exec(line)?.[1]);
  if (!port) throw new Error("socketio_echo did not start");
  return {
    port,
    http: `http://127.0.0.1:${port}`,
    ws: `ws://127.0.0.1:${port}`,
    child,
    async stop() {
      if (child.exitCode !== null) return child.exitCode;
      child.kill("SIGTERM");
      const [code] = await once(child, "exit");
      return code;
    },
  };
}

// A WebSocket whose messages are taken one after another with next(); text stays text, binary becomes a Buffer.
export class RawSocket {
  #waiting = [];
  #arrived = [];

  constructor(url) {
    this.socket = new WebSocket(url);
    this.opened = new Promise((resolve) => this.socket.once("open", () => resolve(true)));
    this.closed = new Promise((resolve) => {
      this.socket.once("close", (code) => {
        resolve(code);
        this.#waiting.forEach((waiter) => waiter.reject(new Error(`closed with ${code}`)));
      });
    });
    this.refused = new Promise((resolve) => {
      this.socket.once("unexpected-response", (_, response) => {
        resolve(response.statusCode);
        this.socket.terminate();
      });
    });
    this.socket.on("error", () => {});
    this.socket.on("message", (data, binary) => {
      const message = binary ? data : data.toString();
      const waiter = this.#waiting.shift();
      if (waiter) waiter.resolve(message);
      else this.#arrived.push(message);
    });
  }

  next() {
    if (this.#arrived.length) return Promise.resolve(this.#arrived.shift());
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  // The next message that is not a ping.
  async nextWord() {
    for (;;) {
      const message = await this.next();
      if (message !== "2") return message;
    }
  }

  send(data) {
    this.socket.send(data);
  }

  close() {
    this.socket.close();
  }
}
