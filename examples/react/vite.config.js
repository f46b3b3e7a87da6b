import { defineConfig } from "vite";

/** Where Pawl is. */
const pawl = process.env.PAWL_URL ?? "http://localhost:8080";

/** `pawl dev` lists the origin http://localhost:5173; for another one set PAWL_ALLOWED_ORIGINS there. */
const port = Number(process.env.PORT ?? 5173);

/**
 * The page runs its own files and speaks with Pawl, and nothing else; send the same header where you host it.
 * While developing, Vite adds styles as it goes and reloads the page over a WebSocket.
 */
const policy = (developing) =>
  [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self'${developing ? " 'unsafe-inline'" : ""}`,
    "img-src 'self'",
    `connect-src ${new URL(pawl).origin}${developing ? ` 'self' ws://localhost:${port}` : ""}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");

const server = (developing) => ({
  port,
  strictPort: true,
  headers: { "content-security-policy": policy(developing), "referrer-policy": "no-referrer" },
});

export default defineConfig({
  define: { PAWL_URL: JSON.stringify(pawl) },
  resolve: { preserveSymlinks: true }, // the client package is a link into this repository
  build: { target: "es2022", assetsInlineLimit: 0, reportCompressedSize: false },
  server: server(true),
  preview: server(false),
});
