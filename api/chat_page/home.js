// The list of bots and where else to look.

import { element, safeUrl } from "./dom.js";
import { preferredLanguage, say, useLanguage } from "./texts.js";
import { pause } from "./transport.js";

const part = (id) => document.getElementById(id);

/** A language's own name; whatever isn't a language stays as it is. */
function nameOf(tag) {
  try {
    return new Intl.DisplayNames([tag], { type: "language" }).of(tag);
  } catch {
    return tag;
  }
}

async function load() {
  for (;;) {
    try {
      const response = await fetch("/api/v1/widget", { cache: "no-store" });
      if (response.ok) return await response.json();
    } catch {
      // the server restarts; asked again below
    }
    await pause(1500);
  }
}

const language = useLanguage(preferredLanguage(["es", "en"], "en"));
part("lead").textContent = say("homeText");
const { platform, bots, links } = await load();
document.title = platform;
part("platform").textContent = platform;
part("bots").replaceChildren(...bots.map((bot) => element("li", {},
  element("a", { href: `/chat/${encodeURIComponent(bot.slug)}${location.search}` },
    element("span", { className: "avatar", "aria-hidden": "true" }, bot.name.slice(0, 1).toUpperCase()),
    element("span", { className: "text" }, element("strong", {}, bot.name), (bot.description ?? "").split("\n").filter(Boolean).map((line) => element("small", {}, line)),
      element("small", { className: "languages" }, bot.languages.map(nameOf).join(" · ")))))));
if (!bots.length) part("bots").replaceChildren(element("li", {}, say("noBots")));
part("links").replaceChildren(
  element("a", { href: "/docs" }, say("docs")),
  element("a", { href: "/openapi.json" }, "OpenAPI"),
  safeUrl(links.temporal_ui) ? element("a", { href: safeUrl(links.temporal_ui), rel: "noopener" }, say("temporal")) : "",
);
document.documentElement.lang = language;
