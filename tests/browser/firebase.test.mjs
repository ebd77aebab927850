// Guards signing in with Firebase on the page, against a stand-in for Firebase's emulator: nothing of Firebase is fetched before
// somebody signs in, the content policy is open to that one host only, and mistakes are explained.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import test, { after, before } from 'node:test';
import { launch, noBrowser, openPage, startReal, unexpected } from './helper.mjs';

const project = 'demo-mien';
let server, browser, emulator, host;
before(async () => {
  if (noBrowser) return;
  emulator = await startEmulator();
  host = `127.0.0.1:${emulator.address().port}`;
  server = await startReal(['--firebase-project-id', project, '--firebase-auth-emulator-host', host, '--environment', 'test'], {});
  browser = await launch();
});
after(async () => {
  await browser?.close();
  emulator?.close();
  if (server) assert.equal(await server.stop(), 0);
});

/** The calls of the Identity Toolkit that signing in and registering make, with unsigned tokens as the emulator gives them. */
async function startEmulator() {
  const users = new Map(); // by e-mail
  const encode = (object) => Buffer.from(JSON.stringify(object)).toString('base64url');
  const tokenOf = (user) => {
    const now = Math.floor(Date.now() / 1000);
    return `${encode({ alg: 'none', typ: 'JWT' })}.${encode({ iss: `https://securetoken.google.com/${project}`, aud: project, sub: user.localId, user_id: user.localId,
      iat: now, auth_time: now, exp: now + 3600, email: user.email, email_verified: false, name: user.displayName, firebase: { sign_in_provider: 'password' } })}.`;
  };
  const session = (user) => ({ localId: user.localId, email: user.email, idToken: tokenOf(user), refreshToken: user.localId, expiresIn: '3600' });
  const byToken = (token) => [...users.values()].find((user) => user.localId === JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).sub);
  const mistake = (message) => ({ status: 400, body: { error: { code: 400, message } } });
  const calls = {
    'accounts:signUp': ({ email, password }) => {
      if (users.has(email)) return mistake('EMAIL_EXISTS');
      users.set(email, { localId: `user-${users.size + 1}`, email, password });
      return { body: session(users.get(email)) };
    },
    'accounts:signInWithPassword': ({ email, password }) =>
      (users.get(email)?.password === password ? { body: session(users.get(email)) } : mistake('INVALID_LOGIN_CREDENTIALS')),
    'accounts:lookup': ({ idToken }) => {
      const { password, ...user } = byToken(idToken);
      return { body: { users: [{ ...user, providerUserInfo: [] }] } };
    },
    'accounts:update': ({ idToken, displayName }) => {
      const user = byToken(idToken);
      user.displayName = displayName;
      return { body: { ...session(user), displayName } };
    },
    token: (form) => {
      const user = [...users.values()].find((one) => one.localId === form.get('refresh_token'));
      return { body: { access_token: tokenOf(user), id_token: tokenOf(user), refresh_token: user.localId, expires_in: '3600', user_id: user.localId } };
    },
  };
  const made = http.createServer(async (request, response) => {
    const headers = { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*', 'content-type': 'application/json' };
    let text = '';
    for await (const piece of request) text += piece;
    if (request.method === 'OPTIONS') return void response.writeHead(204, headers).end();
    const name = new URL(request.url, 'http://emulator').pathname.split('/').at(-1);
    const { status = 200, body } = calls[name](name === 'token' ? new URLSearchParams(text) : JSON.parse(text));
    response.writeHead(status, headers).end(JSON.stringify(body));
  });
  made.listen(0, '127.0.0.1').unref();
  await once(made, 'listening');
  return made;
}

test('register, sign out, be refused, sign in: with Firebase as the provider', { skip: noBrowser }, async () => {
  const context = await browser.newContext({ locale: 'en-GB' });
  const page = await openPage(context, server, '#/history');
  page.expected.push(/400 \(Bad Request\)/, new RegExp(`left the origin: http://${host}/`));
  const asked = [];
  page.on('request', (request) => asked.push(new URL(request.url())));
  const act = async (email, password) => {
    await page.fill('#email', email);
    await page.fill('#password', password);
    await page.click('button[type=submit]');
  };
  await page.waitForSelector('text=Signing in goes through Google Firebase');
  assert.ok(!asked.some((url) => url.pathname.includes('firebase') || url.host === host), 'before anybody signs in');
  await page.click('text=No account yet? Register');
  await page.fill('#name', 'Ann');
  await act('ann@example.com', 'correct horse');
  await page.waitForSelector('strong:text-is("Ann")');
  await page.click('text=Sign out');
  await page.waitForSelector('#quota');
  await act('ann@example.com', 'wrong horse');
  await page.waitForSelector('text=E-mail or password is wrong');
  await page.click('text=No account yet? Register');
  await act('ann@example.com', 'correct horse');
  await page.waitForSelector('text=There is an account with this e-mail already');
  await page.click('text=I have an account');
  await act('ann@example.com', 'correct horse');
  await page.waitForSelector('strong:text-is("Ann")');
  assert.deepEqual([...new Set(asked.map((url) => url.host))].sort(), [host, `127.0.0.1:${server.port}`].sort());
  assert.deepEqual(unexpected(page), []);
  await context.close();
});

test('when Firebase cannot be reached, the page says so', { skip: noBrowser }, async () => {
  const context = await browser.newContext({ locale: 'en-GB' });
  const page = await openPage(context, server, '#/history');
  page.expected.push(/ERR_FAILED/, new RegExp(host));
  await page.route(`http://${host}/**`, (route) => route.abort());
  await page.waitForSelector('#email');
  await page.fill('#email', 'ann@example.com');
  await page.fill('#password', 'correct horse');
  await page.click('button[type=submit]');
  await page.waitForSelector('text=The sign-in service cannot be reached');
  assert.deepEqual(unexpected(page), []);
  await context.close();
});

test('the page\'s policy names the sign-in service only where it is configured', { skip: noBrowser }, async () => {
  const policy = async (at) => (await fetch(at.base, { headers: { accept: 'text/html' } })).headers.get('content-security-policy');
  const connect = (text) => /connect-src ([^;]*)/.exec(text)[1];
  assert.equal(connect(await policy(server)), `'self' http://${host}`);
  const real = await startReal(['--firebase-project-id', project, '--firebase-api-key', 'public'], {});
  assert.equal(connect(await policy(real)), "'self' https://identitytoolkit.googleapis.com https://securetoken.googleapis.com");
  assert.deepEqual((await (await fetch(`${real.base}/api/notice`)).json()).firebase, { project, api_key: 'public', emulator: null });
  const worker = (await fetch(`${real.base}/faces/worker.js`)).headers.get('content-security-policy');
  assert.match(worker, /script-src 'self' 'wasm-unsafe-eval';/);
  const plain = (await fetch(`${real.base}/app.js`)).headers.get('content-security-policy');
  assert.ok(!/unsafe|https?:/.test(plain), plain);
  assert.equal((await fetch(`${real.base}/faces/vision.wasm`, { headers: { 'accept-encoding': 'identity' } })).status, 406);
  assert.equal(await real.stop(), 0);
});
