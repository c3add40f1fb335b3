// The binder's page: who is registered, where, and for how long.

import { byId, make, translate } from "./dom.js";
import { call } from "./rpc.js";
import { sanitized } from "./sanitize.js";

const REFRESH = 5000;

const ENGLISH = {
  title: "Chat servers",
  intro: "Choose one to chat. This list keeps itself up to date.",
  none: "No chat server is registered here at the moment.",
  others: "Others",
  lease: (n) => `registered for ${n} s more, and renewed while it runs`,
  forever: "stays until it is replaced",
  near: "can be reached only from the machine that it runs on",
  group: (name) => `group ${name}`,
  procedures: (n) => (n === 1 ? "1 procedure" : `${n} procedures`),
  lost: "The binder cannot be reached. Trying again…",
};

const PORTUGUESE = {
  title: "Servidores de chat",
  intro: "Escolha um para conversar. Esta lista se atualiza sozinha.",
  none: "Nenhum servidor de chat está registrado aqui no momento.",
  others: "Outros",
  lease: (n) => `registrado por mais ${n} s e renovado enquanto estiver em execução`,
  forever: "fica até ser substituído",
  near: "só pode ser acessado da própria máquina",
  group: (name) => `grupo ${name}`,
  procedures: (n) => (n === 1 ? "1 procedimento" : `${n} procedimentos`),
  lost: "Não foi possível falar com o binder. Tentando de novo…",
};

const locale = navigator.languages.find((tag) => /^(en|pt)\b/i.test(tag)) ?? "en";
const words = /^pt/i.test(locale) ? PORTUGUESE : ENGLISH;
document.documentElement.lang = locale;
document.title = words.title;
translate(words);

const isLoopback = (host) => /^(localhost|127\.[\d.]+|\[?::1\]?)$/i.test(host);

/** The address of a server's page, if its host can be one and can be reached from here. */
function pageOf({ host, port }) {
  if (!/^[\w.:-]+$/.test(host) || (isLoopback(host) && !isLoopback(location.hostname))) {
    return undefined;
  }
  const name = host.includes(":") ? `[${host}]` : host;
  try {
    return new URL(`${location.protocol}//${name}:${port}/`).href;
  } catch {
    return undefined;
  }
}

/** One entry for each instance, and for each address that registered without a lease. */
function grouped(offers) {
  const servers = new Map();
  for (const { name, address, port, instance, lease_remaining: lease, group } of offers) {
    const key = instance ?? `${address} ${port}`;
    const server = servers.get(key) ?? { key, host: address, port, lease, group, names: [] };
    server.names.push(name);
    servers.set(key, server);
  }
  return [...servers.values()].sort((one, other) => one.host.localeCompare(other.host) || one.port - other.port);
}

const isChat = ({ names }) => names.includes("join_room") && names.includes("send_message");

function item(server, isOpen) {
  const { host, port, lease, group, names } = server;
  const where = sanitized(`${host.includes(":") ? `[${host}]` : host}:${port}`);
  const href = isChat(server) ? pageOf(server) : undefined;
  const about = [
    group && words.group(sanitized(group)),
    lease === null ? words.forever : words.lease(lease),
    isChat(server) && !href && words.near,
  ].filter(Boolean);
  const all = names.sort().map((name) => make("li", {}, make("bdi", {}, sanitized(name))));
  const procedures = make("summary", {}, words.procedures(names.length));
  return Object.assign(
    make(
      "li",
      { class: "server" },
      href ? make("a", { class: "where", href }, make("bdi", {}, where)) : make("bdi", { class: "where" }, where),
      make("small", {}, make("bdi", {}, about.join(" · "))),
      make("details", { open: isOpen }, procedures, make("ul", {}, ...all)),
    ),
    { key: server.key },
  );
}

function show(list, servers) {
  const open = new Set(Array.from(list.children, (old) => old.querySelector("details").open && old.key));
  const focused = document.activeElement;
  const key = list.contains(focused) && focused.closest(".server").key;
  list.replaceChildren(...servers.map((server) => item(server, open.has(server.key))));
  const again = Array.from(list.children).find((shown) => key && shown.key === key);
  again?.querySelector(focused.tagName)?.focus();
}

async function refresh() {
  if (document.hidden) {
    return;
  }
  try {
    const servers = grouped(await call("list_procedures"));
    const chats = servers.filter(isChat);
    const others = servers.filter((server) => !isChat(server));
    show(byId("servers"), chats);
    show(byId("services"), others);
    byId("none").hidden = chats.length > 0;
    byId("others").hidden = others.length === 0;
    byId("trouble").textContent = "";
  } catch {
    byId("trouble").textContent = words.lost;
  }
}

refresh();
setInterval(refresh, REFRESH);
document.addEventListener("visibilitychange", refresh);
