// Where the links of account e-mails lead: confirm an address, choose a password, accept an invitation.
// The token is in the fragment, which is not sent to any server and is taken out of the address at once.

import { element } from "./dom.js";

const TEXTS = {
  es: {
    verifyTitle: "Confirmar tu correo", verified: "Tu dirección está confirmada. Ya puedes entrar.",
    resetTitle: "Contraseña nueva", reset: "Elige una contraseña nueva.", done: "Hecho. Entra con la contraseña nueva.",
    askTitle: "¿Has olvidado la contraseña?", ask: "Te enviaremos un enlace.", sent: "Si hay una cuenta con esa dirección, el enlace está en camino.",
    inviteTitle: "Invitación", offer: (it) => `${it.organization} te invita (${it.email}).`, joined: "Hecho. Ya puedes entrar.",
    email: "Correo", password: "Contraseña", first: "Nombre", last: "Apellidos", code: "Código (si lo usas)", send: "Enviar", save: "Guardar", accept: "Aceptar",
    missing: "Falta el enlace del correo.", offline: "El servidor no responde. Inténtalo otra vez.",
  },
  en: {
    verifyTitle: "Confirm your e-mail", verified: "Your address is confirmed. You can sign in now.",
    resetTitle: "New password", reset: "Choose a new password.", done: "Done. Sign in with the new password.",
    askTitle: "Forgotten your password?", ask: "We will send you a link.", sent: "If there is an account with that address, the link is on its way.",
    inviteTitle: "Invitation", offer: (it) => `${it.organization} invites you (${it.email}).`, joined: "Done. You can sign in now.",
    email: "E-mail", password: "Password", first: "First name", last: "Last name", code: "Code (if you use one)", send: "Send", save: "Save", accept: "Accept",
    missing: "The link of the e-mail is missing.", offline: "The server does not answer. Try again.",
  },
};
const language = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in TEXTS) ?? "en";
const text = TEXTS[language];
const part = (id) => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);
document.documentElement.lang = language;

async function call(method, path, body, bearer) {
  const headers = { "Accept-Language": language };
  if (body) headers["Content-Type"] = "application/json";
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  let response;
  try {
    response = await fetch(`/api/v1${path}`, { method, headers, cache: "no-store", credentials: "omit", body: body && JSON.stringify(body) });
  } catch {
    throw new Error(text.offline);
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.detail ?? text.offline);
  return answer;
}

function tell(message, trouble = false) {
  part("lead").textContent = message;
  part("lead").classList.toggle("trouble", trouble);
}

function entitle(title) {
  document.title = title;
  part("title").textContent = title;
}

function ask(fields, label, act) {
  const inputs = fields.map(([name, type, autocomplete, needed]) =>
    element("input", { name, type, autocomplete, ...(needed ? { required: "" } : {}) }));
  const button = element("button", { type: "submit" }, label);
  const form = /** @type {HTMLFormElement} */ (part("form"));
  form.replaceChildren(...inputs.map((input) => element("label", {}, text[input.name], input)), button);
  form.hidden = false;
  form.onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      tell(await act(Object.fromEntries(new FormData(form))));
      form.hidden = true;
    } catch (error) {
      tell(error.message, true);
      button.disabled = false;
    }
  };
}

const PAGES = {
  async "/verify-email"() {
    entitle(text.verifyTitle);
    await call("GET", `/auth/verify-email?token=${encodeURIComponent(token)}`);
    tell(text.verified);
  },
  "/reset-password"() {
    if (!token) {
      entitle(text.askTitle);
      tell(text.ask);
      ask([["email", "email", "email", true]], text.send, async (given) => {
        await call("POST", "/auth/forgot-password", given);
        return text.sent;
      });
      return;
    }
    entitle(text.resetTitle);
    tell(text.reset);
    ask([["password", "password", "new-password", true]], text.save, async (given) => {
      await call("POST", "/auth/reset-password", { token, ...given });
      return text.done;
    });
  },
  async "/invitation"() {
    entitle(text.inviteTitle);
    const offer = await call("GET", `/invitations/${encodeURIComponent(token)}`);
    tell(text.offer(offer));
    const email = offer.email;
    if (offer.has_account) {
      ask([["password", "password", "current-password", true], ["code", "text", "one-time-code", false]], text.accept, async ({ password, code }) => {
        const session = await call("POST", "/auth/login", { email, password, ...(code ? { code } : {}) });
        try {
          await call("POST", "/invitations/accept", { token }, session.access_token);
        } finally {
          await fetch("/api/v1/auth/logout", { method: "POST", headers: { Authorization: `Bearer ${session.access_token}` } });
        }
        return text.joined;
      });
      return;
    }
    ask([["first", "text", "given-name", true], ["last", "text", "family-name", true], ["password", "password", "new-password", true]], text.accept, async ({ first, last, password }) => {
      await call("POST", "/auth/register", { email, password, first_name: first, last_name: last, invitation: token, language });
      return text.joined;
    });
  },
};

try {
  if (!token && location.pathname !== "/reset-password") throw new Error(text.missing);
  await PAGES[location.pathname]();
} catch (error) {
  tell(error.message, true);
}
