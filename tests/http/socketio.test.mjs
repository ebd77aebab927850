// Guards the Socket.IO server: byte by byte over WebSockets (the cases follow those of the public protocol test suite,
// revision 5), and with the real client in every transport: events, acknowledgements both ways, binary, namespaces,
// refusal, being thrown out, reconnection.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { once } from "node:events";
import { io } from "socket.io-client";
import { RawSocket, startEcho } from "./echo_server.mjs";

let server;
before(async () => {
  server = await startEcho("--ping-interval", "300", "--ping-timeout", "20000");
});
after(async () => assert.equal(await server.stop(), 0));

async function openRaw() {
  const socket = new RawSocket(`${server.ws}/socket.io/?EIO=4&transport=websocket`);
  assert.equal((await socket.next())[0], "0");
  return socket;
}

async function openMain() {
  const socket = await openRaw();
  socket.send("40");
  assert.match(await socket.nextWord(), /^40\{"sid":"[\w-]+"\}$/);
  assert.equal(await socket.nextWord(), '42["auth",{}]');
  return socket;
}

describe("connect", () => {
  const cases = [
    ["the main namespace", "40", /^40\{"sid":"[\w-]+"\}$/, '42["auth",{}]'],
    ["the main namespace with a payload", '40{"token":"123"}', /^40\{"sid":"/, '42["auth",{"token":"123"}]'],
    ["a custom namespace", "40/custom,", /^40\/custom,\{"sid":"/, '42/custom,["auth",{}]'],
    ["a custom namespace with a payload", '40/custom,{"token":"abc"}', /^40\/custom,\{/,
      '42/custom,["auth",{"token":"abc"}]'],
  ];
  for (const [name, packet, reply, auth] of cases) {
    it(`allows ${name}`, async () => {
      const socket = await openRaw();
      socket.send(packet);
      assert.match(await socket.nextWord(), reply);
      assert.equal(await socket.nextWord(), auth);
      socket.close();
    });
  }

  it("disallows an unknown namespace", async () => {
    const socket = await openRaw();
    socket.send("40/random");
    assert.equal(await socket.nextWord(), '44/random,{"message":"Invalid namespace"}');
    socket.close();
  });

  it("closes upon an invalid handshake", async () => {
    const socket = await openRaw();
    socket.send("4abc");
    await socket.closed;
  });
});

describe("disconnect", () => {
  it("lets the connection go after the main namespace", async () => {
    const socket = await openMain();
    socket.send("41");
    await socket.closed;
  });

  it("leaves a custom namespace and keeps the main one", async () => {
    const socket = await openMain();
    socket.send("40/custom");
    assert.match(await socket.nextWord(), /^40\/custom,/);
    assert.equal(await socket.nextWord(), '42/custom,["auth",{}]');
    socket.send("41/custom");
    socket.send('42["message","message to main namespace"]');
    assert.equal(await socket.nextWord(), '42["message-back","message to main namespace"]');
    socket.close();
  });
});

describe("packets", () => {
  it("echoes text", async () => {
    const socket = await openMain();
    socket.send('42["message",1,"2",{"3":[true]}]');
    assert.equal(await socket.nextWord(), '42["message-back",1,"2",{"3":[true]}]');
    socket.close();
  });

  it("acknowledges", async () => {
    const socket = await openMain();
    socket.send('42456["message-with-ack",1,"2",{"3":[false]}]');
    assert.equal(await socket.nextWord(), '43456[1,"2",{"3":[false]}]');
    socket.close();
  });

  it("echoes binary attachments", async () => {
    const socket = await openMain();
    socket.send('452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
    socket.send(Buffer.from([1, 2, 3]));
    socket.send(Buffer.from([4, 5, 6]));
    assert.equal(await socket.nextWord(),
      '452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
    assert.deepEqual(await socket.nextWord(), Buffer.from([1, 2, 3]));
    assert.deepEqual(await socket.nextWord(), Buffer.from([4, 5, 6]));
    socket.close();
  });

  it("acknowledges binary attachments", async () => {
    const socket = await openMain();
    socket.send('452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
    socket.send(Buffer.from([1, 2, 3]));
    socket.send(Buffer.from([4, 5, 6]));
    assert.equal(await socket.nextWord(),
      '462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
    assert.deepEqual(await socket.nextWord(), Buffer.from([1, 2, 3]));
    assert.deepEqual(await socket.nextWord(), Buffer.from([4, 5, 6]));
    socket.close();
  });

  for (const packet of ["4abc", "42{}", '42abc["message-with-ack",1]', '45["x"]', '452-["x",{"_placeholder":true,"num":2}]',
    '42["connect"]', "42[", '42[]']) {
    it(`closes upon ${packet}`, async () => {
      const socket = await openMain();
      socket.send(packet);
      socket.send(Buffer.from([0]));
      socket.send(Buffer.from([0]));
      assert.equal(await socket.closed, 1000);
    });
  }
});

describe("the real client", () => {
  const connect = (options = {}, namespace = "") =>
    io(server.http + namespace, { forceNew: true, reconnection: false, timeout: 5000, ...options });

  for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
    describe(transports.join(" and then "), () => {
      it("exchanges events, acknowledgements and binary", async () => {
        const socket = connect({ transports, auth: { token: "t" } });
        const [auth] = await once(socket, "auth");
        assert.deepEqual(auth, { token: "t" });
        assert.ok(socket.connected);
        if (transports.length === 2 && socket.io.engine.transport.name === "polling")
          await once(socket.io.engine, "upgrade");
        assert.equal(socket.io.engine.transport.name, transports.at(-1));

        const value = { text: "é😀", list: [1, 2.5, null, true], deep: { a: { b: "c" } } };
        let answer = once(socket, "message-back");
        socket.emit("message", value, "second");
        assert.deepEqual(await answer, [value, "second"]);

        const bytes = Buffer.from(Uint8Array.from({ length: 5000 }, (_, i) => i * 13));
        answer = once(socket, "message-back");
        socket.emit("message", { picture: bytes, also: [Buffer.from("x")] });
        const [back] = await answer;
        assert.deepEqual(Buffer.from(back.picture), bytes);
        assert.deepEqual(Buffer.from(back.also[0]), Buffer.from("x"));

        const acknowledged = await new Promise((resolve) =>
          socket.emit("message-with-ack", "a", bytes, (...args) => resolve(args)));
        assert.equal(acknowledged[0], "a");
        assert.deepEqual(Buffer.from(acknowledged[1]), bytes);
        socket.disconnect();
      });

      it("answers the server's question", async () => {
        const socket = connect({ transports });
        socket.on("question", (what, reply) => reply(`you said ${what}`, Buffer.from([9])));
        await once(socket, "connect");
        socket.emit("ask-me", "hi");
        const [text, bytes] = await once(socket, "answered");
        assert.equal(text, "you said hi");
        assert.deepEqual(Buffer.from(bytes), Buffer.from([9]));
        socket.disconnect();
      });

      it("holds many messages in order", async () => {
        const socket = connect({ transports });
        const seen = [];
        const all = new Promise((resolve) => socket.on("message-back", (n) => {
          seen.push(n);
          if (seen.length === 200) resolve();
        }));
        for (let i = 0; i < 200; i++) socket.emit("message", i);
        await all;
        assert.deepEqual(seen, Array.from({ length: 200 }, (_, i) => i));
        socket.disconnect();
      });

      it("is refused by name and by the application", async () => {
        const nowhere = connect({ transports }, "/random");
        assert.equal((await once(nowhere, "connect_error"))[0].message, "Invalid namespace");
        nowhere.disconnect();
        const refused = connect({ transports, auth: { refuse: "not today" } });
        assert.equal((await once(refused, "connect_error"))[0].message, "not today");
        refused.disconnect();
      });

      it("is thrown out", async () => {
        const socket = connect({ transports });
        await once(socket, "connect");
        const ended = once(socket, "disconnect");
        socket.emit("throw-me-out");
        assert.equal((await ended)[0], "io server disconnect");
      });
    });
  }

  it("holds two namespaces on one connection", async () => {
    const main = io(server.http, { forceNew: true, reconnection: false, transports: ["websocket"] });
    const custom = main.io.socket("/custom", { auth: { who: "custom" } });
    await Promise.all([once(main, "connect"), once(custom, "auth").then(([auth]) => assert.ok(auth))]);
    assert.equal(main.io, custom.io);
    assert.notEqual(main.id, custom.id);
    custom.disconnect();
    const answer = once(main, "message-back");
    main.emit("message", "still here");
    assert.deepEqual(await answer, ["still here"]);
    main.disconnect();
  });

  it("reconnects after the connection breaks", async () => {
    const socket = connect({ transports: ["websocket"], reconnection: true, reconnectionDelay: 10 });
    await once(socket, "connect");
    const first = socket.id;
    const ended = once(socket, "disconnect");
    socket.io.engine.transport.ws.terminate?.();
    socket.io.engine.transport.ws.close?.();
    await ended;
    await once(socket, "connect");
    assert.notEqual(socket.id, first);
    socket.disconnect();
  });

  it("stays connected over many heartbeats by polling", async () => {
    const socket = connect({ transports: ["polling"] });
    await once(socket, "connect");
    let pings = 0;
    await new Promise((resolve, reject) => {
      socket.on("disconnect", reject);
      socket.io.on("ping", () => {
        if (++pings === 4) resolve();
      });
    });
    socket.off("disconnect");
    socket.disconnect();
  });
});

describe("/echo", () => {
  const open = async () => {
    const socket = new RawSocket(`${server.ws}/echo`);
    await socket.opened;
    return socket;
  };

  it("returns text and binary as they came", async () => {
    const socket = await open();
    for (const message of ["", "text é", Buffer.alloc(0), Buffer.from([0, 255]), "x".repeat(70000),
      Buffer.alloc(1 << 20, 7)]) {
      socket.send(message);
      assert.deepEqual(await socket.next(), message);
    }
    socket.close();
  });

  it("joins fragments and answers pings in between", async () => {
    const socket = await open();
    const ponged = once(socket.socket, "pong");
    socket.socket.send("one ", { fin: false });
    socket.socket.ping("payload");
    socket.socket.send("two ", { fin: false });
    socket.socket.send("three", { fin: true });
    assert.equal(await socket.next(), "one two three");
    assert.equal((await ponged)[0].toString(), "payload");
    socket.close();
  });

  it("returns the close code", async () => {
    const socket = await open();
    socket.socket.close(3999, "done");
    assert.equal(await socket.closed, 3999);
  });

  it("closes with 1007 upon text that is not UTF-8", async () => {
    const socket = await open();
    socket.socket.send(Buffer.from([0xce, 0xba, 0xff]), { binary: false });
    assert.equal(await socket.closed, 1007);
  });
});

describe("stopping", () => {
  it("lets waiting polls and sockets go, and exits with 0", async () => {
    const own = await startEcho();
    const opened = await (await fetch(`${own.http}/socket.io/?EIO=4&transport=polling`)).text();
    const { sid } = JSON.parse(opened.slice(1));
    const poll = fetch(`${own.http}/socket.io/?EIO=4&transport=polling&sid=${sid}`);
    const socket = new RawSocket(`${own.ws}/socket.io/?EIO=4&transport=websocket`);
    await socket.next();
    const code = own.stop();
    assert.equal(await (await poll).text(), "1");
    assert.equal(await socket.closed, 1001);
    assert.equal(await code, 0);
  });
});
