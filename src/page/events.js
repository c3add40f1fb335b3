// The format `text/event-stream` (WHATWG HTML, section "Server-sent events"). EventSource cannot carry credentials, so the page
// reads the stream by itself.

/** Takes a stream apart as it comes, and hands each event to `dispatch`. */
export class EventParser {
  constructor(dispatch) {
    this.dispatch = dispatch;
    this.rest = "";
    this.afterReturn = false;
    this.lastId = "";
    this.reset();
  }

  reset() {
    this.type = "";
    this.data = [];
  }

  push(text) {
    // A line feed that belongs to the carriage return before it.
    const start = this.afterReturn && text.startsWith("\n") ? 1 : 0;
    if (text) {
      this.afterReturn = text.endsWith("\r");
    }
    const lines = (this.rest + text.slice(start)).split(/\r\n|\n|\r/);
    this.rest = lines.pop();
    for (const line of lines) {
      this.line(line);
    }
  }

  line(line) {
    if (line === "") {
      if (this.data.length > 0) {
        this.dispatch({ type: this.type || "message", data: this.data.join("\n"), id: this.lastId });
      }
      this.reset();
      return;
    }
    const [, field, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line);
    if (field === "event") {
      this.type = value;
    } else if (field === "data") {
      this.data.push(value);
    } else if (field === "id" && !value.includes("\0")) {
      this.lastId = value;
    }
  }
}
