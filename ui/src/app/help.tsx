/** The keys, on one sheet. */
import { Modal } from '@mantine/core';
import { ALL_PLACES } from './places';

const VERBS: [string, string][] = [
  ['⌘K', 'Find anything'],
  ['/', 'Filter this page'],
  ['j / k', 'Down and up in a list'],
  ['↵', 'Open'],
  ['e', 'Acknowledge the incident'],
  ['a', 'Assign'],
  ['s', 'Silence'],
  ['c', 'Comment'],
  ['r', 'Run a runbook'],
  ['?', 'This sheet'],
  ['Esc', 'Close a drawer or dialog'],
];

function List({ entries }: { entries: [string, string][] }) {
  return (
    <table className="t">
      <tbody>
        {entries.map(([keys, text]) => (
          <tr key={keys}>
            <td style={{ width: 80 }}>
              <kbd>{keys}</kbd>
            </td>
            <td>{text}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function KeyHelp({ open, close }: { open: boolean; close: () => void }) {
  return (
    <Modal opened={open} onClose={close} title="Keys" size={620} closeButtonProps={{ 'aria-label': 'Close' }}>
      <div className="cols two" style={{ marginTop: 0 }}>
        <List entries={VERBS} />
        <List entries={ALL_PLACES.flatMap((p): [string, string][] => (p.keys ? [[p.keys, p.text]] : []))} />
      </div>
    </Modal>
  );
}
