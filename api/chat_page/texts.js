// The page's own words. The bot's words come from the flow.

const TEXTS = {
  es: {
    online: "En línea", offline: "Fuera de servicio", restart: "Conversación nueva", write: "Escribe un mensaje…",
    message: "Mensaje", send: "Enviar", reconnecting: "Sin conexión. Tus mensajes se enviarán al volver.",
    ended: "La conversación ha terminado.", again: "Empezar otra", typing: "Escribiendo", skip: "Omitir",
    search: "Buscar opción", choose: "Elige {min} o más", chooseMax: "Elige hasta {max}", from: "Desde", to: "Hasta",
    comment: "Comentario (opcional)", accept: "Acepto", decline: "No acepto", upload: "Elegir archivo",
    uploading: "Subiendo…", tooLarge: "El archivo es demasiado grande (máximo {size}).", sign: "Firma aquí con el dedo o el ratón",
    clear: "Borrar", unsent: "No se pudo enviar", retry: "Reintentar", missing: "Este bot no existe", missingText: "No hay ningún bot en esta dirección, o no está publicado.", allBots: "Ver todos los bots",
    writeInstead: "Responder escribiendo", write_email: "Escribe tu correo…", write_phone: "Escribe tu teléfono…",
    write_number: "Escribe un número…", write_url: "Escribe una dirección web…", write_date: "Escribe una fecha…", write_time: "Escribe una hora…",
    agent_joined: "Se ha unido una persona del equipo", agent_left: "La persona del equipo ha salido",
    waiting_for_agent: "Esperando a una persona del equipo", agent_timeout: "Nadie del equipo está disponible ahora",
    closed: "La conversación se ha cerrado", inactive: "La conversación terminó por inactividad",
    stuck: "Algo ha fallado; el equipo está avisado", resumed: "La conversación continúa", conversation: "Conversación",
    rate: "{n} de {max}", noMatch: "Ninguna opción coincide", sentFiles: "Archivos enviados", tooMany: "Como máximo {max} archivos.",
    home: "Bots", homeText: "Elige un bot y habla con él. Cada conversación es un proceso durable: puedes cerrar esta página, o apagar cualquier parte de la plataforma, y continuar donde estabas.",
    noBots: "Aún no hay bots publicados.", docs: "Documentación de la API", temporal: "Interfaz de Temporal",
  },
  en: {
    online: "Online", offline: "Out of service", restart: "New conversation", write: "Write a message…",
    message: "Message", send: "Send", reconnecting: "No connection. Your messages will be sent when it is back.",
    ended: "The conversation has ended.", again: "Start another", typing: "Typing", skip: "Skip",
    search: "Search options", choose: "Choose {min} or more", chooseMax: "Choose up to {max}", from: "From", to: "To",
    comment: "Comment (optional)", accept: "I agree", decline: "I don't agree", upload: "Choose a file",
    uploading: "Uploading…", tooLarge: "The file is too large (at most {size}).", sign: "Sign here with your finger or mouse",
    clear: "Clear", unsent: "Could not be sent", retry: "Try again", missing: "There is no such bot", missingText: "No bot lives at this address, or it is not published.", allBots: "See all bots",
    writeInstead: "Answer in writing", write_email: "Write your e-mail…", write_phone: "Write your phone number…",
    write_number: "Write a number…", write_url: "Write a web address…", write_date: "Write a date…", write_time: "Write a time…",
    agent_joined: "A member of the team has joined", agent_left: "The member of the team has left",
    waiting_for_agent: "Waiting for a member of the team", agent_timeout: "Nobody of the team is available now",
    closed: "The conversation was closed", inactive: "The conversation ended for lack of activity",
    stuck: "Something failed; the team has been told", resumed: "The conversation goes on", conversation: "Conversation",
    rate: "{n} of {max}", noMatch: "No option matches", sentFiles: "Files sent", tooMany: "At most {max} files.",
    home: "Bots", homeText: "Choose a bot and talk to it. Each conversation is a durable process: close this page, or stop any part of the platform, and go on where you were.",
    noBots: "No bot is published yet.", docs: "API documentation", temporal: "Temporal UI",
  },
};

let current = TEXTS.es;

export function useLanguage(language) {
  const known = String(language || "").toLowerCase().startsWith("en") ? "en" : "es";
  current = TEXTS[known];
  document.documentElement.lang = known;
  return known;
}

/** The page's language now. */
export const language = () => document.documentElement.lang;

export function say(key, values = {}) {
  return (current[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** The language with the browser's region, by which days and numbers are read: `en` as `en-US`. */
export function withRegion(language) {
  return navigator.languages.find((tag) => tag.toLowerCase().split("-")[0] === language.toLowerCase()) ?? language;
}

/** The language to use: `?lang=`, else the browser's if the bot has it, else the bot's own. */
export function preferredLanguage(languages, fallback) {
  const wanted = [new URLSearchParams(location.search).get("lang"), ...navigator.languages].filter(Boolean);
  for (const tag of wanted) {
    const base = tag.toLowerCase().split("-")[0];
    const match = languages.find((one) => one.toLowerCase() === tag.toLowerCase())
      ?? languages.find((one) => one.toLowerCase().split("-")[0] === base);
    if (match) return match;
  }
  return fallback;
}
