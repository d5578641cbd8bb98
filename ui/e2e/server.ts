/** Servers of a test's own, beside the one that all tests share: started, killed and started again by the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContext } from '@playwright/test';

/** The binary under test; a spec that needs one is skipped without it. */
export const PROGRAM = process.env.MAINSTAY_PROGRAM ?? '';

export const scratch = () => mkdtempSync(join(tmpdir(), 'mainstay-e2e-'));

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.once('error', fail);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (address && typeof address === 'object' ? done(address.port) : fail(new Error('no port'))));
    });
  });
}

export class Server {
  private child: ChildProcess | null = null;
  private said = '';
  url = '';

  private constructor(
    readonly folder: string,
    private readonly args: string[],
  ) {}

  /** `up` on a data folder of its own, or `demo`. */
  static async start(what: 'up' | 'demo', more: string[] = []): Promise<Server> {
    const folder = scratch();
    const listen = `127.0.0.1:${await freePort()}`;
    const data = what === 'up' ? ['--data', join(folder, 'data')] : [];
    const token = ['--admin-token-file', join(folder, 'token')];
    const server = new Server(folder, [what, '--listen', listen, ...data, ...token, ...more]);
    server.url = `http://${listen}`;
    await server.launch();
    return server;
  }

  /** Starts it (again) on the same folder and address, and waits until it serves. */
  async launch(): Promise<void> {
    this.said = '';
    const child = spawn(PROGRAM, this.args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const hear = (text: Buffer) => {
      this.said = (this.said + text.toString()).slice(-4000);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    this.child = child;
    const deadline = Date.now() + 120_000;
    while (!/ is up at /.test(this.said)) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`the server did not start: ${this.said}`);
      await new Promise((wake) => setTimeout(wake, 50));
    }
  }

  /** Ends it without a chance to tidy up. */
  async kill(): Promise<void> {
    const child = this.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((done) => child.once('exit', done));
    child.kill('SIGKILL');
    await gone;
  }

  get headers(): Record<string, string> {
    const file = join(this.folder, 'token');
    return existsSync(file) ? { authorization: `Bearer ${readFileSync(file, 'utf8').trim()}` } : {};
  }

  /** Lets a browser in as the administrator. */
  async admit(context: BrowserContext): Promise<void> {
    await context.setExtraHTTPHeaders(this.headers);
  }

  async end(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
