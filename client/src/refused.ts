// Tells whether an answer refuses the access token that came with its request.

export interface Answer {
  data?: unknown;
  errors?: readonly { extensions?: { code?: unknown } | undefined }[] | undefined;
}

/**
 * True where repeating the request with another token is right: an error is `UNAUTHENTICATED`, and no part of a
 * mutation was carried out.
 */
export function refused(answer: Answer | null | undefined, mutation: boolean): boolean {
  if (!answer?.errors?.some((error) => error.extensions?.code === "UNAUTHENTICATED")) return false;
  return !mutation || Object.values(answer.data ?? {}).every((field) => field === null);
}
