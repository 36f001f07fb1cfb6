// One stream for all tabs of a browser: a browser opens six connections to a host, and no more.
const ports = new Set();
let source = null;
const query = new URL(self.location.href).search.slice(1);

function tell(message) {
  for (const port of ports) port.postMessage(message);
}

function open(since) {
  if (source && source.readyState !== EventSource.CLOSED) return;
  source = new EventSource(`/api/v1/stream?since=${since}${query ? "&" + query : ""}`);
  for (const kind of ["facts", "kinds", "rates", "panel", "happened", "reset", "link", "bye"]) {
    source.addEventListener(kind, (event) => tell({ kind, data: event.data, sequence: Number(event.lastEventId.split(".")[2]) }));
  }
  source.onopen = () => tell({ kind: "opened" });
  source.onerror = () => tell({ kind: "broken", isClosed: source.readyState === EventSource.CLOSED });
}

function take(port) {
  ports.add(port);
  port.onmessage = ({ data }) => {
    if (data.open) open(data.open);
    if (data.leave) {
      ports.delete(port);
      if (!ports.size && source) { source.close(); source = null; }
    }
  };
}

self.onconnect = (event) => take(event.ports[0]);
