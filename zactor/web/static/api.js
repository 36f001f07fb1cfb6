// Requests to the server, and the login by a link.
const JSON_HEADERS = { "Content-Type": "application/json", "X-Zactor": "1" };

export class Refused extends Error {
  constructor(status, body) {
    super(body.message || `the server says ${status}`);
    this.status = status;
    this.kind = body.error || "";
  }
}

async function answered(response) {
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body);
  return body;
}

export async function get(path) {
  return answered(await fetch(path, { headers: { Accept: "application/json" }, cache: "no-store" }));
}

export async function post(path, body) {
  return answered(await fetch(path, { method: "POST", headers: JSON_HEADERS, body: JSON.stringify(body) }));
}

const AGAIN_MS = 300;
const UNDER_WAY_MS = 60_000;

// A repeat under the same id does no harm, so a line that broke off is said once more, and again
// while it is under way.
export async function run(line) {
  const id = Array.from(crypto.getRandomValues(new Uint8Array(12)), (n) => n.toString(16).padStart(2, "0")).join("");
  const path = `/api/v1/do?id=${id}`;
  try {
    return await post(path, { line });
  } catch (error) {
    if (error instanceof Refused) throw error;
  }
  for (const end = Date.now() + UNDER_WAY_MS; ; ) {
    try {
      return await post(path, { line });
    } catch (error) {
      if (error.kind !== "UnderWay" || Date.now() > end) throw error;
    }
    await new Promise((done) => setTimeout(done, AGAIN_MS));
  }
}

export const press = (actor, button, value) =>
  post(`/api/v1/panel/${encodeURIComponent(actor)}`, value === undefined ? { button } : { button, value });

// The key stands in the fragment, which no server's log and no other page ever sees.
export async function logIn() {
  const found = /^#key=([\w-]+)$/.exec(location.hash);
  if (!found) return;
  history.replaceState(null, "", location.pathname + location.search);
  await post("/api/v1/login", { key: found[1] });
}
