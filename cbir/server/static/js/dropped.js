// Images that were dropped, pasted or chosen stay in this browser, so that a link or a reload finds
// them again. The server keeps none of them.

const STORE = "images";
const KEPT = 60;
const memory = new Map();

/** Keep a file; the reference under which it is found again. */
export async function keep(file) {
  // Random, not a hash: browsers hash only where the page came over https or from this machine.
  const digits = crypto.getRandomValues(new Uint8Array(16));
  const reference = `upload:${[...digits].map((d) => d.toString(16).padStart(2, "0")).join("")}`;
  memory.set(reference, file);
  try {
    await write(reference, file);
  } catch (error) {
    console.info("kept until the page is left:", error); // private windows have no storage
  }
  return reference;
}

/** The file behind a reference, or null when this browser has it no more. */
export async function get(reference) {
  if (memory.has(reference)) return memory.get(reference);
  try {
    const found = await read(reference);
    if (found) memory.set(reference, found);
    return found;
  } catch {
    return null;
  }
}

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("cbir", 1);
    request.onupgradeneeded = () => {
      const store = request.result.createObjectStore(STORE, { keyPath: "reference" });
      store.createIndex("kept", "kept");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function write(reference, file) {
  const database = await open();
  await new Promise((resolve, reject) => {
    const transaction = database.transaction(STORE, "readwrite");
    const store = transaction.objectStore(STORE);
    store.put({ reference, file, kept: Date.now() });
    const counted = store.count();
    counted.onsuccess = () => {
      let surplus = counted.result - KEPT;
      if (surplus <= 0) return;
      store.index("kept").openCursor().onsuccess = ({ target }) => {
        if (!target.result || surplus-- <= 0) return;
        target.result.delete();
        target.result.continue();
      };
    };
    transaction.oncomplete = resolve;
    transaction.onerror = () => reject(transaction.error);
  });
  database.close();
}

async function read(reference) {
  const database = await open();
  const found = await new Promise((resolve, reject) => {
    const request = database.transaction(STORE).objectStore(STORE).get(reference);
    request.onsuccess = () => resolve(request.result?.file ?? null);
    request.onerror = () => reject(request.error);
  });
  database.close();
  return found;
}
