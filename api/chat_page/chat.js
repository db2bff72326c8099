// The chat page: keeps one conversation with a bot, across reloads, lost connections and restarts.

import { controlFor } from "./controls.js";
import { element } from "./dom.js";
import { draftEntry, entry, pendingEntry, typingEntry } from "./entries.js";
import { preferredLanguage, say, useLanguage } from "./texts.js";
import { newId, pause, Refused, Transport } from "./transport.js";

const bot = decodeURIComponent(location.pathname.split("/").filter(Boolean)[1] ?? "");
const part = (id) => document.getElementById(id);
const STORE = `versaai.chat.${bot}`;
const PROMPTS = new Set(["choices", "input", "csat"]);

class Chat {
  constructor() {
    this.transport = new Transport(bot, {
      onConnection: (online) => this.showConnection(online),
      onToken: (conversation, token) => this.save({ conversation, token }),
    });
    this.reset();
  }

  reset() {
    this.entries = new Map(); // seq -> element
    this.messages = new Map(); // seq -> message
    this.pending = new Map(); // message id -> {element, input}
    this.drafts = new Map(); // stream id -> {made, show, attempt, text}
    this.early = []; // live messages that wait for the typing pause of the one before
    this.showing = false;
    this.control = null;
    this.waiting = null;
    this.status = "active";
    this.inFlight = 0;
    this.queue = Promise.resolve();
    part("log").replaceChildren();
  }

  // --- what is kept ---

  get kept() {
    try {
      return JSON.parse(localStorage.getItem(STORE)) ?? {};
    } catch {
      return {};
    }
  }

  save(change) {
    try {
      localStorage.setItem(STORE, JSON.stringify({ ...this.kept, ...change }));
    } catch {
      // private windows may refuse; the conversation then lasts as long as the page
    }
  }

  // --- beginning ---

  async begin() {
    useLanguage(navigator.language);
    let config;
    try {
      config = await this.transport.config();
    } catch (error) {
      return this.fail(error instanceof Refused && error.status === 404 ? say("missing") : error.message);
    }
    this.config = config;
    this.language = preferredLanguage(config.languages, config.language);
    useLanguage(this.language);
    this.dress();
    const { conversation, token, opening } = this.kept;
    if (conversation && token) {
      this.transport.resume(conversation, token);
      if (await this.reload()) return this.follow();
    }
    await this.openNew(opening);
    return undefined;
  }

  dress() {
    document.title = this.config.name;
    part("name").textContent = this.config.name;
    part("avatar").textContent = this.config.name.trim().slice(0, 1).toUpperCase();
    part("restart").textContent = say("restart");
    part("text-label").textContent = say("message");
    part("send-label").textContent = say("send");
    part("text").placeholder = say("write");
    part("text").maxLength = this.config.limits.max_text;
    part("log").setAttribute("aria-label", say("conversation"));
    this.showConnection(true);
  }

  async reload() {
    try {
      const page = await this.transport.transcript();
      page.messages.forEach((message) => this.place(message));
      this.update(page);
      for (const [id, input] of Object.entries(this.kept.unsent ?? {})) {
        if (![...this.messages.values()].some((message) => message.client_message_id === id)) this.submit(input.input, input.shown, id);
      }
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return false;
    }
  }

  async openNew(opening) {
    this.transport.stop();
    this.transport.resume(null, null);
    this.reset();
    const kept = opening ?? { id: newId(), at: Date.now() };
    this.save({ conversation: null, token: null, unsent: {}, opening: kept });
    const input = { type: "start", language: this.language, page: { url: location.href, referrer: document.referrer } };
    if (opening?.language) input.language = opening.language;
    else this.save({ opening: { ...kept, language: this.language } });
    try {
      await this.turn(kept.id, input);
      this.save({ opening: null });
      this.follow();
      part("text").focus({ preventScroll: true });
    } catch (error) {
      if (opening) return this.openNew(null);
      this.fail(error.message);
    }
    return undefined;
  }

  follow() {
    this.transport.follow(() => this.contiguous(), (name, data) => this.onEvent(name, data));
  }

  contiguous() {
    let seq = 0;
    while (this.messages.has(seq + 1)) seq += 1;
    return seq;
  }

  // --- sending ---

  submit(input, shown, id = newId()) {
    const made = pendingEntry(shown);
    part("log").append(made);
    this.pending.set(id, { made, input, shown });
    this.save({ unsent: { ...(this.kept.unsent ?? {}), [id]: { input, shown } } });
    this.drawControl();
    this.scroll(true);
    const sent = this.queue.then(() => this.turn(id, input)).catch((error) => this.refuse(id, error));
    // The next message leaves when this one is answered, or shortly after it left: in order, without a jam.
    this.queue = Promise.race([sent, this.queue.then(() => pause(600))]);
  }

  async turn(id, input) {
    this.inFlight += 1;
    const typing = setTimeout(() => this.showTyping(true), 350);
    try {
      const reply = await this.transport.send(id, input);
      this.settle(id);
      this.drafts.forEach((draft, stream) => this.dropDraft(stream));
      this.update(reply);
      reply.messages.forEach((message) => this.arrive(message));
    } finally {
      clearTimeout(typing);
      this.inFlight -= 1;
      if (!this.inFlight) this.showTyping(false);
    }
  }

  settle(id) {
    const waiting = this.pending.get(id);
    waiting?.made.classList.remove("pending");
    const { [id]: _, ...unsent } = this.kept.unsent ?? {};
    this.save({ unsent });
    this.drawControl();
  }

  refuse(id, error) {
    const waiting = this.pending.get(id);
    this.settle(id);
    if (error instanceof Refused && error.kind === "conversation-closed") {
      this.status = "ended";
      this.update({});
    } else if (error instanceof Refused && error.status === 401) {
      this.openNew(null);
    } else {
      this.fail(error.message, 6000);
    }
    if (!waiting) return;
    waiting.made.classList.add("failed");
    this.pending.delete(id);
    waiting.made.append(element("button", { type: "button", className: "quiet", onclick: () => {
      waiting.made.remove();
      this.submit(waiting.input, waiting.shown);
    } }, `${say("unsent")} · ${say("retry")}`));
    this.drawControl();
  }

  // --- receiving ---

  onEvent(name, data) {
    if (name === "message") this.arrive(data);
    else if (name === "tokens") this.stream(data);
    else if (name === "status") this.update(data);
    else if (name === "typing") this.showTyping(Boolean(data.active));
  }

  stream({ stream_id: stream, attempt, offset, text }) {
    if ([...this.messages.values()].some((message) => message.stream_id === stream)) return;
    let draft = this.drafts.get(stream);
    if (!draft) {
      draft = { ...draftEntry(), attempt: 0, text: "" };
      this.drafts.set(stream, draft);
      part("log").append(draft.made);
      this.showTyping(false);
    }
    if (attempt < draft.attempt) return;
    if (attempt > draft.attempt) Object.assign(draft, { attempt, text: "" });
    draft.text = draft.text.slice(0, offset) + text;
    draft.show(draft.text);
    this.scroll();
  }

  dropDraft(stream) {
    this.drafts.get(stream)?.made.remove();
    this.drafts.delete(stream);
  }

  /** Shows a live message, after its typing pause and after the messages before it. */
  arrive(message) {
    if (this.messages.has(message.seq) || this.early.some((one) => one.seq === message.seq)) return;
    this.early.push(message);
    this.early.sort((one, other) => one.seq - other.seq);
    if (!this.showing) this.showEarly();
  }

  async showEarly() {
    const log = this.entries; // another conversation has another
    this.showing = true;
    while (this.early.length) {
      const message = this.early.shift();
      if (message.typing_seconds > 0 && message.role === "assistant") {
        this.showTyping(true);
        await pause(Math.min(message.typing_seconds, 10) * 1000);
        if (log !== this.entries) return;
        this.showTyping(false);
      }
      this.place(message);
      this.drawControl();
      this.scroll();
    }
    this.showing = false;
  }

  place(message) {
    if (this.messages.has(message.seq)) return;
    this.messages.set(message.seq, message);
    if (message.stream_id) this.dropDraft(message.stream_id);
    const own = message.client_message_id && this.pending.get(message.client_message_id);
    const made = entry(message, (text) => this.submit({ type: "text", text }, text));
    if (own) {
      this.pending.delete(message.client_message_id);
      own.made.remove();
    }
    if (made) {
      // In the transcript's order; what is not in it yet (sent, being written) stays below.
      const next = [...part("log").children].find((one) => !one.dataset.seq || Number(one.dataset.seq) > message.seq);
      part("log").insertBefore(made, next ?? null);
      made.dataset.seq = message.seq;
      this.entries.set(message.seq, made);
    }
  }

  update(state) {
    if (state.status && state.status !== "processing") this.status = state.status;
    if ("waiting" in state) this.waiting = state.waiting;
    const ended = this.status === "ended";
    part("text").disabled = ended;
    part("send").disabled = ended;
    part("text").placeholder = ended ? say("ended") : say("write");
    part("log").querySelector(".over")?.remove();
    if (ended) {
      part("log").append(element("div", { className: "entry system over" }, element("p", { className: "hint" }, say("ended")),
        element("button", { type: "button", className: "primary", onclick: () => this.openNew(null) }, say("again"))));
      part("log").lastChild.dataset.seq = Number.MAX_SAFE_INTEGER;
    }
    this.drawControl();
    this.scroll();
  }

  /** Puts the control under the question that is open now, and takes it from one that isn't any more. */
  drawControl() {
    const open = this.openPrompt();
    if (this.control?.seq === open) return;
    this.control?.made.remove();
    this.control = null;
    if (!open) return;
    const made = controlFor(this.messages.get(open), {
      answer: (input, shown) => this.submit(input, shown),
      upload: (file) => this.transport.upload(file),
    });
    if (!made) return;
    this.control = { seq: open, made };
    this.entries.get(open)?.append(made);
  }

  openPrompt() {
    if (this.status === "ended" || this.pending.size) return null;
    const asked = this.waiting?.prompt;
    if (asked && this.messages.has(asked)) return asked;
    const newest = [...this.messages.values()].sort((one, other) => other.seq - one.seq)
      .find((message) => message.role === "user" || PROMPTS.has(message.content.type));
    return newest && newest.role !== "user" && !asked ? newest.seq : null;
  }

  // --- showing ---

  showTyping(active) {
    this.typing?.remove();
    this.typing = active && !this.drafts.size ? typingEntry() : null;
    if (this.typing) {
      part("log").append(this.typing);
      this.scroll();
    }
  }

  showConnection(online) {
    part("banner").hidden = online;
    part("banner").textContent = online ? "" : say("reconnecting");
    part("presence").textContent = online ? say("online") : say("offline");
  }

  fail(text, milliseconds) {
    part("problem").textContent = text;
    part("problem").hidden = false;
    if (milliseconds) setTimeout(() => { part("problem").hidden = true; }, milliseconds);
  }

  scroll(always = false) {
    const log = part("log");
    const near = log.scrollHeight - log.scrollTop - log.clientHeight < 400;
    if (near || always) requestAnimationFrame(() => log.scrollTo({ top: log.scrollHeight, behavior: "smooth" }));
  }
}

const chat = new Chat();

part("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = part("text").value.trim();
  if (!text || part("text").disabled || !chat.transport.conversation) return;
  part("text").value = "";
  part("text").style.height = "";
  part("problem").hidden = true;
  chat.submit({ type: "text", text }, text);
});
part("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    part("composer").requestSubmit();
  }
});
part("text").addEventListener("input", () => {
  part("text").style.height = "";
  part("text").style.height = `${Math.min(part("text").scrollHeight + 2, 144)}px`;
});
part("restart").addEventListener("click", () => chat.openNew(null));
chat.begin();
