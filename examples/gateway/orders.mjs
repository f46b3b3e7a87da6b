// Another service behind the gateway. It gets the access token, and no cookie.
// ../node-resource shows how such a service verifies tokens with more care for
// key rotation and outages.
import { GraphQLError, buildSchema, print } from "graphql";
import { createSchema, createYoga } from "graphql-yoga";
import { createRemoteJWKSet, jwtVerify } from "jose";

const typeDefs = /* GraphQL */ `
  "An order of the caller."
  type Order { id: ID! item: String! }
  type Query { orders: [Order!] }
`;

export const ordersSchema = buildSchema(typeDefs);

/** The service, as a handler of node:http. */
export function createOrders({ pawlUrl, issuer, audience }) {
  const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", pawlUrl));
  async function orders(_, __, { request }) {
    const [, token] = /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
    const options = { typ: "at+jwt", issuer, audience, requiredClaims: ["exp", "sub", "sid"], clockTolerance: 15 };
    const { payload } = await jwtVerify(token ?? "", keys, options).catch((error) => {
      const reason = token ? (error.code === "ERR_JWT_EXPIRED" ? "TOKEN_EXPIRED" : "TOKEN_INVALID") : "TOKEN_MISSING";
      throw new GraphQLError("a good access token is needed", { extensions: { code: "UNAUTHENTICATED", reason } });
    });
    return [{ id: "1", item: `tea for ${payload.sub}` }];
  }
  return createYoga({ schema: createSchema({ typeDefs, resolvers: { Query: { orders } } }), logging: false });
}

/** An executor that sends the access token and nothing else of the visitor's. */
export function createOrdersExecutor(url) {
  return async ({ document, variables, context }) => {
    const authorization = context.request.headers.get("authorization");
    const headers = { "content-type": "application/json", ...(authorization && { authorization }) };
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify({ query: print(document), variables }) });
    return answer.json();
  };
}
