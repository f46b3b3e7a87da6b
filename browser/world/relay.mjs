// Stands between a browser and Pawl: it counts, and it can keep answers back that Pawl gave already.

import http from "node:http";

const hopByHop = new Set(["connection", "keep-alive", "transfer-encoding"]);

/**
 * An exchange that went through.
 *
 * @typedef {object} Exchange
 * @property {string} kind `refresh`, `login`, `logout`, or `query` for everything else
 * @property {string} method
 * @property {string} sent the request's body
 * @property {string | undefined} origin the request's
 * @property {string} cookie the request's
 * @property {number} status
 * @property {string} text the answer
 * @property {boolean} setCookie whether the answer had one
 * @property {boolean} rotated whether the refresh token was replaced
 * @property {number} at when Pawl had answered, in milliseconds
 */

function kindOf(body) {
  const [, name] = /\b(refreshToken|login|logout)\b\s*[({]/.exec(body) ?? [];
  return { refreshToken: "refresh", login: "login", logout: "logout" }[name] ?? "query";
}

async function bodyOf(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

function forward(url, request, body) {
  return new Promise((resolve, reject) => {
    const { method, headers } = request;
    const onward = http.request(url + request.url, { method, headers, agent: false }, (answer) => {
      bodyOf(answer).then((text) => resolve({ answer, text }), reject);
    });
    onward.on("error", reject);
    onward.end(body);
  });
}

/** Opens a relay. `target` tells Pawl's address at the time of a request. */
export async function openRelay(target) {
  /** @type {Exchange[]} */
  const exchanges = [];
  const relay = {
    url: "",
    exchanges,
    /** The exchanges of one kind, without preflights. */
    of: (kind) => exchanges.filter((exchange) => exchange.kind === kind && exchange.method === "POST"),
    /** Decides, once Pawl has answered, what the browser gets: nothing if it comes to "lose". It may take its time. */
    fate: async (_exchange) => {},
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };

  const server = http.createServer(async (request, response) => {
    try {
      const body = await bodyOf(request);
      const { answer, text } = await forward(target(), request, body);
      const exchange = {
        kind: kindOf(body + decodeURIComponent(request.url)),
        method: request.method,
        sent: String(body),
        origin: request.headers.origin,
        cookie: request.headers.cookie ?? "",
        status: answer.statusCode,
        text: String(text),
        setCookie: "set-cookie" in answer.headers,
        rotated: /"rotated":true/.test(String(text)),
        at: Date.now(),
      };
      exchanges.push(exchange);
      if ((await relay.fate(exchange)) === "lose") return void request.socket.destroy();
      const headers = Object.entries(answer.headers).filter(([name]) => !hopByHop.has(name));
      // A browser sends a request again by itself when a connection that it used before breaks.
      response.writeHead(answer.statusCode, { ...Object.fromEntries(headers), connection: "close" });
      response.end(text);
    } catch {
      request.socket.destroy();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  relay.url = `http://localhost:${server.address().port}`;
  return relay;
}
