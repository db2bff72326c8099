// Draws the API's OpenAPI document, with a form to try each operation.

import { element } from "./dom.js";
import { inline, markdown } from "./markdown.js";

/** @type {(id: string) => any} A part of the page, by its id: what it is, the page says. */
const part = (id) => document.getElementById(id);
const api = await (await fetch("/openapi.json")).json();
const METHODS = ["get", "post", "put", "patch", "delete"];

const resolve = (schema) => (schema?.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema) ?? {};
const nameOf = (schema) => schema?.$ref?.split("/").pop() ?? "";

/** An example value for a schema: its own example, its default, or one made from its type. */
function example(schema, depth = 0) {
  const given = schema?.example ?? schema?.examples?.[0];
  if (given !== undefined) return given;
  const solid = resolve(schema);
  if (solid !== schema) return example(solid, depth);
  if (solid.default !== undefined) return solid.default;
  if (solid.const !== undefined) return solid.const;
  if (solid.enum) return solid.enum[0];
  if (depth > 4) return null;
  const choice = solid.anyOf ?? solid.oneOf ?? solid.allOf;
  if (choice) return example(choice[0], depth + 1);
  if (solid.type === "array") return solid.minItems ? [example(solid.items, depth + 1)] : [];
  if (solid.type === "object" || solid.properties) {
    return Object.fromEntries((solid.required ?? []).map((name) => [name, example(solid.properties?.[name], depth + 1)]));
  }
  return { string: "", integer: solid.minimum ?? 0, number: solid.minimum ?? 0, boolean: false }[solid.type] ?? null;
}

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return nameOf(schema);
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.type === "array") return `${typeOf(schema.items)}[]`;
  return schema.const !== undefined ? JSON.stringify(schema.const) : schema.type ?? "";
}

function table(head, rows) {
  return element("table", {}, element("tr", {}, head.map((one) => element("th", {}, one))),
    rows.map((row) => element("tr", {}, row.map((cell) => element("td", {}, cell)))));
}

/** Paragraphs whose lines run on, as in Markdown: the source breaks them where a line of code is full. */
const flowing = (text) => text.replace(/(\S)\n(?![\s]|[-*#>] |\d+\. )/g, "$1 ");

const words = (description) => element("span", {}, inline(description ?? ""));

function properties(schema) {
  const solid = resolve(schema);
  if (!solid.properties) return null;
  return table([nameOf(schema) || "member", "type", ""], Object.entries(solid.properties).map(([name, one]) =>
    [element("code", {}, name + (solid.required?.includes(name) ? " *" : "")), typeOf(one), words(one.description)]));
}

function operation(path, method, about) {
  const inside = element("div", { className: "inside" }, markdown(flowing(about.description ?? "")));
  const fields = (about.parameters ?? []).map((parameter) => {
    const input = element("input", { placeholder: parameter.schema?.default ?? typeOf(parameter.schema) });
    return { parameter, input };
  });
  if (fields.length) {
    inside.append(table(["parameter", "where", "", "value"], fields.map(({ parameter, input }) =>
      [element("code", {}, parameter.name + (parameter.required ? " *" : "")), parameter.in, words(parameter.description), input])));
  }
  const json = about.requestBody?.content?.["application/json"];
  const body = json ? element("textarea", { spellcheck: "false", "aria-label": "body" }) : null;
  if (json) {
    body.value = JSON.stringify(example(json.schema), null, 2);
    inside.append(properties(json.schema) ?? "", body);
  } else if (about.requestBody) {
    inside.append(element("p", { className: "hint" }, `Body: ${Object.keys(about.requestBody.content).join(", ")}`));
  }
  inside.append(table(["answer", "", "content"], Object.entries(about.responses).map(([status, answer]) =>
    [status, words(answer.description), Object.entries(answer.content ?? {}).map(([type, one]) => `${type} ${typeOf(one.schema)}`).join(", ")])));
  const shown = element("pre", { hidden: true, tabindex: "0" });
  const send = element("button", { type: "button", className: "primary" }, "Send");
  send.addEventListener("click", async () => {
    let address = path;
    const query = new URLSearchParams();
    /** @type {Record<string, string>} */
    const headers = {};
    for (const { parameter, input } of fields) {
      if (!input.value) continue;
      if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (parameter.in === "query") query.set(parameter.name, input.value);
      else headers[parameter.name] = input.value;
    }
    if (part("key").value) headers.Authorization = `Bearer ${part("key").value}`;
    if (body) headers["Content-Type"] = "application/json";
    shown.hidden = false;
    shown.textContent = "…";
    try {
      const answer = await fetch(address + (query.size ? `?${query}` : ""), { method: method.toUpperCase(), headers, body: body?.value, signal: AbortSignal.timeout(40_000) });
      const text = await answer.text();
      let pretty = text;
      try {
        pretty = JSON.stringify(JSON.parse(text), null, 2);
      } catch {
        // shown as it is
      }
      shown.textContent = `${answer.status} ${answer.statusText}\n\n${pretty}`;
    } catch (error) {
      shown.textContent = String(error);
    }
  });
  if (json || !about.requestBody) inside.append(element("div", {}, send), shown);
  return element("details", { id: about.operationId }, element("summary", {}, element("span", { className: `method ${method}` }, method.toUpperCase()),
    element("code", {}, path), element("span", { className: "what" }, about.summary ?? "")), inside);
}

part("credentials").addEventListener("submit", (event) => event.preventDefault());
part("title").textContent = `${api.info.title} ${api.info.version}`;
part("about").replaceChildren(...markdown(flowing(api.info.description ?? "")));
const groups = new Map();
for (const [path, methods] of Object.entries(api.paths)) {
  for (const method of METHODS) {
    const about = methods[method];
    if (!about) continue;
    const tag = about.tags?.[0] ?? "other";
    if (!groups.has(tag)) groups.set(tag, []);
    groups.get(tag).push(operation(path, method, about));
  }
}
for (const [tag, operations] of groups) part("operations").append(element("section", {}, element("h2", {}, tag), operations));
part("filter").addEventListener("input", () => {
  const wanted = part("filter").value.toLowerCase();
  for (const one of document.querySelectorAll("details")) one.hidden = !one.textContent.toLowerCase().includes(wanted);
});
