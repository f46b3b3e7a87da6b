// One GraphQL endpoint for Pawl and another service.
import { readFileSync } from "node:fs";
import { stitchSchemas } from "@graphql-tools/stitch";
import { buildSchema } from "graphql";
import { createYoga } from "graphql-yoga";
import { createOrdersExecutor, ordersSchema } from "./orders.mjs";
import { createPawlExecutor } from "./pawl.mjs";

const pawlSchema = buildSchema(readFileSync(new URL("../../schema.graphqls", import.meta.url), "utf8"));

/** The gateway, as a handler of node:http. `origins` are the pages that may use it, as in PAWL_ALLOWED_ORIGINS. */
export function createGateway({ pawlUrl, ordersUrl, origins }) {
  return createYoga({
    schema: stitchSchemas({
      subschemas: [
        { schema: pawlSchema, executor: createPawlExecutor(`${pawlUrl}/graphql`) },
        { schema: ordersSchema, executor: createOrdersExecutor(ordersUrl) },
      ],
    }),
    context: ({ req }) => ({ visitorAddress: req.socket.remoteAddress }),
    plugins: [acceptJsonOnly(), passAnswerHeaders()],
    cors: { origin: origins, credentials: true, methods: ["POST"], allowedHeaders: ["authorization", "content-type"] },
    batching: false,
    multipart: false,
    graphiql: false,
    logging: "warn",
  });
}

/** Refuses what a foreign page can send without a preflight: GET, forms, text. */
function acceptJsonOnly() {
  return {
    onRequest({ request, fetchAPI, endResponse }) {
      const json = /^application\/json\b/i.test(request.headers.get("content-type") ?? "");
      if (request.method === "OPTIONS" || (request.method === "POST" && json)) return;
      endResponse(new fetchAPI.Response(null, { status: request.method === "POST" ? 415 : 405, headers: { allow: "POST, OPTIONS" } }));
    },
  };
}

/** Gives the visitor what executors put into `context.forVisitor`. */
function passAnswerHeaders() {
  return {
    onRequest({ serverContext }) {
      serverContext.forVisitor = new Headers();
    },
    onResponse({ serverContext, response }) {
      for (const [name, value] of serverContext.forVisitor ?? []) response.headers.append(name, value);
      response.headers.set("cache-control", "no-store");
    },
  };
}
