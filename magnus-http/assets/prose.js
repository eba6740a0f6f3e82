// Shows a description. The service has sanitised it; here it is built anew from an own list of elements all the same, so
// that no markup of others ever becomes a part of this page.

const KNOWN = new Set(["P", "BR", "HR", "H1", "H2", "H3", "H4", "H5", "H6", "UL", "OL", "LI", "STRONG", "B", "EM", "I", "DEL", "S", "CODE", "PRE", "BLOCKQUOTE", "A", "TABLE", "THEAD", "TBODY", "TR", "TH", "TD"]);

/** Elements for sanitised HTML. */
export function prose(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  return [...parsed.body.childNodes].map(copy);
}

function copy(node) {
  if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.data);
  const children = [...node.childNodes].map(copy);
  if (node.nodeType !== Node.ELEMENT_NODE || !KNOWN.has(node.tagName)) {
    const bare = document.createDocumentFragment();
    bare.append(...children);
    return bare;
  }
  const element = document.createElement(node.tagName);
  const target = node.getAttribute("href");
  if (node.tagName === "A" && /^(https?:|mailto:)/i.test(target ?? "")) {
    element.href = target;
    element.target = "_blank";
    element.rel = "noopener noreferrer nofollow";
  }
  element.append(...children);
  return element;
}
