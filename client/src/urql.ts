// The exchange for urql.

import { getOperationName, makeErrorResult, makeOperation, stringifyDocument } from "@urql/core";
import type { Exchange, Operation, OperationContext, OperationResult } from "@urql/core";
import { filter, fromPromise, fromValue, makeSubject, map, merge, mergeMap, pipe, share, takeUntil } from "wonka";
import type { PawlClient } from "./api.js";
import { type Operation as Sent, readOperation } from "./document.js";
import { ownOrigins } from "./origins.js";
import { refused, repeatable } from "./refused.js";

export interface PawlExchangeOptions {
  /** Origins that get the token when an operation's `context.url` names them, besides the page's own, Pawl's and the client's. */
  origins?: string[];
}

/** What an operation carries from one pass through the exchange to the next. */
interface Pass {
  token: string;
  /** Why it goes through a second time. */
  refusal?: OperationResult | undefined;
}

const passOf = (operation: Operation): Pass | undefined => operation.context["pawl"];

const withContext = (operation: Operation, context: Partial<OperationContext>): Operation =>
  makeOperation(operation.kind, operation, { ...operation.context, ...context });

const withPass = (operation: Operation, pass: Pass | undefined): Operation => withContext(operation, { pawl: pass });

function headersOf({ context: { fetchOptions } }: Operation): { options: RequestInit | undefined; headers: Headers } {
  const options = typeof fetchOptions === "function" ? fetchOptions() : fetchOptions;
  return { options, headers: new Headers(options?.headers) };
}

function signed(operation: Operation, token: string): Operation {
  const { options, headers } = headersOf(operation);
  headers.set("authorization", `Bearer ${token}`);
  return withContext(operation, { fetchOptions: { ...options, headers: Object.fromEntries(headers) } });
}

/** Without what its last pass left: an operation that the application executes again brings that along. */
function unsigned(operation: Operation): Operation {
  const pass = passOf(operation);
  if (!pass) return operation;
  const { options, headers } = headersOf(operation);
  if (headers.get("authorization") === `Bearer ${pass.token}`) headers.delete("authorization");
  return withContext(withPass(operation, undefined), {
    fetchOptions: { ...options, headers: Object.fromEntries(headers) },
  });
}

/** Whether it was refused and may be repeated. */
function mayRepeat({ operation, data, error }: OperationResult): boolean {
  const pass = passOf(operation);
  if (!pass || pass.refusal || !error) return false;
  const answer = { data, errors: error.graphQLErrors };
  const status = error.response?.status;
  if (!refused(answer, status)) return false;
  const fields = readOperation(stringifyDocument(operation.query), getOperationName(operation.query))?.fields;
  return repeatable(answer, { kind: operation.kind as Sent["kind"], fields }, status);
}

/**
 * Sends `Authorization: Bearer` with each operation. One that is answered with `UNAUTHENTICATED` (or 401) is
 * repeated once, with a new token, unless it is a subscription, or a mutation of which something may have been
 * carried out. Put it directly before the fetchExchange.
 *
 * An operation whose `context.url` leads to a foreign origin, or that has an `authorization` of its own, is left
 * alone. Operations without a session go out without a token; while Pawl does not answer they fail with a
 * PawlError as `networkError`.
 */
export const pawlExchange =
  (
    pawl: Pick<PawlClient, "getAccessToken" | "url">,
    { origins = [] }: PawlExchangeOptions = {},
  ): Exchange =>
  ({ client, forward }) =>
  (operations$) => {
    const incoming$ = pipe(operations$, share);
    const again = makeSubject<Operation>();
    const answers = makeSubject<OperationResult>();
    let isOwn: ((url: string) => boolean) | undefined;

    function concerns(operation: Operation): boolean {
      // An operation that the client makes for itself has the URL that the client was given.
      isOwn ??= ownOrigins([pawl.url, ...origins, client.createRequestOperation("teardown", operation).context.url]);
      return isOwn(operation.context.url) && !headersOf(operation).headers.has("authorization");
    }

    /** The operation with its token, or null when it has been answered here. */
    async function sign(operation: Operation): Promise<Operation | null> {
      const { token: rejected, refusal } = passOf(operation) ?? {};
      const own = unsigned(operation);
      try {
        const token = concerns(own) ? await pawl.getAccessToken({ rejected }) : null;
        if (token) return signed(withPass(own, { token, refusal }), token);
        if (!refusal) return own;
        answers.next(refusal);
      } catch (error) {
        answers.next(makeErrorResult(operation, error as Error));
      }
      return null;
    }

    const ready$ = pipe(
      merge([
        pipe(incoming$, map(unsigned)),
        again.source,
      ]),
      mergeMap((operation) => {
        if (operation.kind === "teardown") return fromValue(operation);
        const over$ = pipe(
          incoming$,
          filter(({ kind, key }) => kind === "teardown" && key === operation.key),
        );
        return pipe(fromPromise(sign(operation)), takeUntil(over$));
      }),
      filter((operation) => operation !== null),
    );

    const results$ = pipe(
      forward(ready$),
      filter((result) => {
        if (!mayRepeat(result)) return true;
        again.next(withPass(result.operation, { ...passOf(result.operation)!, refusal: result }));
        return false;
      }),
    );
    return merge([results$, answers.source]);
  };
