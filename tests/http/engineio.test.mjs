// Guards the Engine.IO server byte by byte over real HTTP and WebSockets: handshake, payloads, heartbeat, closing, the
// upgrade, and the real client in every transport. The cases follow those of the public protocol test suite, revision 4.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { Socket as EngineSocket } from "engine.io-client";
import { RawSocket, startEcho } from "./echo_server.mjs";

// Two servers, so that on a slow machine no ping comes in between where none is expected.
let calm;
let quick;
let url;
let wsUrl;
function talkTo(server) {
  url = `${server.http}/engine.io/`;
  wsUrl = `${server.ws}/engine.io/`;
}
before(async () => {
  calm = await startEcho("--max-payload", "100000");
  quick = await startEcho("--ping-interval", "300", "--ping-timeout", "1500", "--max-payload", "100000");
  talkTo(calm);
});
after(async () => assert.deepEqual(await Promise.all([calm.stop(), quick.stop()]), [0, 0]));

const get = (query) => fetch(`${url}?${query}`);
const post = (query, body) => fetch(`${url}?${query}`, { method: "POST", body });

async function openPolling() {
  const response = await get("EIO=4&transport=polling");
  const { sid } = JSON.parse((await response.text()).slice(1));
  return `EIO=4&transport=polling&sid=${sid}`;
}

async function openWebSocket() {
  const socket = new RawSocket(`${wsUrl}?EIO=4&transport=websocket`);
  await socket.next();
  return socket;
}

async function assertFault(response, code, message) {
  assert.equal(response.status, 400);
  assert.deepEqual(await response.json(), { code, message });
}

describe("handshake", () => {
  before(() => talkTo(quick));
  after(() => talkTo(calm));

  it("opens a polling session", async () => {
    const response = await get("EIO=4&transport=polling");
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type"), /^text\/plain; charset=utf-8$/i);
    const text = await response.text();
    assert.equal(text[0], "0");
    const value = JSON.parse(text.slice(1));
    assert.deepEqual(Object.keys(value), ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]);
    assert.equal(typeof value.sid, "string");
    assert.deepEqual(value.upgrades, ["websocket"]);
    assert.equal(value.pingInterval, 300);
    assert.equal(value.pingTimeout, 1500);
    assert.equal(value.maxPayload, 100000);
  });

  it("answers without the slash too", async () => {
    const response = await fetch(`${quick.http}/engine.io?EIO=4&transport=polling`);
    assert.equal(response.status, 200);
  });

  it("refuses other protocol versions", async () => {
    await assertFault(await get("transport=polling"), 5, "Unsupported protocol version");
    await assertFault(await get("EIO=abc&transport=polling"), 5, "Unsupported protocol version");
    await assertFault(await get("EIO=3&transport=polling"), 5, "Unsupported protocol version");
  });

  it("refuses unknown transports, sessions and methods", async () => {
    await assertFault(await get("EIO=4"), 0, "Transport unknown");
    await assertFault(await get("EIO=4&transport=abc"), 0, "Transport unknown");
    await assertFault(await get("EIO=4&transport=polling&sid=abc"), 1, "Session ID unknown");
    await assertFault(await post("EIO=4&transport=polling", ""), 2, "Bad handshake method");
    await assertFault(await fetch(`${url}?EIO=4&transport=polling`, { method: "PUT" }), 2, "Bad handshake method");
    await assertFault(await get("EIO=4&transport=websocket"), 3, "Bad request");
  });

  it("opens a WebSocket session", async () => {
    const socket = new RawSocket(`${wsUrl}?EIO=4&transport=websocket`);
    const text = await socket.next();
    const value = JSON.parse(text.slice(1));
    assert.equal(text[0], "0");
    assert.deepEqual(value.upgrades, []);
    assert.equal(value.pingInterval, 300);
    socket.close();
    await socket.closed;
  });

  it("refuses WebSockets with a bad query", async () => {
    for (const query of ["transport=websocket", "EIO=abc&transport=websocket", "EIO=4", "EIO=4&transport=abc",
      "EIO=4&transport=websocket&sid=abc"]) {
      assert.equal(await new RawSocket(`${wsUrl}?${query}`).refused, 400, query);
    }
  });
});

describe("messages by polling", () => {
  it("echoes one and several packets, text and binary", async () => {
    for (const body of ["4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA==", "4\u00e9\u{1f600}"]) {
      const query = await openPolling();
      const pushed = await post(query, body);
      assert.equal(pushed.status, 200);
      assert.equal(await pushed.text(), "ok");
      const polled = await get(query);
      assert.equal(polled.status, 200);
      assert.equal(await polled.text(), body);
    }
  });

  it("closes the session upon an invalid packet", async () => {
    const query = await openPolling();
    assert.equal((await post(query, "abc")).status, 400);
    await assertFault(await get(query), 1, "Session ID unknown");
  });

  it("closes the session upon overlapping polls", async () => {
    const query = await openPolling();
    const answers = await Promise.all([get(query), get(`${query}&t=burst`)]);
    const statuses = answers.map((answer) => answer.status).sort();
    assert.deepEqual(statuses, [200, 400]);
    assert.equal(await answers.find((answer) => answer.status === 200).text(), "1");
    assert.equal((await get(query)).status, 400);
  });

  it("refuses a body over maxPayload", async () => {
    const query = await openPolling();
    assert.equal((await post(query, `4${"x".repeat(100000)}`)).status, 413);
  });

  it("ends the session when the waiting client goes away", async () => {
    const query = await openPolling();
    const stop = new AbortController();
    const poll = fetch(`${url}?${query}`, { signal: stop.signal });
    await post(query, "4first"); // answered by the waiting poll
    assert.equal(await (await poll).text(), "4first");
    const second = new AbortController();
    const waiting = fetch(`${url}?${query}&t=2`, { signal: second.signal });
    assert.equal((await get("EIO=4&transport=polling")).status, 200); // the waiting one has arrived by now
    second.abort();
    await assert.rejects(waiting);
    let status;
    do {
      status = (await post(query, "4x")).status; // until the server has noticed
    } while (status === 200);
    assert.equal(status, 400);
  });
});

describe("messages by WebSocket", () => {
  it("echoes text and binary", async () => {
    const socket = await openWebSocket();
    socket.send("4hello");
    assert.equal(await socket.nextWord(), "4hello");
    socket.send(Buffer.from([1, 2, 3, 4]));
    assert.deepEqual(await socket.nextWord(), Buffer.from([1, 2, 3, 4]));
    socket.close();
  });

  it("closes the session upon an invalid packet", async () => {
    const socket = await openWebSocket();
    socket.send("abc");
    assert.equal(await socket.closed, 1002);
  });

  it("closes upon a message over maxPayload", async () => {
    const socket = await openWebSocket();
    socket.send(Buffer.alloc(100001));
    assert.equal(await socket.closed, 1009);
  });
});

describe("heartbeat", () => {
  before(() => talkTo(quick));
  after(() => talkTo(calm));

  it("pings a polling client and believes its pongs", async () => {
    const query = await openPolling();
    for (let i = 0; i < 3; i++) {
      assert.equal(await (await get(query)).text(), "2");
      assert.equal((await post(query, "3")).status, 200);
    }
  });

  it("closes a silent polling session", async () => {
    const query = await openPolling();
    assert.equal(await (await get(query)).text(), "2");
    assert.equal(await (await get(query)).text(), "1");
    assert.equal((await get(query)).status, 400);
  });

  it("pings a WebSocket client and believes its pongs", async () => {
    const socket = await openWebSocket();
    for (let i = 0; i < 3; i++) {
      assert.equal(await socket.next(), "2");
      socket.send("3");
    }
    socket.close();
  });

  it("closes a silent WebSocket", async () => {
    const socket = await openWebSocket();
    assert.equal(await socket.next(), "2");
    assert.equal(await socket.closed, 1000);
  });
});

describe("close", () => {
  it("ends a polling session and lets the waiting poll go", async () => {
    const query = await openPolling();
    const waiting = get(query);
    await openPolling(); // a round trip: the poll has arrived by now
    const pushed = await post(query, "1");
    const polled = await waiting;
    assert.equal(polled.status, 200);
    assert.equal(await polled.text(), "6");
    assert.equal(pushed.status, 200);
    assert.equal((await get(query)).status, 400);
  });

  it("ends a WebSocket session", async () => {
    const socket = await openWebSocket();
    socket.send("1");
    assert.equal(await socket.closed, 1000);
  });
});

describe("upgrade", () => {
  const probe = async (query) => {
    const socket = new RawSocket(`${wsUrl}?${query.replace("polling", "websocket")}`);
    await socket.opened;
    return socket;
  };

  it("moves from polling to WebSocket", async () => {
    const query = await openPolling();
    const waiting = get(query);
    await openPolling();
    const socket = await probe(query);
    socket.send("2probe");
    assert.equal(await socket.next(), "3probe");
    assert.equal(await (await waiting).text(), "6");
    assert.equal(await (await get(query)).text(), "6");
    socket.send("5");
    socket.send("4hello");
    assert.equal(await socket.nextWord(), "4hello");
    socket.close();
  });

  it("refuses polling after the upgrade", async () => {
    const query = await openPolling();
    const socket = await probe(query);
    socket.send("2probe");
    assert.equal(await socket.next(), "3probe");
    socket.send("5");
    socket.send("4on");
    assert.equal(await socket.nextWord(), "4on");
    await assertFault(await get(query), 3, "Bad request");
    socket.send("4hello");
    assert.equal(await socket.nextWord(), "4hello");
    socket.close();
  });

  it("turns a second WebSocket away after the upgrade", async () => {
    const query = await openPolling();
    const socket = await probe(query);
    socket.send("2probe");
    socket.send("5");
    assert.equal(await socket.next(), "3probe");
    socket.send("4on");
    assert.equal(await socket.nextWord(), "4on");
    const second = await probe(query);
    await second.closed;
    socket.send("4hello");
    assert.equal(await socket.nextWord(), "4hello");
    socket.close();
  });
});

describe("the real client", () => {
  const open = (server, options) =>
    new Promise((resolve, reject) => {
      const socket = new EngineSocket(server.http, { path: "/engine.io/", ...options });
      socket.binaryType = "arraybuffer";
      socket.once("open", () => resolve(socket));
      socket.once("error", reject);
    });
  const echo = (socket, message) =>
    new Promise((resolve) => {
      socket.once("message", resolve);
      socket.send(message);
    });

  for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
    it(`talks over ${transports.join(" and then ")}`, async () => {
      const socket = await open(calm, { transports });
      assert.equal(await echo(socket, "héllo"), "héllo");
      if (transports.length === 2 && socket.transport.name === "polling")
        await new Promise((resolve) => socket.once("upgrade", resolve));
      assert.equal(socket.transport.name, transports.at(-1));
      const bytes = Uint8Array.from({ length: 3000 }, (_, i) => i * 7);
      const back = await echo(socket, bytes.buffer);
      assert.deepEqual(new Uint8Array(back), bytes);
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.close();
      await closed;
    });
  }

  it("stays connected over many heartbeats", async () => {
    const socket = await open(quick, { transports: ["websocket"] });
    let pings = 0;
    await new Promise((resolve, reject) => {
      socket.on("close", reject);
      socket.on("ping", () => {
        if (++pings === 4) resolve();
      });
    });
    socket.off("close");
    socket.close();
  });
});
