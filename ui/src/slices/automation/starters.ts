/** Runbooks to start from: the examples of the documentation, read when one is asked for. */
const FILES = import.meta.glob<string>('../../../../docs/runbooks/*.yaml', { query: '?raw', import: 'default' });

export interface Starter {
  id: string;
  name: string;
  does: string;
}

const nameOf = (path: string) => path.replace(/^.*\//, '').replace(/\.yaml$/, '');

export const FIRST = 'restart-service';

export const STARTERS: Starter[] = [
  { id: 'restart-service', name: 'Restart a service', does: 'For a service that is down.' },
  { id: 'free-disk-space', name: 'Free disk space', does: 'For a disk that is full.' },
  {
    id: 'collect-diagnostics',
    name: 'Collect diagnostics',
    does: 'Read-only; runs automatically when CPU, memory or disk is short.',
  },
  { id: 'renew-certificate', name: 'Renew a certificate', does: 'For a certificate that is about to expire.' },
  { id: 'roll-back-package', name: 'Roll back a package', does: 'In waves of a quarter of the hosts.' },
  { id: 'rolling-restart', name: 'Rolling restart', does: 'Many hosts in waves, with approval.' },
  { id: 'rotate-logs', name: 'Rotate logs', does: 'Nightly, on every host.' },
];

/** The document of a starter; of the first when there is none of that name. */
export async function starterText(id: string): Promise<string> {
  const find = (wanted: string) => Object.entries(FILES).find(([path]) => nameOf(path) === wanted)?.[1];
  return (await (find(id) ?? find(FIRST))?.()) ?? '';
}

/** Whether each starter has its file; for the tests. */
export const starterFiles = () => Object.keys(FILES).map(nameOf).sort();
