// One transcript entry as elements, for every kind of content.

import { answerText } from "./answers.js";
import { bytes, drawing, element, link, safeUrl } from "./dom.js";
import { markdown } from "./markdown.js";
import { say } from "./texts.js";

const bubble = (...nodes) => element("div", { className: "bubble", dir: "auto" }, ...nodes);

/** The parts of a message's body; `onReply(text)` is called by a card's reply button. */
function body(message, onReply, asked) {
  const content = message.content;
  switch (content.type) {
    case "text":
      return [message.role === "user" ? plainBubble(content.text) : bubble(markdown(content.text))];
    case "choices":
    case "input":
    case "csat":
      return content.text ? [bubble(markdown(content.text))] : [];
    case "image":
    case "video":
    case "audio":
    case "file":
    case "embed":
      return [media(content)];
    case "cards":
      return [cards(content, onReply)];
    case "redirect":
      return [redirect(content)];
    case "notice":
      return [bubble(content.text || say(content.code))];
    case "selection":
      return [plainBubble(content.text)];
    case "value":
      return [plainBubble(answerText(content, asked))];
    case "files":
      return [...(content.text && message.role === "agent" ? [bubble(markdown(content.text))] : []), ...content.files.map(fileLink)];
    default:
      return [];
  }
}

function plainBubble(text) {
  return bubble(element("p", {}, String(text).split("\n").flatMap((line, index) => (index ? [element("br"), line] : [line]))));
}

function media(content) {
  const url = safeUrl(content.url);
  if (!url) return bubble(content.name || content.alt || content.url);
  const label = content.alt || content.name || "";
  if (content.type === "file") return fileLink({ name: content.name || url.split("/").pop(), url });
  const shown = {
    image: () => element("img", { src: url, alt: label, loading: "lazy" }),
    video: () => element("video", { src: url, controls: true, preload: "metadata", "aria-label": label }),
    audio: () => element("audio", { src: url, controls: true, preload: "metadata", "aria-label": label }),
    embed: () => element("iframe", { src: url, title: label || url, loading: "lazy", height: String(content.height || 320),
      sandbox: "allow-scripts allow-same-origin allow-forms allow-popups", referrerpolicy: "no-referrer" }),
  }[content.type]();
  return element("figure", { className: "media" }, shown, content.name ? element("figcaption", {}, content.name) : null);
}

const CLIP = ["path", { d: "M20 11.5 12 19.4a5 5 0 0 1-7.1-7.1l8-8a3.4 3.4 0 0 1 4.8 4.8l-8 8a1.7 1.7 0 0 1-2.4-2.4l7.3-7.3",
  fill: "none", stroke: "currentColor", "stroke-width": 1.8, "stroke-linecap": "round" }];

function fileLink(file) {
  const label = [drawing(20, CLIP), element("span", {}, file.name, " ", file.size ? element("small", {}, bytes(file.size)) : null)];
  const url = file.url && safeUrl(file.url);
  if (!url) return element("span", { className: "filelink" }, label);
  const anchor = element("a", { className: "filelink", href: url, target: "_blank", rel: "noopener noreferrer" }, label);
  if (String(file.media_type || "").startsWith("image/")) {
    return element("figure", { className: "media" }, element("a", { href: url, target: "_blank", rel: "noopener noreferrer" },
      element("img", { src: url, alt: file.name, loading: "lazy" })));
  }
  return anchor;
}

function cards(content, onReply) {
  return element("ul", { className: "cards", tabindex: "0" }, content.cards.map((card) => {
    const picture = card.image_url && safeUrl(card.image_url);
    return element("li", { className: "card" },
      picture ? element("img", { src: picture, alt: "", loading: "lazy" }) : null,
      element("div", { className: "body" }, element("strong", {}, card.title), card.text ? markdown(card.text) : null),
      card.buttons.length ? element("div", { className: "actions" }, card.buttons.map((button) =>
        button.url ? link(button.url, button.label)
          : element("button", { type: "button", onclick: () => onReply(button.reply || button.label) }, button.label))) : null);
  }));
}

function redirect(content) {
  const url = safeUrl(content.url);
  if (!url) return bubble(content.text || content.url);
  const anchor = element("a", { className: "filelink", href: url, rel: "noopener noreferrer" }, "↗ ", content.text || content.url);
  if (content.new_tab) anchor.target = "_blank";
  return anchor;
}

/** The entry of a message: body and who says it. `asked` is the content of the question that it answers. */
export function entry(message, onReply, asked) {
  const who = message.agent?.name;
  const parts = body(message, onReply, asked);
  if (!parts.length && message.role === "user") return null;
  return element("article", { className: `entry ${message.role}`, "aria-label": who || undefined },
    who ? element("span", { className: "meta" }, who) : null, parts);
}

export function pendingEntry(text) {
  return element("article", { className: "entry user pending" }, plainBubble(text));
}

export function draftEntry() {
  const text = bubble();
  const made = element("article", { className: "entry assistant draft", "aria-busy": "true" }, text);
  return { made, show: (source) => text.replaceChildren(...markdown(source)) };
}

export function typingEntry() {
  return element("article", { className: "entry assistant typing", "aria-label": say("typing") }, bubble(element("span"), element("span"), element("span")));
}
