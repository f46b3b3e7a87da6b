import "./strictStyles.js";
import "./workers.js";
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "graphiql/graphiql.css";
import "./style.css";
import { createRoot } from "react-dom/client";
import { App } from "./App.js";
import { pawl } from "./session.js";

// A session of this browser is found without asking the person anything.
pawl.refresh().catch(() => {});

createRoot(document.getElementById("root")!).render(<App />);
