/** Answers the API during development from made-up data, without a server. Never part of the build. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Connect, Plugin } from 'vite';
import { answer } from './answer.ts';
import { stream } from './stream.ts';

export function mock(): Plugin {
  return {
    name: 'mainstay-mock',
    configureServer: (server) => use(server.middlewares),
    configurePreviewServer: (server) => use(server.middlewares),
  };
}

function use(middlewares: Connect.Server) {
  middlewares.use((request: IncomingMessage, response: ServerResponse, next: () => void) => {
    const url = new URL(request.url ?? '/', 'http://mock');
    if (!url.pathname.startsWith('/api/') && !url.pathname.startsWith('/prometheus/')) return next();
    if (stream(url, request, response)) return;
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const { status, body } = answer(request.method ?? 'GET', url, text ? JSON.parse(text) : {});
      response.statusCode = status;
      response.setHeader(
        'content-type',
        status >= 400 && !url.pathname.startsWith('/prom') ? 'application/problem+json' : 'application/json',
      );
      response.end(body === undefined ? '' : JSON.stringify(body));
    });
  });
}
