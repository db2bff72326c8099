// A visitor's answers in the words of the control that took them.

import { language, say } from "./texts.js";

/**
 * The text of a `value`; `asked` is the content of the question it answers, if known.
 *
 * @param {{ value?: any, text?: string }} answer
 * @param {any} [asked]
 */
export function answerText({ value, text }, asked) {
  const field = asked?.field;
  if (value === null) return asked?.skip_label || say("skip");
  if (asked?.type === "csat" && value?.rating) return score(value.rating, 5) + (value.comment ? ` · ${value.comment}` : "");
  if (field?.kind === "consent" && typeof value === "boolean") return say(value ? "accept" : "decline");
  if (field?.kind === "rating" && typeof value === "number") return score(value, field.max ?? 5);
  if (field?.kind === "date") return day(value);
  if (field?.kind === "date_range" && value?.start) return `${day(value.start)} – ${day(value.end)}`;
  return text ?? String(value);
}

const score = (given, max) => `${given}/${max}`;

function day(text) {
  const date = /^\d{4}-\d\d-\d\d$/.test(text) ? new Date(`${text}T00:00:00Z`) : NaN;
  return Number.isNaN(Number(date)) ? String(text) : new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeZone: "UTC" }).format(date);
}
