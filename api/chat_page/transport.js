// Talks to the API: each message carries an id made here and is repeated under it until it is answered.

const PATIENCE = 45_000;
const LONGEST_PAUSE = 8_000;

export class Refused extends Error {
  constructor(problem) {
    super(problem.detail || problem.title || "error");
    this.problem = problem;
    this.kind = String(problem.type || "").split(/[/:]/).pop();
    this.status = problem.status;
  }
}

/** The page has turned to another conversation meanwhile. */
export class Superseded extends Refused {
  constructor() {
    super({ type: "superseded", status: 0 });
  }
}

export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class Transport {
  constructor(bot, { onConnection, onToken }) {
    this.root = `/api/v1/widget/${encodeURIComponent(bot)}`;
    this.onConnection = onConnection;
    this.onToken = onToken;
    this.conversation = null;
    this.token = null;
    this.stream = null;
    this.turns = 0; // how often the page has turned to another conversation
  }

  resume(conversation, token) {
    this.turns += 1;
    this.conversation = conversation;
    this.token = token;
  }

  headers() {
    return this.token ? { Authorization: `Bearer ${this.token}` } : {};
  }

  async read(path, signal) {
    const response = await fetch(this.root + path, { headers: this.headers(), signal, cache: "no-store" });
    const body = await response.json().catch(() => ({}));
    if (!response.ok) throw new Refused({ status: response.status, ...body });
    return body;
  }

  config() {
    return this.patiently(() => this.read("/config"));
  }

  async transcript(after = 0) {
    const all = [];
    let page;
    do {
      page = await this.patiently(() => this.read(`/conversations/${this.conversation}/messages?after=${after}&limit=200`));
      all.push(...page.messages);
      after = page.messages.at(-1)?.seq ?? after;
    } while (page.has_more);
    return { ...page, messages: all };
  }

  /** Repeats what fails in passing: no connection, 429, 5xx. Everything else is thrown. */
  async patiently(call) {
    for (let wait = 400; ; wait = Math.min(wait * 2, LONGEST_PAUSE)) {
      try {
        const result = await call();
        this.onConnection(true);
        return result;
      } catch (error) {
        const passing = !(error instanceof Refused) || error.status === 429 || error.status >= 500;
        if (!passing) throw error;
        this.onConnection(error instanceof Refused && error.status === 429);
        const asked = error instanceof Refused ? (error.problem.retry_after ?? 0) * 1000 : 0;
        await pause(Math.max(wait, asked) * (0.8 + Math.random() * 0.4));
      }
    }
  }

  /**
   * Sends one input until it is answered; the same id gives the same answer however often it is sent.
   * What belongs to one conversation is never sent to another: then it ends as Superseded.
   */
  async send(messageId, input) {
    const { turns } = this;
    const here = () => {
      if (turns !== this.turns) throw new Superseded();
    };
    for (;;) {
      const reply = await this.patiently(() => {
        here();
        return this.post(messageId, input);
      });
      here();
      this.conversation = reply.conversation_id;
      if (reply.token) {
        this.token = reply.token;
        this.onToken(reply.conversation_id, reply.token);
      }
      if (reply.status !== "processing") return reply;
      await pause(reply.retry_after_ms ?? 2000);
    }
  }

  async post(messageId, input) {
    const body = { message_id: messageId, input };
    if (this.conversation) body.conversation_id = this.conversation;
    const response = await fetch(`${this.root}/chat`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...this.headers() },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE),
    });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Refused({ status: response.status, ...answer });
    return answer;
  }

  async upload(file) {
    const form = new FormData();
    form.append("conversation_id", this.conversation);
    form.append("file", file, file.name || "file");
    const response = await fetch(`${this.root}/files`, { method: "POST", headers: this.headers(), body: form });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Refused({ status: response.status, ...answer });
    return answer;
  }

  /** Follows the conversation's events for ever; `cursor()` gives the number to go on from. */
  async follow(cursor, onEvent) {
    this.stream?.abort();
    const control = new AbortController();
    this.stream = control;
    let wait = 500;
    while (!control.signal.aborted) {
      try {
        const response = await fetch(`${this.root}/conversations/${this.conversation}/events?after=${cursor()}`, {
          headers: { Accept: "text/event-stream", ...this.headers() }, signal: control.signal, cache: "no-store",
        });
        if (response.status === 401 || response.status === 403 || response.status === 404 || response.status === 410) return;
        if (!response.ok || !response.body) throw new Error(`events: ${response.status}`);
        this.onConnection(true);
        wait = 500;
        await readEvents(response.body, onEvent);
      } catch {
        if (control.signal.aborted) return;
        this.onConnection(false);
      }
      await pause(wait * (0.8 + Math.random() * 0.4));
      wait = Math.min(wait * 2, LONGEST_PAUSE);
    }
  }

  stop() {
    this.stream?.abort();
    this.stream = null;
  }
}

async function readEvents(body, onEvent) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value.replace(/\r\n?/g, "\n");
    let end;
    while ((end = buffer.indexOf("\n\n")) >= 0) {
      const block = buffer.slice(0, end);
      buffer = buffer.slice(end + 2);
      let name = "message";
      const data = [];
      for (const line of block.split("\n")) {
        if (line.startsWith("event:")) name = line.slice(6).trim();
        else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
      }
      if (data.length) onEvent(name, JSON.parse(data.join("\n")));
    }
  }
}
