// urql, with the package or with the bare fetch.

import { pawlExchange } from "@pawlauth/client/urql";
import { cacheExchange, Client, fetchExchange } from "@urql/core";
import { type Answer, bare, pawl, show, url } from "./page.js";

const client = new Client({
  url,
  exchanges: pawl ? [cacheExchange, pawlExchange(pawl), fetchExchange] : [cacheExchange, fetchExchange],
  preferGetMethod: false,
  requestPolicy: "network-only",
  ...(bare && { fetch: bare.fetch }),
});

show(async (query): Promise<Answer> => {
  const { data, error } = await client.query<Answer>(query, {});
  if (error) throw error;
  return data!;
});
