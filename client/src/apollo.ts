// The link for Apollo Client 4.

import { ApolloLink } from "@apollo/client/link";
import { Observable, print } from "@apollo/client/utilities";
import type { PawlClient } from "./api.js";
import { readOperation } from "./document.js";
import { ownOrigins } from "./origins.js";
import { type Answer, readAnswer, refused, repeatable } from "./refused.js";

export interface PawlLinkOptions {
  /** Origins that get the token when an operation's `context.uri` names them, besides the page's own and Pawl's. */
  origins?: string[];
}

/** Puts the token into the operation's headers, in the place of the one that an earlier pass left there. */
function sign(operation: ApolloLink.Operation, token: string | null): void {
  operation.setContext(({ headers, pawl: left }) => {
    const { authorization, ...others } = headers ?? {};
    const own = authorization === left ? others : headers;
    return token ? { headers: { ...own, authorization: `Bearer ${token}` }, pawl: `Bearer ${token}` } : { headers: own };
  });
}

/** Whether the application itself says who it is. */
function speaksForItself(operation: ApolloLink.Operation): boolean {
  const { headers, pawl: left } = operation.getContext();
  return Object.entries(headers ?? {}).some(([name, value]) => /^authorization$/i.test(name) && value !== left);
}

function mayRepeat(answer: Answer, operation: ApolloLink.Operation, status?: number): boolean {
  if (!refused(answer, status)) return false;
  const fields = readOperation(print(operation.query), operation.operationName)?.fields;
  return repeatable(answer, { kind: operation.operationType, fields }, status);
}

/**
 * Sends `Authorization: Bearer` with each operation. One that is answered with `UNAUTHENTICATED` (or 401) is
 * repeated once, with a new token, unless it is a subscription, or a mutation of which something may have been
 * carried out. Put it directly before the HttpLink.
 *
 * An operation whose `context.uri` leads to a foreign origin, or that has an `authorization` of its own, is left
 * alone. Operations without a session go out without a token; while Pawl does not answer they fail with a
 * PawlError.
 */
export class PawlLink extends ApolloLink {
  constructor(pawl: Pick<PawlClient, "getAccessToken" | "url">, { origins = [] }: PawlLinkOptions = {}) {
    const isOwn = ownOrigins([pawl.url, ...origins]);

    const concerns = (operation: ApolloLink.Operation): boolean => {
      const { uri } = operation.getContext();
      return (!uri || isOwn(String(uri))) && !speaksForItself(operation);
    };

    super(
      (operation, forward) =>
        new Observable((observer) => {
          let closed = false;
          let stop = () => {};
          const fail = (error: unknown) => observer.error(error);

          /** `giveUp` hands on the refusal of an earlier try when there is no other token. */
          async function run(rejected?: string, giveUp?: () => void): Promise<void> {
            const token = concerns(operation) ? await pawl.getAccessToken({ rejected }) : null;
            if (closed) return;
            if (giveUp && !token) return giveUp();
            sign(operation, token);
            let first = !!token && !giveUp;
            let repeated = false;
            const repeat = (refusal: () => void) => {
              repeated = true;
              stop();
              run(token!, refusal).catch(fail);
            };
            const subscription = forward(operation).subscribe({
              next(result) {
                if (repeated) return;
                if (first && mayRepeat(result, operation)) {
                  return repeat(() => {
                    observer.next(result);
                    observer.complete();
                  });
                }
                first = false;
                observer.next(result);
              },
              error(error) {
                if (repeated) return;
                const { statusCode, bodyText } = error ?? {};
                if (first && statusCode === 401 && mayRepeat(readAnswer(bodyText), operation, statusCode))
                  repeat(() => fail(error));
                else fail(error);
              },
              complete() {
                if (!repeated) observer.complete();
              },
            });
            if (repeated) subscription.unsubscribe();
            else stop = () => subscription.unsubscribe();
          }

          run().catch(fail);
          return () => {
            closed = true;
            stop();
          };
        }),
    );
  }
}
