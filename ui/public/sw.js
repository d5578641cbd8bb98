// Keeps the page itself, never its data: while the server restarts, every page still opens and says that it waits. Addresses of
// the API pass by untouched. Files under /assets/ carry a hash of their content, so what is kept of them is always right.
const SHELL = 'mainstay-shell-1';
const MOST = 400;

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(['/', '/theme.js', '/favicon.svg'])));
  self.skipWaiting();
});

self.addEventListener('activate', (event) => {
  const old = caches.keys().then((names) => Promise.all(names.filter((n) => n !== SHELL).map((n) => caches.delete(n))));
  event.waitUntil(old.then(() => self.clients.claim()));
});

async function asset(request) {
  const cache = await caches.open(SHELL);
  const kept = await cache.match(request);
  if (kept) return kept;
  const answer = await fetch(request);
  if (answer.ok) {
    await cache.put(request, answer.clone());
    const keys = (await cache.keys()).filter((key) => new URL(key.url).pathname.startsWith('/assets/'));
    await Promise.all(keys.slice(0, Math.max(0, keys.length - MOST)).map((key) => cache.delete(key)));
  }
  return answer;
}

// The newest page wins; the one that is kept is for when there is none, or only a proxy that says so.
async function page(request) {
  const cache = await caches.open(SHELL);
  try {
    const answer = await fetch(request);
    if (answer.ok && (answer.headers.get('content-type') ?? '').startsWith('text/html')) {
      await cache.put('/', answer.clone());
    }
    if (![502, 503, 504].includes(answer.status)) return answer;
    return (await cache.match('/')) ?? answer;
  } catch (error) {
    const kept = await cache.match('/');
    if (kept) return kept;
    throw error;
  }
}

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== self.location.origin) return;
  if (/^\/(api|prometheus|docs|dist)\//.test(url.pathname) || url.pathname === '/join.sh') return;
  if (url.pathname.startsWith('/assets/') || ['/theme.js', '/favicon.svg'].includes(url.pathname)) {
    event.respondWith(asset(request));
  } else if (request.mode === 'navigate') {
    event.respondWith(page(request));
  }
});
