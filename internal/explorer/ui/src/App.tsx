// The page: the bar, and GraphiQL with the tour.

import { DOC_EXPLORER_PLUGIN } from "@graphiql/plugin-doc-explorer";
import { useGraphiQL } from "@graphiql/react";
import { GraphiQL } from "graphiql";
import { useEffect, useMemo, useRef, useState } from "react";
import { Bar } from "./Bar.js";
import { type Answer, createFetcher } from "./session.js";
import { careful } from "./storage.js";
import { REVOKE, tour } from "./tour.js";

const storage = careful();
const wide = matchMedia("(min-width: 800px)").matches;

/** The session that an answer of `mySessions` offers to revoke: the latest that is not the caller's. */
function otherSession({ data }: Answer): string | null | undefined {
  const lists = Object.values(data ?? {}).filter(Array.isArray) as { id?: string; current?: boolean }[][];
  const list = lists.find((sessions) => sessions.some(({ current }) => current));
  return list && (list.find(({ current }) => current === false)?.id ?? null);
}

/** Fills in the session to revoke, unless somebody has put one there. */
function FillIn({ sessionId }: { sessionId: string }) {
  const filled = useRef("");
  const { tab, editor } = useGraphiQL((state) => ({
    tab: state.tabs[state.activeTabIndex],
    editor: state.variableEditor,
  }));
  const here = tab?.operationName === REVOKE;
  useEffect(() => {
    if (!here || !editor) return;
    try {
      const variables = JSON.parse(editor.getValue()) as { sessionId?: string };
      if ("sessionId" in variables && variables.sessionId === filled.current && sessionId !== filled.current) {
        editor.setValue(JSON.stringify({ ...variables, sessionId }, null, 2));
        filled.current = sessionId;
      }
    } catch {
      // Somebody is typing.
    }
  }, [here, editor, tab?.id, sessionId]);
  return null;
}

const small = { fontSize: 13, lineNumbers: "off", folding: false } as const;

/** Nothing that scrolls sideways; on small screens nothing beside the text. */
function Editors() {
  const [query, variables, headers, response] = useGraphiQL((state) => [
    state.queryEditor,
    state.variableEditor,
    state.headerEditor,
    state.responseEditor,
  ]);
  useEffect(() => {
    for (const editor of [query, variables, headers, response]) {
      editor?.updateOptions({ wordWrap: "on", ...(!wide && small) });
    }
  }, [query, variables, headers, response]);
  return null;
}

export function App() {
  const [other, setOther] = useState("");
  const fetcher = useMemo(
    () =>
      createFetcher((answer) => {
        const id = otherSession(answer);
        if (id !== undefined) setOther(id ?? "");
      }),
    [],
  );
  return (
    <>
      <Bar />
      <main>
        <GraphiQL
          fetcher={fetcher}
          storage={storage}
          initialVariables={tour[0]!.variables!}
          defaultTabs={tour.map(({ query, variables = "" }) => ({ query, variables }))}
          plugins={[]}
          referencePlugin={DOC_EXPLORER_PLUGIN}
          shouldPersistHeaders={false}
          showPersistHeadersSettings={false}
          defaultEditorToolsVisibility={wide}
        >
          <GraphiQL.Logo>{null}</GraphiQL.Logo>
          <Editors />
          <FillIn sessionId={other} />
        </GraphiQL>
      </main>
    </>
  );
}
