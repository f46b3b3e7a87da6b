// The link for Apollo Client 4.

import { ApolloLink } from "@apollo/client/link";
import { Observable } from "@apollo/client/utilities";
import type { PawlClient } from "./api.js";
import { refused } from "./refused.js";

/**
 * Sends `Authorization: Bearer` with each operation. One that is answered with `UNAUTHENTICATED` (or 401) is
 * repeated once, with a new token. Put it before the HttpLink.
 *
 * Operations without a session go out without a token; while Pawl does not answer they fail with a PawlError.
 */
export class PawlLink extends ApolloLink {
  constructor(pawl: Pick<PawlClient, "getAccessToken">) {
    super(
      (operation, forward) =>
        new Observable((observer) => {
          let closed = false;
          let stop = () => {};

          /** `giveUp` hands on the refusal of an earlier try when there is no other token. */
          async function run(rejected?: string, giveUp?: () => void): Promise<void> {
            const token = await pawl.getAccessToken({ rejected });
            if (closed) return;
            if (giveUp && !token) return giveUp();
            if (token) {
              operation.setContext(({ headers }) => ({ headers: { ...headers, authorization: `Bearer ${token}` } }));
            }
            let first = !!token && !giveUp;
            let repeated = false;
            const repeat = (refusal: () => void) => {
              repeated = true;
              run(token!, refusal).catch((error) => observer.error(error));
            };
            const subscription = forward(operation).subscribe({
              next(result) {
                if (first && refused(result, operation.operationType === "mutation")) {
                  repeat(() => {
                    observer.next(result);
                    observer.complete();
                  });
                } else if (!repeated) observer.next(result);
                first = false;
              },
              error(error) {
                if (first && error?.statusCode === 401) repeat(() => observer.error(error));
                else if (!repeated) observer.error(error);
              },
              complete() {
                if (!repeated) observer.complete();
              },
            });
            if (!repeated) stop = () => subscription.unsubscribe();
          }

          run().catch((error) => observer.error(error));
          return () => {
            closed = true;
            stop();
          };
        }),
    );
  }
}
