// Makes styles that libraries write at run time fit the page's Content-Security-Policy, which allows style
// elements with the page's nonce and no style attributes. Must be imported before them.

const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? "";

const createElement = document.createElement;
document.createElement = function (this: Document, name: string, options?: ElementCreationOptions) {
  const element = createElement.call(this, name, options);
  if (element instanceof HTMLStyleElement) element.nonce = nonce;
  return element;
} as typeof createElement;

/** Applies what the build has called `data-style` instead of `style` in Monaco's HTML. */
function applyStyles(within: ParentNode): void {
  for (const element of within.querySelectorAll<HTMLElement | SVGElement>("[data-style]")) {
    element.style.cssText = element.dataset["style"]!;
    element.removeAttribute("data-style");
  }
}

const innerHTML = Object.getOwnPropertyDescriptor(Element.prototype, "innerHTML")!;
Object.defineProperty(Element.prototype, "innerHTML", {
  ...innerHTML,
  set(this: Element, html: string) {
    innerHTML.set!.call(this, html);
    applyStyles(this);
  },
});

const insertAdjacentHTML = Element.prototype.insertAdjacentHTML;
Element.prototype.insertAdjacentHTML = function (position, html) {
  insertAdjacentHTML.call(this, position, html);
  applyStyles(this.parentElement ?? this);
};
