// Apollo Client 4, with the package or with the bare fetch.

import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { PawlLink } from "@pawlauth/client/apollo";
import { type Answer, bare, pawl, show, url } from "./page.js";

const http = new HttpLink({ uri: url, ...(bare && { fetch: bare.fetch }) });
const client = new ApolloClient({
  link: pawl ? ApolloLink.from([new PawlLink(pawl), http]) : http,
  cache: new InMemoryCache(),
});

show(async (query): Promise<Answer> => {
  const { data } = await client.query<Answer>({ query: gql(query), fetchPolicy: "no-cache" });
  return data!;
});
