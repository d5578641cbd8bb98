/** What makes every page open while the server is away: its code is loaded ahead, and the page itself is kept by a worker. */

type Load = () => Promise<unknown>;

function idle(then: () => void) {
  // Not every browser has it.
  const request = (window as { requestIdleCallback?: typeof window.requestIdleCallback }).requestIdleCallback;
  if (request) request(then, { timeout: 10_000 });
  else window.setTimeout(then, 2000);
}

function savesData(): boolean {
  const connection = (navigator as Navigator & { connection?: { saveData?: boolean } }).connection;
  return connection?.saveData === true;
}

/** Loads the code of the other pages once the first one is there, one after the other so that nothing waits behind it. */
export function loadAhead(loads: Load[]) {
  if (savesData()) return;
  idle(async () => {
    for (const load of loads) await load().catch(() => undefined);
    document.documentElement.dataset.pages = 'loaded';
  });
}

/** Only over HTTPS or on the machine itself; elsewhere browsers have no workers, and what was loaded ahead must do. */
export function keepPage() {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  void navigator.serviceWorker.register('/sw.js').catch(() => undefined);
}
