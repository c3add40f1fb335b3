// XML-RPC as everybody speaks it: calls by POST, to the server that the page came from.

const CALL_TIMEOUT = 20_000;

/** A refusal by the server, with the code that the wire contract gives it. */
export class Fault extends Error {
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

/** Where a secret makes a difference: HTTP Basic credentials (RFC 7617). */
export function authorization({ name, secret }) {
  const bytes = new TextEncoder().encode(`${name}:${secret}`);
  return { Authorization: `Basic ${btoa(String.fromCharCode(...bytes))}` };
}

/** Calls a procedure. Throws a [Fault] if the server refuses, and another error if there is no telling what became of it. */
export async function call(method, params = [], headers = {}) {
  const body = `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${params
    .map((param) => `<param>${written(param)}</param>`)
    .join("")}</params></methodCall>`;
  const response = await fetch("RPC2", {
    method: "POST",
    headers: { "Content-Type": "text/xml", ...headers },
    body,
    signal: AbortSignal.timeout(CALL_TIMEOUT),
  });
  if (response.status === 413) {
    throw new Fault(8, (await response.text()).trim());
  }
  if (!response.ok) {
    throw new Error(`HTTP ${response.status}`);
  }
  const root = parsed(await response.text());
  const value = read(root.querySelector("value"));
  if (root.firstElementChild.tagName === "fault") {
    throw new Fault(value.faultCode, value.faultString);
  }
  return value;
}

/** Makes many calls in few requests; what is refused is `undefined` in the result. */
export async function callAll(method, all) {
  const results = [];
  for (let at = 0; at < all.length; at += 50) {
    const calls = all.slice(at, at + 50).map((params) => ({ methodName: method, params }));
    const answers = await call("system.multicall", [calls]);
    results.push(...answers.map((answer) => (Array.isArray(answer) ? answer[0] : undefined)));
  }
  return results;
}

/** Reads one `<value>`, as the data of an event is. */
export function readText(text) {
  return read(parsed(text));
}

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;" };

function written(value) {
  let xml;
  if (typeof value === "number") {
    xml = `<int>${value}</int>`;
  } else if (Array.isArray(value)) {
    xml = `<array><data>${value.map(written).join("")}</data></array>`;
  } else if (typeof value === "object") {
    const members = Object.entries(value).map(([name, member]) => `<member><name>${name}</name>${written(member)}</member>`);
    xml = `<struct>${members.join("")}</struct>`;
  } else {
    xml = `<string>${value.replace(/[&<>\r]/g, (c) => ESCAPES[c])}</string>`;
  }
  return `<value>${xml}</value>`;
}

// The page may make no markup of a text. This is the one exception: a document that is only read, and never shown.
const policy = window.trustedTypes?.createPolicy("xml-rpc", { createHTML: (text) => text });

function parsed(text) {
  const tree = new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, "text/xml");
  if (tree.querySelector("parsererror")) {
    throw new Error("not XML");
  }
  return tree.documentElement;
}

function read(value) {
  const typed = value.firstElementChild;
  switch (typed?.tagName) {
    case undefined:
      return value.textContent;
    case "int":
    case "i4":
    case "i8":
    case "double":
      return Number(typed.textContent);
    case "boolean":
      return typed.textContent === "1";
    case "nil":
      return null;
    case "array":
      return Array.from(typed.firstElementChild.children, read);
    case "struct":
      return Object.fromEntries(
        Array.from(typed.children, (member) => [member.firstElementChild.textContent, read(member.lastElementChild)]),
      );
    default:
      return typed.textContent;
  }
}
