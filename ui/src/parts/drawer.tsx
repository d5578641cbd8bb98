/** The same right-hand drawer for every object: health, owner, relations, timeline. Its object is in the address. */
import { Drawer } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { alertsQuery } from '@/api/alerting';
import { eventsQuery } from '@/api/events';
import { attributeText, itemQuery, relationsQuery } from '@/api/inventory';
import { Ago } from './ago';
import { Chips } from './card';
import { useItemHealth } from './health';
import { Owner } from './owner';
import { Empty, Shown } from './states';
import { ofSeverity, StatusBadge } from './status';
import { Timeline } from './timeline';
import { useParam } from './url';

export function ObjectDrawer() {
  const [id, set] = useParam('drawer');
  return (
    <Drawer
      opened={id !== ''}
      onClose={() => set('')}
      position="right"
      size={420}
      title="Details"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      {id !== '' && <ItemGlance id={id} />}
    </Drawer>
  );
}

/** Opens the drawer on an item. */
export function useDrawer(): (id: string) => void {
  const [, set] = useParam('drawer');
  return set;
}

const words = (kind: string) => kind.replaceAll('_', ' ');

function ItemGlance({ id }: { id: string }) {
  const item = useQuery(itemQuery(id));
  const relations = useQuery(relationsQuery(id));
  const events = useQuery(eventsQuery({ subject: id, limit: 15 }));
  const alerts = useQuery(alertsQuery({ item: id, state: 'firing', limit: 20 }));
  const health = useItemHealth(item.data);
  return (
    <>
      <Shown query={item} what="The item">
        {(it) => (
          <div style={{ padding: '14px 16px', display: 'grid', gap: 8 }}>
            <div className="row between">
              <h3 style={{ fontSize: 16 }}>{it.name}</h3>
              <Link to={it.kind === 'host' ? '/hosts/$id' : '/items/$id'} params={{ id }} className="link">
                Open
              </Link>
            </div>
            <div className="facts" style={{ marginTop: 0 }}>
              {health && (
                <StatusBadge status={health.status} pill>
                  {health.word}
                </StatusBadge>
              )}
              <span>{it.kind.replaceAll('_', ' ')}</span>
              <Owner item={it} />
              <span>
                changed <Ago at={it.changed_at} />
              </span>
            </div>
            <Chips values={Object.entries(it.tags).map(([k, v]) => `${k}=${v}`)} />
            {attributeText(it, 'os_name') && (
              <span className="muted">
                {attributeText(it, 'os_name')} {attributeText(it, 'os_version')}
              </span>
            )}
          </div>
        )}
      </Shown>
      {(alerts.data?.items ?? []).map((alert) => (
        <div className="line" key={alert.id}>
          <StatusBadge status={ofSeverity(alert.severity)}>{alert.name}</StatusBadge>
          <span className="muted">
            <Ago at={alert.active_since} />
          </span>
        </div>
      ))}
      <h3 style={{ padding: '14px 16px 4px' }}>Relations</h3>
      <Shown
        query={relations}
        what="Relations"
        empty={{ when: (r) => r.length === 0, show: <Empty title="No relations known yet" /> }}
      >
        {(list) => (
          <>
            {list.slice(0, 12).map((r) => {
              const outward = r.from.id === id;
              const other = outward ? r.to : r.from;
              return (
                <div className="line" key={`${r.from.id}-${r.kind}-${r.to.id}`}>
                  <span className="muted">{outward ? words(r.kind) : `${words(r.kind)} ←`}</span>
                  <Link to="/items/$id" params={{ id: other.id }} className="under cut">
                    {other.name}
                  </Link>
                </div>
              );
            })}
          </>
        )}
      </Shown>
      <h3 style={{ padding: '14px 16px 4px' }}>Timeline</h3>
      <Shown
        query={events}
        what="The timeline"
        empty={{ when: (p) => p.items.length === 0, show: <Empty title="No events yet" /> }}
      >
        {(page) => (
          <div style={{ padding: '0 16px 16px' }}>
            <Timeline events={page.items} />
          </div>
        )}
      </Shown>
    </>
  );
}
