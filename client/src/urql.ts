// The exchange for urql.

import { makeErrorResult, makeOperation } from "@urql/core";
import type { Exchange, Operation, OperationContext, OperationResult } from "@urql/core";
import { filter, fromPromise, fromValue, makeSubject, map, merge, mergeMap, pipe, share, takeUntil } from "wonka";
import type { PawlClient } from "./api.js";
import { refused } from "./refused.js";

/** What an operation carries from one pass through the exchange to the next. */
interface Pass {
  token: string | null;
  /** Why it goes through a second time. */
  refusal?: OperationResult | undefined;
}

const passOf = (operation: Operation): Pass | undefined => operation.context["pawl"];

const withContext = (operation: Operation, context: Partial<OperationContext>): Operation =>
  makeOperation(operation.kind, operation, { ...operation.context, ...context });

const withPass = (operation: Operation, pass: Pass | undefined): Operation => withContext(operation, { pawl: pass });

function signed(operation: Operation, token: string): Operation {
  const { fetchOptions } = operation.context;
  const options = typeof fetchOptions === "function" ? fetchOptions() : fetchOptions;
  const headers = new Headers(options?.headers);
  headers.set("authorization", `Bearer ${token}`);
  return withContext(operation, { fetchOptions: { ...options, headers: Object.fromEntries(headers) } });
}

function isRefused({ operation, data, error }: OperationResult): boolean {
  const pass = passOf(operation);
  if (!pass?.token || pass.refusal || !error) return false;
  if (error.response?.status === 401) return true;
  return refused({ data, errors: error.graphQLErrors }, operation.kind === "mutation");
}

/**
 * Sends `Authorization: Bearer` with each operation. One that is answered with `UNAUTHENTICATED` (or 401) is
 * repeated once, with a new token. Put it before the fetchExchange.
 *
 * Operations without a session go out without a token; while Pawl does not answer they fail with a PawlError as
 * `networkError`.
 */
export const pawlExchange =
  (pawl: Pick<PawlClient, "getAccessToken">): Exchange =>
  ({ forward }) =>
  (operations$) => {
    const incoming$ = pipe(operations$, share);
    const again = makeSubject<Operation>();
    const answers = makeSubject<OperationResult>();

    /** The operation with its token, or null when it has been answered here. */
    async function sign(operation: Operation): Promise<Operation | null> {
      const { token: rejected, refusal } = passOf(operation) ?? {};
      try {
        const token = await pawl.getAccessToken({ rejected: rejected ?? undefined });
        const carried = withPass(operation, { token, refusal });
        if (token) return signed(carried, token);
        if (!refusal) return carried;
        answers.next(refusal);
      } catch (error) {
        answers.next(makeErrorResult(operation, error as Error));
      }
      return null;
    }

    const ready$ = pipe(
      merge([
        // Executed again by the application, an operation brings its last pass along: it begins anew.
        pipe(
          incoming$,
          map((operation) => withPass(operation, undefined)),
        ),
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
        if (!isRefused(result)) return true;
        const { token } = passOf(result.operation)!;
        again.next(withPass(result.operation, { token, refusal: result }));
        return false;
      }),
    );
    return merge([results$, answers.source]);
  };
