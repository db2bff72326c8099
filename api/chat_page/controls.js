// The controls under a question: choices, value fields, ratings, files. Each calls `answer(input, shown)`.

import { bytes, element, safeUrl } from "./dom.js";
import { inline } from "./markdown.js";
import { say } from "./texts.js";

/** The control for a message's content, or null where plain text answers it. `upload(file)` gives FileInfo. */
export function controlFor(message, tools) {
  const content = message.content;
  if (content.type === "choices") return choices(content, message.seq, tools);
  if (content.type === "csat") return satisfaction(content, tools);
  if (content.type === "input") return valueField(content, tools);
  return null;
}

const value = (tools, given, shown) => tools.answer({ type: "value", value: given }, shown);

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
    value(tools, given, "★".repeat(rating) + (given.comment ? ` ${given.comment}` : ""));
  });
  const scale = ratingScale(5, "smileys", (chosen) => {
    rating = chosen;
    submit.disabled = false;
  });
  return element("fieldset", { className: "control" }, scale, element("div", { className: "field" }, comment, submit, skipButton(true, null, tools)));
}

const FACES = ["😞", "🙁", "😐", "🙂", "😄"];

function ratingScale(max, shape, onChoose) {
  const face = (number) => FACES[Math.round(((number - 1) * (FACES.length - 1)) / Math.max(1, max - 1))];
  const buttons = Array.from({ length: max }, (_, index) => index + 1).map((number) =>
    element("button", { type: "button", "aria-label": say("rate", { n: number, max }), "aria-pressed": "false",
      onclick: () => {
        buttons.forEach((button, index) => {
          const on = shape === "stars" ? index < number : index === number - 1;
          button.classList.toggle("on", on);
          button.setAttribute("aria-pressed", String(index === number - 1));
        });
        onChoose(number);
      } }, shape === "stars" ? "★" : shape === "smileys" ? face(number) : String(number)));
  return element("div", { className: `stars ${shape}`, role: "group" }, buttons);
}

function skipButton(required, label, tools) {
  if (required) return null;
  const text = label || say("skip");
  return element("button", { type: "button", className: "quiet", onclick: () => value(tools, null, text) }, text);
}

function valueField(content, tools) {
  const field = content.field;
  const skip = skipButton(content.required, content.skip_label, tools);
  switch (field.kind) {
    case "rating":
      return element("fieldset", { className: "control" },
        ratingScale(field.max ?? 5, field.shape ?? "stars", (chosen) => value(tools, chosen, `${chosen}/${field.max ?? 5}`)), skip);
    case "consent":
      return consent(field, skip, tools);
    case "file":
      return fileField(field, skip, tools);
    case "signature":
      return signature(skip, tools);
    case "date_range":
      return dateRange(field, skip, tools);
    default:
      return nativeField(content, field, skip, tools);
  }
}

function nativeField(content, field, skip, tools) {
  const types = { number: "number", email: "email", phone: "tel", url: "url", date: "date", time: "time" };
  const input = field.kind === "text" && field.multiline
    ? element("textarea", { rows: "3" })
    : element("input", { type: types[field.kind] ?? "text" });
  input.setAttribute("aria-label", content.placeholder || plain(content.text));
  if (content.placeholder) input.setAttribute("placeholder", content.placeholder);
  if (field.kind === "text" && field.max_length) input.maxLength = field.max_length;
  if (field.kind === "number") {
    input.setAttribute("step", field.integer ? "1" : "any");
    input.setAttribute("inputmode", field.integer ? "numeric" : "decimal");
    if (field.min != null) input.setAttribute("min", field.min);
    if (field.max != null) input.setAttribute("max", field.max);
  }
  if (field.earliest) input.setAttribute("min", String(field.earliest).slice(0, 10));
  if (field.latest) input.setAttribute("max", String(field.latest).slice(0, 10));
  if (field.kind === "email") input.setAttribute("autocomplete", "email");
  if (field.kind === "phone") input.setAttribute("autocomplete", "tel");
  const form = element("form", { className: "field", novalidate: field.kind === "url" }, input, element("button", { className: "primary" }, say("send")), skip);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return input.focus();
    value(tools, field.kind === "number" ? Number(text) : text, text);
    return undefined;
  });
  return element("fieldset", { className: "control" }, form);
}

function dateRange(field, skip, tools) {
  const limits = { min: field.earliest ? String(field.earliest).slice(0, 10) : undefined, max: field.latest ? String(field.latest).slice(0, 10) : undefined };
  const start = element("input", { type: "date", required: true, ...limits });
  const end = element("input", { type: "date", required: true, ...limits });
  start.addEventListener("change", () => { end.min = start.value; });
  const form = element("form", { className: "field" },
    element("label", {}, say("from"), " ", start), element("label", {}, say("to"), " ", end),
    element("button", { className: "primary" }, say("send")), skip);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    value(tools, { start: start.value, end: end.value }, `${start.value} – ${end.value}`);
  });
  return element("fieldset", { className: "control" }, form);
}

function consent(field, skip, tools) {
  const box = element("input", { type: "checkbox" });
  const submit = element("button", { type: "button", className: "primary", disabled: true, onclick: () => value(tools, true, say("accept")) }, say("accept"));
  box.addEventListener("change", () => { submit.disabled = !box.checked; });
  const statement = typeof field.statement === "string" ? field.statement : Object.values(field.statement ?? {})[0] ?? "";
  return element("fieldset", { className: "control" }, element("div", { className: "field" },
    element("label", { className: "checkline" }, box, element("span", {}, inline(statement))), submit,
    element("button", { type: "button", className: "quiet", onclick: () => value(tools, false, say("decline")) }, say("decline")), skip));
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
