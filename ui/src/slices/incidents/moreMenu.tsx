/** The rarer verbs. */
import { Menu } from '@mantine/core';
import type { IncidentDetail } from '@/api/incidents';
import { useRefusal } from '@/api/session';
import { Action } from '@/parts/action';
import type { Asked } from './dialogs';

export function MoreMenu({ incident, ask }: { incident: IncidentDetail; ask: (what: Asked) => void }) {
  const refusal = useRefusal('incidents.write');
  const over = incident.state === 'resolved' || incident.state === 'closed';
  return (
    <Menu position="bottom-end" disabled={refusal !== null}>
      <Menu.Target>
        <span>
          <Action refusal={refusal} label="More actions">
            ⋯
          </Action>
        </span>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => ask('severity')}>Change severity…</Menu.Item>
        <Menu.Item onClick={() => ask('merge')} disabled={over}>
          Merge into another…
        </Menu.Item>
        <Menu.Item onClick={() => ask('split')} disabled={over || incident.alert_count < 2}>
          Split off alerts…
        </Menu.Item>
        <Menu.Item onClick={() => ask('rename')}>Rename…</Menu.Item>
        {!over && incident.state !== 'mitigated' && (
          <Menu.Item onClick={() => ask('mitigate')}>Mark as mitigated…</Menu.Item>
        )}
        {incident.state === 'triggered' && <Menu.Item onClick={() => ask('resolve')}>Resolve…</Menu.Item>}
        {incident.state === 'resolved' && <Menu.Item onClick={() => ask('close')}>Close…</Menu.Item>}
      </Menu.Dropdown>
    </Menu>
  );
}
