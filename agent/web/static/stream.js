// A stream of pictures, each with what was found in it: multipart/x-mixed-replace, read part by part.

const PAUSE_MS = 2000;

// Calls act(picture, scene) for each part; who is too slow gets fewer. Returns what ends it.
export function watch(url, act) {
  const ending = new AbortController();
  const again = async () => {
    while (!ending.signal.aborted) {
      try {
        const answer = await fetch(url, { signal: ending.signal });
        if (answer.ok) await parts(answer.body.getReader(), act);
      } catch { /* the agent was stopped, or the network is gone: it is tried again */ }
      await new Promise((over) => setTimeout(over, PAUSE_MS));
    }
  };
  again();
  return () => ending.abort();
}

async function parts(reader, act) {
  let bytes = new Uint8Array(0);
  const more = async () => {
    const { done, value } = await reader.read();
    if (done) throw new Error("it ended");
    const joined = new Uint8Array(bytes.length + value.length);
    joined.set(bytes);
    joined.set(value, bytes.length);
    bytes = joined;
  };
  for (;;) {
    let end;
    while ((end = blank(bytes)) < 0) await more();
    const head = new TextDecoder().decode(bytes.subarray(0, end));
    const length = Number(/^Content-Length: (\d+)/m.exec(head)[1]), scene = /^X-Scene: (.*)/m.exec(head);
    while (bytes.length < end + 4 + length) await more();
    const picture = await createImageBitmap(new Blob([bytes.subarray(end + 4, end + 4 + length)], { type: "image/jpeg" }));
    bytes = bytes.slice(end + 4 + length);
    act(picture, JSON.parse(scene[1]));
  }
}

// Where a part's headers end: the first empty line.
function blank(bytes) {
  for (let i = 0; i + 3 < bytes.length; i += 1) if (bytes[i] === 13 && bytes[i + 1] === 10 && bytes[i + 2] === 13 && bytes[i + 3] === 10) return i;
  return -1;
}
