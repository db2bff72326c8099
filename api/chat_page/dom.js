// Builds elements. Texts become text nodes: nothing that a bot or a visitor says is ever read as HTML.

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name === "className" ? "class" : name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/** A drawing in the text's colour, 24 units square; parts are `[tag, attributes]`. It needs no font to be seen. */
export function drawing(size, ...parts) {
  const make = (tag, attributes) => {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
    return made;
  };
  const made = make("svg", { viewBox: "0 0 24 24", width: size, height: size, "aria-hidden": "true" });
  made.append(...parts.map(([tag, attributes]) => make(tag, attributes)));
  return made;
}

/** The address if it is one that may be opened or loaded, else null. */
export function safeUrl(text, schemes = ["http:", "https:"]) {
  try {
    const url = new URL(text, location.href);
    return schemes.includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

export function link(href, ...children) {
  const url = safeUrl(href, ["http:", "https:", "mailto:", "tel:"]);
  if (!url) return element("span", {}, ...children);
  return element("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow" }, ...children);
}

export function bytes(size) {
  if (size < 1024) return `${size} B`;
  if (size < 1024 * 1024) return `${Math.round(size / 1024)} KB`;
  return `${(size / 1024 / 1024).toFixed(1)} MB`;
}
