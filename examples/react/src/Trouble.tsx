/** Pawl does not answer; the session is as it was. */
export function Trouble({ retry }: { retry: () => void }) {
  return (
    <div className="notice bad" role="alert">
      <p>This does not work right now. Nothing is lost; please try again in a moment.</p>
      <button type="button" onClick={retry}>
        Try again
      </button>
    </div>
  );
}
