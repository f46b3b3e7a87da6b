// `npm start`: the gateway and the service behind it. The defaults are those of
// `pawl dev`, which must trust this machine: PAWL_TRUSTED_PROXIES=127.0.0.1/32,::1/128
import { createServer } from "node:http";
import { createGateway } from "./gateway.mjs";
import { createOrders } from "./orders.mjs";

const {
  PAWL_URL: pawlUrl = "http://localhost:8080",
  PAWL_ISSUER: issuer = "pawl-dev",
  PAWL_AUDIENCE: audience = "pawl-dev",
  PAWL_ALLOWED_ORIGINS = "http://localhost:3000,http://localhost:5173",
  PORT = "4000",
} = process.env;

const orders = createServer(createOrders({ pawlUrl, issuer, audience }));
await new Promise((done) => orders.listen(0, "localhost", done));
const ordersUrl = `http://localhost:${orders.address().port}/graphql`;
const gateway = createGateway({ pawlUrl, ordersUrl, origins: PAWL_ALLOWED_ORIGINS.split(",") });
createServer(gateway).listen(Number(PORT), "localhost", () => console.log(`gateway at http://localhost:${PORT}/graphql`));
