// The controls under a question: choices, value fields, ratings, files. Each calls `answer(input, shown)`.

import { answerText } from "./answers.js";
import { bytes, drawing, element, safeUrl } from "./dom.js";
import { inline } from "./markdown.js";
import { say } from "./texts.js";

/**
 * What answers a message: `made`, the control under it, or null; and what becomes of the composer, so that
 * there is one place to answer: `folded` puts it away where the control has a field of its own, `hints` are
 * the composer's attributes where it is the field. `tools.upload(file)` gives FileInfo.
 */
export function controlFor(message, tools) {
  const content = message.content;
  if (content.type === "choices") return { made: choices(content, message.seq, tools) };
  if (content.type === "csat") return { made: satisfaction(content, tools), folded: content.ask_comment };
  if (content.type === "input") return valueField(content, tools);
  return { made: null };
}

function value(tools, content, given) {
  tools.answer({ type: "value", value: given }, answerText({ value: given }, content));
}

function choices(content, prompt, tools) {
  const chosen = new Set();
  const list = content.display === "list" || content.display === "cards" || content.options.length > 12;
  const kind = content.display === "pictures" ? "pictures" : content.display === "cards" ? "cards-list" : list ? "list" : "";
  const send = (ids) => {
    const labels = content.options.filter((option) => ids.includes(option.id)).map((option) => option.label);
    tools.answer({ type: "choice", options: ids, prompt }, labels.join(", "));
  };
  const submit = element("button", { type: "button", className: "primary", disabled: true, onclick: () => send([...chosen]) }, say("send"));
  const buttons = content.options.map((option) => {
    const picture = option.image_url && safeUrl(option.image_url);
    const button = element("button", { type: "button", className: "option", "aria-pressed": content.multiple ? "false" : undefined },
      picture ? element("img", { src: picture, alt: "", loading: "lazy" }) : null,
      element("span", {}, option.label, option.description ? element("small", {}, option.description) : null));
    button.addEventListener("click", () => {
      if (!content.multiple) return send([option.id]);
      if (chosen.has(option.id)) chosen.delete(option.id);
      else if (!content.max_choices || chosen.size < content.max_choices) chosen.add(option.id);
      button.setAttribute("aria-pressed", String(chosen.has(option.id)));
      submit.disabled = chosen.size < content.min_choices;
      return undefined;
    });
    return { button, words: fold(`${option.label} ${option.description ?? ""}`) };
  });
  const group = element("div", { className: `options ${kind}`, role: "group" }, buttons.map((one) => one.button));
  const parts = [group];
  if (content.searchable) {
    const none = element("p", { className: "hint", hidden: true }, say("noMatch"));
    const search = element("input", { type: "search", className: "search", placeholder: say("search"), "aria-label": say("search") });
    search.addEventListener("input", () => {
      const wanted = fold(search.value);
      let shown = 0;
      for (const one of buttons) {
        one.button.hidden = !one.words.includes(wanted);
        shown += one.button.hidden ? 0 : 1;
      }
      none.hidden = shown > 0;
    });
    parts.unshift(search);
    parts.push(none);
  }
  if (content.multiple) {
    const most = content.max_choices;
    parts.push(element("p", { className: "hint" }, most ? say("chooseMax", { max: most }) : say("choose", { min: content.min_choices })), element("div", {}, submit));
  }
  return element("fieldset", { className: "control" }, parts);
}

const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

function satisfaction(content, tools) {
  let rating = 0;
  const comment = content.ask_comment
    ? element("textarea", { rows: "2", maxlength: "2000", placeholder: say("comment"), "aria-label": say("comment") }) : null;
  const submit = element("button", { type: "button", className: "primary", disabled: true }, say("send"));
  submit.addEventListener("click", () => {
    const given = { rating };
    if (comment?.value.trim()) given.comment = comment.value.trim();
    value(tools, content, given);
  });
  const scale = ratingScale(5, "smileys", (chosen) => {
    rating = chosen;
    submit.disabled = false;
  });
  return element("fieldset", { className: "control" }, scale, element("div", { className: "field" }, comment, submit));
}

const STAR = ["path", { d: "m12 2.5 2.9 6.2 6.8.8-5 4.6 1.3 6.7-6-3.3-6 3.3 1.3-6.7-5-4.6 6.8-.8z", fill: "currentColor" }];

/** A face that is sadder below 0 and happier above, from -1 to 1. */
function face(mood) {
  const line = { fill: "none", stroke: "currentColor", "stroke-width": 1.7, "stroke-linecap": "round" };
  const mouth = 15.6 - mood * 1.4;
  return drawing(34, ["circle", { cx: 12, cy: 12, r: 10, ...line }],
    ["circle", { cx: 8.6, cy: 9.6, r: 1.3, fill: "currentColor" }], ["circle", { cx: 15.4, cy: 9.6, r: 1.3, fill: "currentColor" }],
    ["path", { d: `M7.6 ${mouth} Q12 ${mouth + mood * 5} 16.4 ${mouth}`, ...line }]);
}

function ratingScale(max, shape, onChoose) {
  const shapes = {
    stars: () => drawing(28, STAR),
    smileys: (number) => face(max > 1 ? ((number - 1) / (max - 1)) * 2 - 1 : 1),
    numbers: (number) => String(number),
  };
  const buttons = Array.from({ length: max }, (_, index) => index + 1).map((number) =>
    element("button", { type: "button", "aria-label": say("rate", { n: number, max }), title: `${number}/${max}`, "aria-pressed": "false",
      onclick: () => {
        buttons.forEach((button, index) => {
          const on = shape === "stars" ? index < number : index === number - 1;
          button.classList.toggle("on", on);
          button.setAttribute("aria-pressed", String(index === number - 1));
        });
        onChoose(number);
      } }, (shapes[shape] ?? shapes.numbers)(number)));
  return element("div", { className: `stars ${shape}`, role: "group" }, buttons);
}

function skipButton(content, tools) {
  if (content.required) return null;
  return element("button", { type: "button", className: "quiet", onclick: () => value(tools, content, null) }, content.skip_label || say("skip"));
}

function valueField(content, tools) {
  const field = content.field;
  const skip = skipButton(content, tools);
  const under = (...parts) => element("fieldset", { className: "control" }, ...parts);
  switch (field.kind) {
    case "rating":
      return { made: under(ratingScale(field.max ?? 5, field.shape ?? "stars", (chosen) => value(tools, content, chosen)), skip) };
    case "consent":
      return { made: consent(content, skip, tools) };
    case "file":
      return { made: fileField(field, skip, tools), folded: true };
    case "signature":
      return { made: signature(skip, tools), folded: true };
    case "date_range":
      return { made: dateRange(content, skip, tools), folded: true };
    case "date":
    case "time":
      return { made: momentField(content, skip, tools), folded: true, hints: hints(content) };
    default:
      return { made: skip && under(element("div", { className: "options" }, skip)), hints: hints(content) };
  }
}

const KEYBOARDS = { email: "email", phone: "tel", url: "url", number: "decimal" };
const AUTOMATIC = { email: "email", phone: "tel", url: "url" };

/** How the composer asks for a value: its placeholder, keyboard, what the browser may fill in, the longest text. */
function hints({ field, placeholder }) {
  const kind = field.kind;
  return {
    placeholder: placeholder || (kind === "text" ? say("write") : say(`write_${kind}`)),
    keyboard: kind === "number" && field.integer && field.min >= 0 ? "numeric" : KEYBOARDS[kind] ?? "text",
    automatic: AUTOMATIC[kind] ?? "off",
    longest: kind === "text" ? field.max_length : null,
  };
}

function momentField(content, skip, tools) {
  const field = content.field;
  const input = element("input", { type: field.kind, "aria-label": content.placeholder || plain(content.text) });
  const length = field.kind === "date" ? 10 : 5;
  if (field.earliest) input.setAttribute("min", String(field.earliest).slice(0, length));
  if (field.latest) input.setAttribute("max", String(field.latest).slice(0, length));
  const form = element("form", { className: "field" }, input, element("button", { className: "primary" }, say("send")), skip);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!input.value) return input.focus();
    value(tools, content, input.value);
    return undefined;
  });
  return element("fieldset", { className: "control" }, form);
}

function dateRange(content, skip, tools) {
  const field = content.field;
  const limits = { min: field.earliest ? String(field.earliest).slice(0, 10) : undefined, max: field.latest ? String(field.latest).slice(0, 10) : undefined };
  const start = element("input", { type: "date", required: true, ...limits });
  const end = element("input", { type: "date", required: true, ...limits });
  start.addEventListener("change", () => { end.min = start.value; });
  const form = element("form", { className: "field" },
    element("label", {}, say("from"), " ", start), element("label", {}, say("to"), " ", end),
    element("button", { className: "primary" }, say("send")), skip);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    value(tools, content, { start: start.value, end: end.value });
  });
  return element("fieldset", { className: "control" }, form);
}

function consent(content, skip, tools) {
  const field = content.field;
  const box = element("input", { type: "checkbox" });
  const submit = element("button", { type: "button", className: "primary", disabled: true, onclick: () => value(tools, content, true) }, say("accept"));
  box.addEventListener("change", () => { submit.disabled = !box.checked; });
  const statement = typeof field.statement === "string" ? field.statement : Object.values(field.statement ?? {})[0] ?? "";
  return element("fieldset", { className: "control" }, element("div", { className: "field" },
    element("label", { className: "checkline" }, box, element("span", {}, inline(statement))), submit,
    element("button", { type: "button", className: "quiet", onclick: () => value(tools, content, false) }, say("decline")), skip));
}

function fileField(field, skip, tools) {
  const most = field.max_files ?? 1;
  const limit = (field.max_megabytes ?? 10) * 1024 * 1024;
  const picker = element("input", { type: "file", multiple: most > 1, accept: (field.accept ?? []).join(","), "aria-label": say("upload") });
  const hint = element("p", { className: "hint", role: "status" });
  picker.addEventListener("change", async () => {
    const files = [...picker.files];
    hint.classList.remove("error");
    const tooLarge = files.some((file) => file.size > limit);
    if (!files.length || tooLarge || files.length > most) {
      hint.classList.add("error");
      hint.textContent = tooLarge ? say("tooLarge", { size: bytes(limit) }) : files.length ? say("tooMany", { max: most }) : "";
      return;
    }
    await uploadAll(files, tools, picker, hint);
  });
  return element("fieldset", { className: "control" }, element("div", { className: "field" }, picker, skip), hint);
}

async function uploadAll(files, tools, picker, hint) {
  picker.disabled = true;
  hint.textContent = say("uploading");
  try {
    const ids = [];
    for (const file of files) ids.push((await tools.upload(file)).id);
    tools.answer({ type: "files", files: ids }, files.map((file) => file.name).join(", "));
  } catch (error) {
    hint.classList.add("error");
    hint.textContent = error.message;
    picker.disabled = false;
  }
}

function signature(skip, tools) {
  const canvas = element("canvas", { className: "pad", width: 520, height: 180, role: "img", "aria-label": say("sign"), tabindex: "0" });
  const pen = canvas.getContext("2d");
  pen.lineWidth = 2.5;
  pen.lineCap = "round";
  pen.strokeStyle = "#1b1d29";
  let drawing = false;
  const hint = element("p", { className: "hint", role: "status" }, say("sign"));
  const submit = element("button", { type: "button", className: "primary", disabled: true }, say("send"));
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    drawing = true;
    canvas.setPointerCapture(event.pointerId);
    pen.beginPath();
    pen.moveTo(...place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    pen.lineTo(...place(event));
    pen.stroke();
    submit.disabled = false;
  });
  canvas.addEventListener("pointerup", () => { drawing = false; });
  const clear = element("button", { type: "button", className: "quiet", onclick: () => {
    pen.clearRect(0, 0, canvas.width, canvas.height);
    submit.disabled = true;
  } }, say("clear"));
  submit.addEventListener("click", () => canvas.toBlob((blob) =>
    uploadAll([new File([blob], "signature.png", { type: "image/png" })], tools, submit, hint)));
  return element("fieldset", { className: "control" }, canvas, hint, element("div", { className: "field" }, submit, clear, skip));
}

const plain = (text) => String(text ?? "").replace(/[*_`#>[\]]/g, "").slice(0, 200);
