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
  { id: 'restart-service', name: 'Restart a service', does: 'Offered when a service is down.' },
  { id: 'free-disk-space', name: 'Free disk space', does: 'Offered when a disk is full.' },
  {
    id: 'collect-diagnostics',
    name: 'Collect diagnostics',
    does: 'Reads only; starts by itself when a host is short.',
  },
  { id: 'renew-certificate', name: 'Renew a certificate', does: 'Offered before a certificate ends.' },
  { id: 'roll-back-package', name: 'Roll back a package', does: 'A quarter of the hosts at a time.' },
  { id: 'rolling-restart', name: 'Rolling restart', does: 'Many hosts, after an approval.' },
  { id: 'rotate-logs', name: 'Rotate logs', does: 'Every night, on every host.' },
];

/** The document of a starter; of the first when there is none of that name. */
export async function starterText(id: string): Promise<string> {
  const find = (wanted: string) => Object.entries(FILES).find(([path]) => nameOf(path) === wanted)?.[1];
  return (await (find(id) ?? find(FIRST))?.()) ?? '';
}

/** Whether each starter has its file; for the tests. */
export const starterFiles = () => Object.keys(FILES).map(nameOf).sort();
