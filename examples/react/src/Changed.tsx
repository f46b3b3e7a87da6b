import { useEffect, useRef } from "react";

/** Another tab signed in anew, maybe as somebody else: what this page showed is not theirs. */
export function Changed() {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <main className="narrow">
      <section className="card" role="alert">
        <h1 ref={heading} tabIndex={-1}>
          Signed in anew
        </h1>
        <p>Somebody signed in in another tab. This page has put away what it showed before.</p>
        <button type="button" className="primary" onClick={() => location.reload()}>
          Go on with the new sign-in
        </button>
      </section>
    </main>
  );
}
