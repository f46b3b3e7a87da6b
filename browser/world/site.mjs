// Serves the built apps, and empty pages for whoever wants to attack them.

import { readFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";

const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css" };
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src http://localhost:*; base-uri 'none'";

async function listen(handler) {
  const server = http.createServer(handler);
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return {
    port: server.address().port,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A folder, under a policy that allows no script but its own. */
export const openSite = (folder) =>
  listen(async (request, response) => {
    const file = path.join(folder, path.normalize(new URL(request.url, "http://localhost").pathname));
    try {
      const content = await readFile(file);
      response.writeHead(200, { "content-type": types[path.extname(file)], "content-security-policy": policy });
      response.end(content);
    } catch {
      response.writeHead(404).end();
    }
  });

/** Pages that may do anything a browser lets them. */
export const openForeignSite = () =>
  listen((_request, response) => {
    response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>Prizes!</title><body></body>");
  });
