// A small, safe subset of Markdown as DOM nodes: paragraphs, headings, lists, quotes, code, emphasis, links.

import { element, link } from "./dom.js";

const INLINE = /(`+)([\s\S]+?)\1|\*\*([\s\S]+?)\*\*|__([\s\S]+?)__|~~([\s\S]+?)~~|\*(?!\s)([^*\n]+?)\*|(?<![\w])_(?!\s)([^_\n]+?)_(?![\w])|\[([^\]\n]{1,500})\]\(([^)\s]{1,2000})\)|(https?:\/\/[^\s<>()]{1,2000}[^\s<>().,;:!?])|\\([\\`*_~[\]()#>-])/;
const DEEPEST = 6;

export function inline(text, depth = 0) {
  const nodes = [];
  let rest = text;
  while (rest) {
    const match = depth < DEEPEST ? INLINE.exec(rest) : null;
    if (!match) break;
    if (match.index > 0) nodes.push(...lines(rest.slice(0, match.index)));
    const [whole, , code, bold, bold2, struck, italic, italic2, label, target, bare, escaped] = match;
    if (code !== undefined) nodes.push(element("code", {}, code));
    else if (bold ?? bold2) nodes.push(element("strong", {}, inline(bold ?? bold2, depth + 1)));
    else if (struck !== undefined) nodes.push(element("s", {}, inline(struck, depth + 1)));
    else if (italic ?? italic2) nodes.push(element("em", {}, inline(italic ?? italic2, depth + 1)));
    else if (label !== undefined) nodes.push(link(target, inline(label, depth + 1)));
    else if (bare !== undefined) nodes.push(link(bare, bare));
    else nodes.push(escaped);
    rest = rest.slice(match.index + whole.length);
  }
  if (rest) nodes.push(...lines(rest));
  return nodes;
}

function lines(text) {
  return text.split("\n").flatMap((line, index) => (index ? [element("br"), line] : [line])).filter((part) => part !== "");
}

const BULLET = /^\s*[-*+]\s+/;
const NUMBER = /^\s*\d{1,4}[.)]\s+/;

/** Lines of a list with those that go on from the line before put to it. */
function joined(taken, mark) {
  return taken.reduce((items, one) => {
    if (mark.test(one) || !items.length) items.push(one);
    else items[items.length - 1] += ` ${one.trim()}`;
    return items;
  }, []);
}

export function markdown(text) {
  const blocks = [];
  const source = String(text).replace(/\r\n?/g, "\n").split("\n");
  let index = 0;
  const take = (test) => {
    const taken = [];
    while (index < source.length && test(source[index])) taken.push(source[index++]);
    return taken;
  };
  while (index < source.length) {
    const line = source[index];
    const fence = /^\s*(```|~~~)/.exec(line);
    if (!line.trim()) {
      index += 1;
    } else if (fence) {
      index += 1;
      const code = take((one) => !one.trim().startsWith(fence[1]));
      index += 1;
      blocks.push(element("pre", {}, element("code", {}, code.join("\n"))));
    } else if (/^#{1,6}\s/.test(line)) {
      blocks.push(element("h2", {}, inline(line.replace(/^#+\s+/, ""))));
      index += 1;
    } else if (/^\s*>/.test(line)) {
      blocks.push(element("blockquote", {}, inline(take((one) => /^\s*>/.test(one)).map((one) => one.replace(/^\s*>\s?/, "")).join("\n"))));
    } else if (BULLET.test(line)) {
      const items = joined(take((one) => BULLET.test(one) || /^\s{2,}\S/.test(one)), BULLET);
      blocks.push(element("ul", {}, items.map((one) => element("li", {}, inline(one.replace(BULLET, ""))))));
    } else if (NUMBER.test(line)) {
      const items = joined(take((one) => NUMBER.test(one) || /^\s{2,}\S/.test(one)), NUMBER);
      const list = element("ol", {}, items.map((one) => element("li", {}, inline(one.replace(NUMBER, "")))));
      list.start = Number.parseInt(items[0], 10);
      blocks.push(list);
    } else {
      const paragraph = [source[index++]];
      paragraph.push(...take((one) => one.trim() && !/^\s*(```|~~~|#{1,6}\s|>|[-*+]\s|\d{1,4}[.)]\s)/.test(one)));
      blocks.push(element("p", {}, inline(paragraph.join("\n"))));
    }
  }
  return blocks;
}
