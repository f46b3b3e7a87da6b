// Lets Monaco live under a Content-Security-Policy without 'unsafe-inline'.
//
// Monaco draws lines by setting HTML with style="…" attributes, which such a policy refuses. This plugin
// calls the attributes data-style; src/strictStyles.ts applies them through the CSSOM, which is allowed.
const drawing = /\/monaco-editor\/esm\/vs\/editor\/(browser|contrib|common\/viewLayout)\/.*\.js$/;
// Without these the editor would draw everything in one place.
const needed = ["viewLine.js", "viewOverlays.js", "viewLineRenderer.js", "lineNumbers.js"];

export function strictStyles() {
  const seen = new Set();
  return {
    name: "strict-styles",
    transform(code, id) {
      if (!drawing.test(id) || !/\bstyle="/.test(code)) return;
      seen.add(id.split("/").pop());
      return { code: code.replace(/\bstyle="/g, 'data-style="'), map: null };
    },
    buildEnd(error) {
      const missing = needed.filter((name) => !seen.has(name));
      if (!error && missing.length) this.error(`Monaco has changed: no style attribute in ${missing.join(", ")}`);
    },
  };
}
