// The chat page: keeps one conversation with a bot, across reloads, lost connections and restarts.

import { controlFor } from "./controls.js";
import { element } from "./dom.js";
import { draftEntry, entry, pendingEntry, typingEntry } from "./entries.js";
import { preferredLanguage, say, useLanguage, withRegion } from "./texts.js";
import { newId, pause, Refused, Superseded, Transport } from "./transport.js";

const bot = decodeURIComponent(location.pathname.split("/").filter(Boolean)[1] ?? "");
/** @type {(id: string) => any} A part of the page, by its id: what it is, the page says. */
const part = (id) => document.getElementById(id);
const chosen = new URLSearchParams(location.search).get("lang");
const STORE = chosen ? `versaai.chat.${bot}.${chosen}` : `versaai.chat.${bot}`; // a conversation has one language
const PROMPTS = new Set(["choices", "input", "csat"]);

const sameContent = (one, other) => one.childNodes.length === other.childNodes.length
  && [...one.childNodes].every((child, place) => child.isEqualNode(other.childNodes[place]));

class Chat {
  constructor() {
    this.transport = new Transport(bot, {
      onConnection: (online) => this.showConnection(online),
      onToken: (conversation, token) => this.save({ conversation, token }),
    });
    this.reset();
  }

  reset() {
    this.entries = new Map(); // seq -> element; another conversation has another map
    this.messages = new Map(); // seq -> message
    this.pending = new Map(); // message id -> {made, input, shown}, until it stands in the transcript
    this.unanswered = new Set(); // message ids
    this.drafts = new Map(); // stream id -> {made, show, attempt, text}
    this.early = []; // live messages that wait for the typing pause of the one before
    this.arrived = new Set(); // seqs of live messages
    this.showing = false;
    this.control = null;
    this.waiting = null;
    this.status = "active";
    this.lastSeq = 0;
    this.inFlight = 0;
    this.queue = Promise.resolve();
    this.typing = null;
    part("log").replaceChildren();
    part("problem").hidden = true;
    this.dressComposer(null);
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
    useLanguage(preferredLanguage(["es", "en"], "en"));
    let config;
    try {
      config = await this.transport.config();
    } catch (error) {
      return error instanceof Refused && error.status === 404 ? this.showMissing() : this.fail(error.message);
    }
    this.config = config;
    this.wanted = preferredLanguage(config.languages, config.language);
    this.speak(this.wanted);
    part("page").classList.remove("opening");
    const { conversation, token, opening } = this.kept;
    if (conversation && token) {
      this.transport.resume(conversation, token);
      if (await this.reload()) return this.follow();
    }
    await this.openNew(opening);
    return undefined;
  }

  /** Says the page's own words in the conversation's language. */
  speak(language) {
    if (!language || language === this.language) return;
    this.language = language;
    useLanguage(language);
    document.title = this.config.name;
    part("name").textContent = this.config.name;
    part("avatar").textContent = this.config.name.trim().slice(0, 1).toUpperCase();
    part("restart-label").textContent = say("restart");
    part("restart").title = say("restart");
    part("text-label").textContent = say("message");
    part("send-label").textContent = say("send");
    part("unfold").textContent = say("writeInstead");
    part("log").setAttribute("aria-label", say("conversation"));
    this.dressComposer(null);
    this.showConnection(true);
  }

  showMissing() {
    document.title = say("missing");
    part("page").replaceChildren(element("main", { className: "missing" }, element("h1", {}, say("missing")),
      element("p", {}, say("missingText")), element("a", { className: "primary", href: `/${location.search}` }, say("allBots"))));
    part("page").classList.remove("opening");
  }

  async reload() {
    try {
      const page = await this.transport.transcript();
      page.messages.forEach((message) => this.place(message));
      this.update(page);
      for (const [id, input] of Object.entries(this.kept.unsent ?? {})) {
        if (![...this.messages.values()].some((message) => message.client_message_id === id)) this.submit(input.input, input.shown, id);
      }
      this.scroll(true, "instant");
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
    const log = this.entries;
    const kept = opening ?? { id: newId(), at: Date.now() };
    this.save({ conversation: null, token: null, unsent: {}, opening: kept });
    const language = withRegion(this.wanted);
    const input = { type: "start", language, page: { url: location.href, referrer: document.referrer } };
    if (opening?.language) input.language = opening.language;
    else this.save({ opening: { ...kept, language } });
    try {
      await this.turn(kept.id, input);
      if (log !== this.entries) return undefined;
      this.save({ opening: null });
      this.follow();
      this.focus();
    } catch (error) {
      if (log !== this.entries) return undefined;
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
    const log = this.entries;
    const made = pendingEntry(shown);
    part("log").append(made);
    this.pending.set(id, { made, input, shown });
    this.unanswered.add(id);
    this.save({ unsent: { ...(this.kept.unsent ?? {}), [id]: { input, shown } } });
    const within = this.control?.made?.contains(document.activeElement);
    this.drawControl();
    if (within) this.focus();
    this.scroll(true);
    const sent = this.queue.then(() => (log === this.entries ? this.turn(id, input) : undefined)).catch((error) => {
      if (log === this.entries) this.refuse(id, error);
    });
    // The next message leaves when this one is answered, or shortly after it left: in order, without a jam.
    this.queue = Promise.race([sent, this.queue.then(() => pause(600))]);
  }

  async turn(id, input) {
    const log = this.entries;
    this.inFlight += 1;
    const typing = setTimeout(() => { if (log === this.entries) this.showTyping(true); }, 350);
    try {
      const reply = await this.transport.send(id, input);
      if (log !== this.entries) return; // the visitor has begun another conversation
      this.settle(id);
      this.drafts.forEach((draft, stream) => this.dropDraft(stream));
      if (!reply.answered_by) this.seat(id, reply.messages.length ? reply.messages[0].seq - 0.5 : reply.last_seq);
      this.update(reply);
      reply.messages.forEach((message) => this.arrive(message));
    } finally {
      clearTimeout(typing);
      if (log === this.entries) {
        this.inFlight -= 1;
        if (!this.inFlight && !this.showing) this.showTyping(false);
      }
    }
  }

  settle(id) {
    this.unanswered.delete(id);
    this.pending.get(id)?.made.classList.remove("pending");
    const { [id]: _, ...unsent } = this.kept.unsent ?? {};
    this.save({ unsent });
  }

  refuse(id, error) {
    if (error instanceof Superseded) return;
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
    if (this.messages.has(message.seq) || this.arrived.has(message.seq)) return;
    this.arrived.add(message.seq);
    this.early.push(message);
    this.early.sort((one, other) => one.seq - other.seq);
    if (!this.showing) this.showEarly();
  }

  async showEarly() {
    const log = this.entries;
    this.showing = true;
    while (this.early.length) {
      const message = this.early.shift();
      if (message.typing_seconds > 0 && message.role === "assistant") {
        this.showTyping(true);
        await pause(Math.min(message.typing_seconds, 10) * 1000);
        if (log !== this.entries) return;
        this.showTyping(false);
      }
      try {
        this.place(message);
        this.drawControl();
      } catch (error) {
        console.error(error); // one message that can't be drawn doesn't keep the others back
      }
      this.scroll(Boolean(message.reply_to));
    }
    this.showing = false;
    if (this.inFlight) this.showTyping(true);
  }

  place(message) {
    if (this.messages.has(message.seq)) return;
    this.messages.set(message.seq, message);
    if (message.stream_id) this.dropDraft(message.stream_id);
    if (message.reply_to) this.seat(message.reply_to, message.seq - 0.5);
    let made = entry(message, (text) => this.submit({ type: "text", text }, text), this.askedBefore(message.seq));
    const own = this.pending.get(message.client_message_id)?.made;
    if (own) {
      this.pending.delete(message.client_message_id);
      own.classList.remove("pending");
      if (!made) own.remove();
      else if (!sameContent(own, made)) own.replaceChildren(...made.childNodes);
      made = made && own;
    }
    if (made) {
      this.insert(made, message.seq);
      this.entries.set(message.seq, made);
    }
  }

  /** Puts an element where its number belongs; what has none yet (being sent, being written) stays below. */
  insert(made, seq) {
    made.dataset.seq = seq;
    const others = [...part("log").children].filter((one) => one !== made);
    const next = others.find((one) => !one.dataset.seq || Number(one.dataset.seq) > seq) ?? null;
    if (!made.parentNode || made.nextElementSibling !== next) part("log").insertBefore(made, next);
  }

  /** Gives the visitor's own message, and those sent before it, their place until the transcript says it. */
  seat(id, seq) {
    if (!this.pending.has(id)) return;
    for (const [one, { made }] of this.pending) {
      if (!made.dataset.seq || Number(made.dataset.seq) > seq) this.insert(made, seq);
      if (one === id) return;
    }
  }

  /** The content of the newest question before a message. */
  askedBefore(seq) {
    for (let one = seq - 1; one > 0; one -= 1) {
      const message = this.messages.get(one);
      if (message && PROMPTS.has(message.content.type)) return message.content;
    }
    return null;
  }

  update(state) {
    if (state.last_seq < this.lastSeq) return; // an older state, told late
    this.lastSeq = state.last_seq ?? this.lastSeq;
    this.speak(state.language);
    if (state.status && state.status !== "processing") this.status = state.status;
    if ("waiting" in state) this.waiting = state.waiting;
    const ended = this.status === "ended";
    part("text").disabled = ended;
    part("send").disabled = ended;
    part("log").querySelector(".over")?.remove();
    if (ended) {
      part("log").append(element("div", { className: "entry system over" }, element("p", { className: "hint" }, say("ended")),
        element("button", { type: "button", className: "primary", onclick: () => this.openNew(null) }, say("again"))));
      part("log").lastChild.dataset.seq = Number.MAX_SAFE_INTEGER;
      this.dressComposer(null);
    }
    this.drawControl();
    this.scroll();
  }

  /** Puts the control under the question that is open now, and takes it from one that isn't any more. */
  drawControl() {
    const open = this.openPrompt();
    if (open && this.control?.seq === open) return;
    this.control?.made?.remove();
    this.control = null;
    if (!open) {
      this.dressComposer(null, this.unanswered.size > 0);
      return;
    }
    const control = controlFor(this.messages.get(open), {
      answer: (input, shown) => this.submit(input, shown),
      upload: (file) => this.transport.upload(file),
    });
    this.control = { seq: open, made: control.made };
    if (control.made) this.entries.get(open)?.append(control.made);
    this.dressComposer(control);
  }

  /** The seq of the question that the visitor may answer now. */
  openPrompt() {
    if (this.status === "ended" || this.unanswered.size) return null;
    const prompt = this.waiting?.prompt;
    return prompt && this.messages.has(prompt) ? prompt : null;
  }

  /** Makes the composer the field of the open question, or folds it where the question has a field of its own. */
  dressComposer(control, keepFolded = false) {
    const text = part("text");
    const hints = control?.hints;
    text.placeholder = this.status === "ended" ? say("ended") : hints?.placeholder ?? say("write");
    text.inputMode = hints?.keyboard ?? "text";
    text.setAttribute("autocomplete", hints?.automatic ?? "off");
    const most = this.config?.limits.max_text ?? 8000;
    text.maxLength = Math.min(hints?.longest ?? most, most);
    const folded = Boolean(control?.folded) && !text.value;
    if (!keepFolded) part("composer").classList.toggle("folded", folded);
  }

  unfold() {
    part("composer").classList.remove("folded");
    part("text").focus();
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

  /** Puts the cursor where one answers, unless that would bring up a keyboard over the screen. */
  focus() {
    if (matchMedia("(pointer: fine)").matches) part("text").focus({ preventScroll: true });
  }

  fail(text, milliseconds) {
    part("problem").textContent = text;
    part("problem").hidden = false;
    if (milliseconds) setTimeout(() => { part("problem").hidden = true; }, milliseconds);
  }

  /** @param {boolean} always @param {ScrollBehavior} behavior */
  scroll(always = false, behavior = "smooth") {
    const log = part("log");
    const near = log.scrollHeight - log.scrollTop - log.clientHeight < 400;
    if (near || always) requestAnimationFrame(() => log.scrollTo({ top: log.scrollHeight, behavior }));
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
part("unfold").addEventListener("click", () => chat.unfold());
chat.begin();
