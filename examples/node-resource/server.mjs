// `npm start`; the defaults are those of `pawl dev`.
import { createApp } from "./app.mjs";
import { createVerifier } from "./verify.mjs";

const { PAWL_URL = "http://localhost:8080", PAWL_ISSUER = "pawl-dev", PAWL_AUDIENCE = "pawl-dev", PORT = "3002" } = process.env;

const verify = createVerifier({
  jwksUrl: `${PAWL_URL}/.well-known/jwks.json`,
  issuer: PAWL_ISSUER,
  audience: PAWL_AUDIENCE,
});
createApp(verify).listen(Number(PORT), "localhost", () => console.log(`listening at http://localhost:${PORT}/orders`));
